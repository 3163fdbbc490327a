"""Finds the noun phrases of an English text by rules.

Where a word could be a verb, its neighbors and agreement decide; in doubt it ends the phrase.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from typing import Literal, NamedTuple

import regex

from pipelines.english_words import (
    CLOSED,
    WORDS,
    Kind,
    is_closed,
    is_common,
    is_known_noun,
    is_noun,
    is_verb,
    kind_of,
    tag,
)
from pipelines.text.facts import NUMBER_WORDS

# x: ends a phrase, d: determiner, q: left out at its start, a: adjective or participle, n: noun, p: preposition.
Role = Literal["x", "d", "q", "a", "n", "p"]

MAX_NOUNS = 3
MAX_WORDS = 5


class Token(NamedTuple):
    """A word as it is written in running text; `breaks` tells that punctuation stands before it."""

    text: str
    lower: str
    breaks: bool
    capital: bool


@dataclass(frozen=True)
class NounPhrase:
    """A noun phrase without its determiner.

    `new` holds what the query put before it and is no part of a topic ("new", "free"); `tail` is "for beginners".
    `whole` tells that nothing else stands between the marks around it, `start` is the place of its first word.
    """

    determiner: str
    new: str
    core: tuple[str, ...]
    tail: str
    kind: Kind
    whole: bool
    start: int
    before: str

    @property
    def text(self) -> str:
        """The phrase as a topic."""
        return " ".join((*self.core, *filter(None, [self.tail])))

    @property
    def head(self) -> str:
        """The last word of the core, in lower case."""
        return self.core[-1].lower()


@lru_cache(maxsize=512)
def words_of(text: str) -> tuple[Token, ...]:
    """Split a text into words; capitals that only stand for the start of a sentence or a headline are taken back."""
    found = list(WORD.finditer(text))
    headline = len(found) > 2 and 3 * sum(match[0][0].isupper() for match in found) > 2 * len(found)
    tokens: list[Token] = []
    end = 0
    for match, following in zip_longest(found, found[1:]):
        word, lower = match[0].replace("\u2019", "'"), match[0].lower().replace("\u2019", "'")
        gap = text[end : match.start()]
        end = match.end()
        breaks = not tokens or "\n" in gap or bool(gap.strip())
        opens = headline or not tokens or bool(OPENS.search(gap))
        shouted = headline and len(word) > 3 and word.isupper()
        joined = following is not None and text[end : following.start()] == " "
        follows = following[0] if following is not None and joined else ""
        # "Maria Lopez", unlike "Coffee and cake" and "Introducing Flowdesk".
        name = not headline and follows[:1].isupper() and not is_verb(lower)
        named = name and not is_closed(lower) and not tag(lower).startswith(("V", "J", "R"))
        plain = word[1:].islower() or shouted or len(word) == 1
        capital = word[0].isupper()
        if capital and opens and plain and not named and (lower, follows.lower()) not in NAMED_DAYS:
            capital = not is_common(word, lower)
        tokens.append(Token(word if capital or not word[0].isupper() else lower, lower, breaks, capital))
    return tuple(tokens)


@lru_cache(maxsize=512)
def roles(tokens: tuple[Token, ...]) -> tuple[Role, ...]:
    """Say what each word does in its phrase."""
    found: list[Role] = []
    after_be = False
    for place, token in enumerate(tokens):
        after = tokens[place + 1] if place + 1 < len(tokens) and not tokens[place + 1].breaks else None
        before = tokens[place - 1] if place and not token.breaks else None
        after_be = before is not None and (after_be or before.lower in BE or before.lower.endswith(("'re", "'m")))
        subject = before is not None and (found[-1] in {"x", "n"} or before.lower in WORDS["pronouns"])
        if after_be and subject and token.lower.endswith("ing"):
            found.append("x")
        else:
            found.append(_role(token, before, found[-1] if before else None, after))
        noun_before = place and not token.breaks and found[-2] == "n"
        if (
            found[-1] == "a"
            and noun_before
            and not after_be
            and (after is None or _closes(after))
            and is_known_noun(token.lower)
        ):
            found[-1] = "n"
    return tuple(found)


def _closes(token: Token) -> bool:
    """Whether a word ends the noun phrase before it."""
    return token.lower in CLOSED or token.lower in WORDS["prepositions"] or token.lower in WORDS["determiners"]


def _role(token: Token, before: Token | None, role_before: Role | None, after: Token | None) -> Role:
    word = token.lower
    role = _closed_role(word, before, after)
    if role or token.capital or word.endswith(("'s", "s'")):
        return role or "n"
    commonest = tag(word)
    in_phrase = role_before in {"d", "a", "n", "q"}
    listed = word in WORDS["count"] or word in WORDS["mass"]
    if commonest.startswith("RB") or (not in_phrase and _commands(token, after)):
        return "x"
    if role_before not in {"d", "a", "q"} and is_verb(word) and _is_verb_here(token, before, role_before, after):
        return "x"
    if commonest in {"VBG", "VBN", "VBD"} and not listed:
        return _participle(word, commonest, role_before, after)
    if commonest.startswith(("JJ", "CD")) and not listed:
        return "a"
    return "n" if is_noun(word) else "a" if commonest.startswith("V") and role_before in {"d", "a"} else "x"


def _closed_role(word: str, before: Token | None, after: Token | None) -> Role | None:
    """Return the role of a word that a list knows, None for the others."""
    if word in WORDS["determiners"]:
        return "d"
    if word in WORDS["prepositions"]:
        return "p"
    if word in WORDS["quantifiers"] or word in NUMBER_WORDS or word.isdigit():
        return "q"
    if before is not None and (before.lower, word) in NAMED_DAYS:
        return "n"
    if word == "early" and after is not None and after.lower == "bird":
        return "a"
    acts = word.endswith("ing") and tag(word) != "NN"
    ordered = acts and before is not None and before.lower in WORDS["imperatives"]
    ordered = ordered or (acts and after is not None and after.lower in WORDS["determiners"])
    closed = word in CLOSED or CONTRACTION.search(word) or (DIGIT.search(word) and word not in WORDS["mass"])
    return "x" if ordered or closed else None


def _commands(token: Token, after: Token | None) -> bool:
    """Whether a word that opens a phrase tells the reader to do something: "join us", "book a table"."""
    if token.lower in WORDS["imperatives"]:
        return not (after is None and is_noun(token.lower) and tag(token.lower).startswith("N"))
    if token.lower not in WORDS["maybe_imperatives"] or after is None:
        return False
    follows = after.lower
    return (
        follows in WORDS["determiners"]
        or follows in WORDS["pronouns"]
        or (follows in WORDS["quantifiers"] or tag(follows).startswith(("JJ", "RB")))
    )


def _is_verb_here(token: Token, before: Token | None, role_before: Role | None, after: Token | None) -> bool:
    """Whether a word that can be a verb is one, by what stands before and after it, and by agreement."""
    word, commonest = token.lower, tag(token.lower)
    if before is None:
        modifies = after is not None and tag(after.lower).startswith("NN") and is_known_noun(word)
        return commonest in {"VB", "VBP", "VBZ", "VBD"} and (not modifies or word in WORDS["imperatives"])
    if before.lower in WORDS["subjects"]:
        return commonest != "VBG"
    if role_before != "n":
        return commonest in {"VB", "VBP", "VBZ", "VBD"}
    if after is not None and after.lower in WORDS["determiners"] | WORDS["pronouns"]:
        return commonest != "VBG"
    plural = kind_of(before.lower, name=before.capital) == "plural"
    if commonest in {"VBD", "VBZ"} or (word.endswith("s") and commonest.startswith("VB")):
        return not plural
    return plural and commonest in {"VB", "VBP", "JJ"}


def _participle(word: str, commonest: str, role_before: Role | None, after: Token | None) -> Role:
    determined = after is not None and after.lower in WORDS["determiners"]
    follows = after is not None and not _closes(after)
    if commonest == "VBG":
        acts = word in WORDS["gerund_verbs"] and role_before != "n"
        if acts or role_before == "x" or (role_before is None and determined):
            return "x"
        return "a" if follows else "n"
    return "a" if follows and role_before not in {"n", "x"} else "x"


def noun_phrases(tokens: tuple[Token, ...]) -> Iterator[NounPhrase]:
    """Yield the noun phrases of a text from left to right."""
    found = roles(tokens)
    place = 0
    while place < len(tokens):
        phrase, place = _phrase_at(tokens, found, place)
        if phrase:
            yield phrase


def _end(tokens: Sequence[Token], place: int, may_go_on: Callable[[int], bool]) -> int:
    end = place
    while end < len(tokens) and (end == place or not tokens[end].breaks) and may_go_on(end):
        end += 1
    return end


def _phrase_at(tokens: Sequence[Token], found: Sequence[Role], place: int) -> tuple[NounPhrase | None, int]:
    """Read the phrase that starts here, if one does; return it and where to read on."""
    start = place
    determiner = ""
    if found[place] == "d":
        determiner = tokens[place].lower
        place += 1
        if place == len(tokens) or tokens[place].breaks:
            return None, place
    first = _end(
        tokens, place, lambda at: found[at] == "q" or (tokens[at].lower in WORDS["newness"] and found[at] == "a")
    )
    stop = first if first < len(tokens) and (first == place or not tokens[first].breaks) else place
    end = _end(tokens, stop, lambda at: found[at] in {"a", "n"} and not _starts_name(tokens, found, at, stop))
    end = end if first == stop else first
    last = end
    while last > first and found[last - 1] != "n":
        last -= 1
    if last <= first or (first > place and tokens[first].breaks):
        return None, max(end, start + 1)
    first = max(first, last - MAX_WORDS)
    if all(role == "n" for role in found[first:last]):
        first = max(first, last - MAX_NOUNS - 1)
    words = tokens[first:last]
    prepositions = TAIL_PREPOSITIONS if tokens[start].breaks else CLOSE_PREPOSITIONS
    tail_end = _tail_end(tokens, found, last, MAX_WORDS - len(words), prepositions)
    counted = "q" in found[place:first]
    new = "" if counted else " ".join(token.text for token in tokens[place:first])
    return NounPhrase(
        determiner="" if counted and determiner == "the" else determiner,
        new=new,
        core=tuple(token.text for token in words),
        tail=" ".join(token.text for token in tokens[last:tail_end]),
        kind=kind_of(words[-1].text, name=words[-1].capital),
        whole=tokens[start].breaks and (tail_end == len(tokens) or tokens[tail_end].breaks),
        start=start,
        before=tokens[start - 1].lower if start and not tokens[start].breaks else "",
    ), max(end, tail_end)


def _starts_name(tokens: Sequence[Token], found: Sequence[Role], at: int, start: int) -> bool:
    """Whether a name begins after a common noun: "wedding photographer Austin"."""
    return at > start and tokens[at].capital and found[at - 1] == "n" and not tokens[at - 1].capital


def _tail_end(
    tokens: Sequence[Token], found: Sequence[Role], place: int, room: int, prepositions: frozenset[str]
) -> int:
    """Return where "for beginners" ends: a preposition and a bare noun phrase up to the next mark, or nothing."""
    if place >= len(tokens) or tokens[place].breaks or tokens[place].lower not in prepositions:
        return place
    end = _end(tokens, place + 1, lambda at: found[at] in {"a", "n"} or tokens[at].lower == "better")
    goes_on = end < len(tokens) and not tokens[end].breaks
    starts = place + 1 < len(tokens) and not tokens[place + 1].breaks
    if not starts or goes_on or end == place + 1 or found[end - 1] != "n" or end - place > room:
        return place
    return place if tokens[end - 1].lower in WORDS["weak_heads"] | MONTHS else end


WORD = regex.compile(r"[\p{L}\p{N}][\p{L}\p{M}\p{N}]*(?:['\u2019&\-][\p{L}\p{N}][\p{L}\p{M}\p{N}]*)*")
OPENS = regex.compile(r"[.!?…:;|\n\u2014\u201c\"(]")
DIGIT = regex.compile(r"\p{N}")
CONTRACTION = regex.compile(
    r"(?:n't|'(?:re|ve|ll|d|m))$|^(?:it|that|what|here|there|who|how|where|let|he|she|today)'s$"
)
BE = frozenset({"am", "is", "are", "was", "were", "be", "been"})
NAMED_DAYS = frozenset({("black", "friday"), ("cyber", "monday"), ("giving", "tuesday"), ("good", "friday")})
# What belongs to a noun wherever it stands, and what does where the phrase opens its clause.
CLOSE_PREPOSITIONS = frozenset({"for", "of"})
TAIL_PREPOSITIONS = CLOSE_PREPOSITIONS | {"in", "on", "at", "with", "from"}
MONTHS = frozenset({"march", "may", "spring", "summer", "autumn", "fall", "winter"})
