"""Finds what makes a sentence of an English text: its finite verb, or a call to its reader."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.english_phrases import Role, Token, roles, words_of
from pipelines.english_words import WORDS, is_verb, tag

SUBJECTS = frozenset({"we", "you", "i", "nobody", "everyone", "someone"})


def has_verb(text: str) -> bool:
    """Whether a text is a sentence rather than a headline."""
    tokens = words_of(text)
    return verb_at(tokens, roles(tokens)) is not None or is_call(tokens)


def is_call(tokens: Sequence[Token]) -> bool:
    """Whether a text tells its reader to do something."""
    at = 1 if tokens[0].lower == "please" and len(tokens) > 1 else 0
    first = tokens[at].lower
    after = tokens[at + 1].lower if len(tokens) > at + 1 else ""
    if first in WORDS["imperatives"] | WORDS["calls"] and first not in {"open", "sign", "book", "call", "land"}:
        return True
    return is_verb(first) and first not in WORDS["prepositions"] and after in (WORDS["determiners"] | {"us", "it"})


def verb_at(tokens: Sequence[Token], found: Sequence[Role]) -> int | None:
    """Return where the finite verb stands."""
    before = ""
    for at, token in enumerate(tokens):
        if at and tag(tokens[at - 1].lower)[:2] != "RB":
            before = tokens[at - 1].lower
        if (
            token.lower in WORDS["finite_here"]
            and before != "to"
            and (
                token.lower not in {"open", "land"}
                or (at > 0 and (at == len(tokens) - 1 or tokens[at + 1].lower in WORDS["prepositions"]))
            )
        ) or token.lower.endswith(("'re", "'m", "'ll", "'ve", "n't")):
            return at
        if at and (before in SUBJECTS or found[at] == "x") and before not in WORDS["prepositions"] | {"to", "and"}:
            form = tag(token.lower)
            after = tokens[at + 1].lower if at + 1 < len(tokens) else ""
            if (
                form in {"VBN", "VBD"}
                and token.lower.endswith("ed")
                and after in WORDS["prepositions"]
                and before not in SUBJECTS
            ):
                continue
            if form in {"VB", "VBP", "VBZ", "VBD"} or (form == "VBN" and token.lower.endswith("ed")):
                return at
            if before in SUBJECTS and is_verb(token.lower) and form[:2] != "RB":
                return at
    return None
