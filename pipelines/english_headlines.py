"""Finds in an English query the noun phrase that can stand alone as a headline, as it is written."""

from __future__ import annotations

from collections.abc import Sequence

import regex

from pipelines.english_phrases import WORD, Role, Token, roles, words_of
from pipelines.english_sentences import SENTENCE, is_negation
from pipelines.english_statements import CODE, TYPO
from pipelines.english_wording import MAX_COUNTED, Entities, fits, restored
from pipelines.english_words import WORDS, is_noun, kind_of, tag
from pipelines.generator.phrases import capitalized, without_entities
from pipelines.text.facts import DAYS


def headline(query: str, entities: Entities, *, asked: bool) -> str | None:
    """Return a noun phrase of a query, as it is written, that can stand alone; None where none surely can.

    It opens a clause or is the author's own ("our autumn half marathon"); what is `asked` is about several or about
    something that is not counted ("small museums"). No part of a text that looks like code is read.
    """
    found: list[tuple[int, str]] = []
    for place, sentence in enumerate(SENTENCE.split(without_entities(query, entities, NO_PROSE, "\n"))):
        for part in CODED.split(sentence) if CODE.search(sentence) else [sentence]:
            tokens = words_of(part)
            spans, does = list(WORD.finditer(part)), roles(tokens)
            for start, token in enumerate(tokens):
                own = token.lower in {"our", "my"}
                opens = (
                    token.breaks and not (asked and own) and does[start] != "p" and token.lower not in {"every", "each"}
                )
                denied = any(is_negation(word.lower) for word in tokens[:start]) or is_negation(token.lower)
                if denied or not (opens or (own and not asked) or (asked and does[start] in {"a", "n"} and start)):
                    continue
                end = phrase_end(tokens, does, start)
                text = part[spans[start].start() : spans[end - 1].end()] if end else ""
                if end and (not asked or kind_of(tokens[end - 1].text, name=tokens[end - 1].capital) in MANY):
                    text = ARTICLE.sub("", text)
                    alone = text.strip() == part.strip() and part != sentence and does[0] == "n"
                    if (" " in text or alone) and fits(text, query, entities) and not TYPO.search(text):
                        found.append((text.count(" ") + 3 * own - place, text))
    return capitalized(restored(max(found)[1])) if found else None


def phrase_end(tokens: Sequence[Token], does: Sequence[Role], start: int) -> int | None:
    """Return where the longest noun phrase from here ends that could stand alone; None where there is none."""
    end = None
    for at in range(start, min(start + MAX_COUNTED + 1, len(tokens))):
        token = tokens[at]
        starts = at > start and does[at] == "d" and does[at - 1] != "p"
        if starts or (at > start and token.breaks) or does[at] == "x" or token.lower in WORDS["pronouns"]:
            break
        after = tokens[at + 1] if at + 1 < len(tokens) and not tokens[at + 1].breaks else None
        acts = (
            tag(token.lower) in {"VB", "VBP", "VBZ"}
            or token.lower in WORDS["finite_here"]
            or not (token.capital or is_noun(token.lower))
        )
        strong = not acts and (at > start + 2 or token.lower not in LABELS)
        modified = after is not None and does[at + 1] == "a" and "n" in does[at + 2 : at + 4]
        goes_on = after is not None and (
            modified
            or (does[at + 1] == "n" and after.lower not in WORDS["finite_here"])
            or after.lower == "of"
            or after.lower in STRANDED
        )
        if does[at] == "n" and strong and not goes_on and not DAY.search(token.lower):
            end = at + 1
    return end


CODED = regex.compile(r"[^\p{L}\p{N}' ,\-]+")
MANY = frozenset({"plural", "mass"})
ARTICLE = regex.compile(r"^(?:the|an?|some|other|these|this) ", regex.IGNORECASE)
STRANDED = frozenset({"who", "that", "which", "we", "you", "to"})
DAY = regex.compile(rf"^(?:{'|'.join(sorted(DAYS))}|today|tonight|tomorrow)s?$")
NO_PROSE = ("URL", "MENTION", "HASHTAG", "CASHTAG", "EMOJI")
LABELS = WORDS["weak_heads"] | WORDS["contents"] | {"post", "results", "parking", "photos", "winner"}
