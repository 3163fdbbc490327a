"""Makes a post shorter without losing what it states: sentences go, then asides, clauses and fillers."""

from __future__ import annotations

from itertools import pairwise

import regex

from pipelines.editing.sharpen import drop_fillers, whole_words
from pipelines.records import Language
from pipelines.text.facts import facts, keeps_facts
from pipelines.text.sentences import (
    PICTURE,
    PLACEHOLDER,
    WORD,
    is_balanced,
    is_prose,
    join,
    prose,
    refers_back,
    sentences,
)
from pipelines.text.tweets import weighted_length

MIN_WORDS = 3
ASIDE = regex.compile(r"\s*\([^()@#$]*\)")
END = regex.compile(rf"(?:[.!?…]+[\"'\u201d\u2019»)\]]*)?(?:[ \t]?{PICTURE}+)*$", regex.VERSION1)
BREAK = regex.compile(r"\s+[\u2013\u2014-]\s+|\s*;\s+")
CLAUSE = regex.compile(
    r",\s+(?=(?:which|so that|so|because|as well as|while|where|including|especially|whether|"
    r"lo que|ya que|porque|así que|para que|mientras|donde|incluyendo|incluso|sobre todo|especialmente)\b)",
    regex.IGNORECASE,
)
# What opens with one of these has its main clause at the end.
SUBORDINATE = regex.compile(
    r"^[\s¿¡\"'“«(]*(?:if|when|because|while|although|though|since|as|after|before|whether|"
    r"si|cuando|porque|mientras|aunque|como|después|antes|ya que)\b",
    regex.IGNORECASE,
)


def shorten(text: str, target: int, language: Language | None = "en") -> str:
    """Return an NFC text with at most `target` weighted characters, cut where sentences and clauses end.

    Sentences that state facts, say what to do, or name a condition or a deadline stay, and so do the first and what the
    next one leans on. Where that leaves too much the result is the shortest that keeps all this: compare its weighted
    length with `target`. A text that fits comes back unchanged; so does one in a language that nobody here speaks.
    """
    if language is None:
        return text
    shorter = text
    for cut in (_without_sentences, _without_asides, _without_clauses):
        shorter = cut(shorter, target, language)
    if weighted_length(shorter) > target:
        shorter = next(iter(drop_fillers(shorter, language)), shorter)
    shorter = _without_sentences(shorter, target, language)
    return shorter if keeps_facts(text, shorter) else text


def is_needed(part: str, language: Language) -> bool:
    """Whether a sentence or clause says what its readers must know: a fact, an instruction, a condition, a deadline."""
    if facts(part) or PLACEHOLDER.search(part):
        return True
    rest = whole_words("invitations", language).sub("", part)
    return whole_words("keeps", language).search(rest) is not None


def _without_sentences(text: str, target: int, language: Language) -> str:
    """Drop the shortest sentence that is enough; while none is, the last that may go. The first one stays.

    Where that was more than needed, those that fit come back.
    """
    parts = sentences(text)
    weights = [weighted_length(sentence + gap) for sentence, gap in parts]
    kept = list(range(len(parts)))
    length = weighted_length(text)
    while (over := length - target) > 0:
        free = [place for place in kept if place > 0 and _may_go(parts, kept, place, language)]
        if not free:
            break
        enough = [place for place in free if weights[place] >= over]
        kept.remove(min(enough, key=lambda place: (weights[place], -place)) if enough else free[-1])
        length = weighted_length(_joined(parts, kept))
    for place in sorted(set(range(len(parts))) - set(kept)):
        more = sorted([*kept, place])
        leans = refers_back(parts[place][0]) and place - 1 not in kept
        if not leans and weighted_length(_joined(parts, more)) <= target:
            kept = more
    return _joined(parts, kept)


def _joined(parts: list[tuple[str, str]], kept: list[int]) -> str:
    """Join what was kept; where something between two sentences went, its line break stays."""
    between = [[gap for _, gap in parts[place:following]] for place, following in pairwise([*kept, len(parts)])]
    gaps = [max(skipped, key=lambda gap: gap.count("\n")) for skipped in between]
    return join([(parts[place][0], gap) for place, gap in zip(kept, gaps, strict=True)])


def _may_go(parts: list[tuple[str, str]], kept: list[int], place: int, language: Language) -> bool:
    sentence = parts[place][0]
    if is_needed(sentence, language):
        return False
    others = [other for other in kept if other != place and is_prose(parts[other][0])]
    following = next((parts[other][0] for other in others if other > place), None)
    if following is not None and (refers_back(following) or sentence.endswith("?")):
        return False
    words = WORD.findall(prose(" ".join(parts[other][0] for other in others)))
    return len(words) >= MIN_WORDS


def _without_asides(text: str, target: int, language: Language) -> str:
    for aside in reversed(list(ASIDE.finditer(text))):
        if weighted_length(text) <= target:
            break
        if not is_needed(aside[0], language) and aside.start() > 0 and aside[0][0].isspace():
            text = text[: aside.start()] + text[aside.end() :]
    return text


def _without_clauses(text: str, target: int, language: Language) -> str:
    parts = sentences(text)
    for place in reversed(range(len(parts))):
        while weighted_length(join(parts)) > target and (shorter := _without_clause(parts[place][0], language)):
            parts[place] = (shorter, parts[place][1])
    return join(parts)


def _without_clause(sentence: str, language: Language) -> str | None:
    """Return the sentence without its last clause; None where none can go."""
    end = END.search(sentence)
    if end is None or SUBORDINATE.search(sentence):
        return None
    breaks = [] if "?" in end[0] else list(BREAK.finditer(sentence, 0, end.start()))
    clauses = list(CLAUSE.finditer(sentence, 0, end.start()))
    for border in sorted([*breaks, *clauses], key=lambda match: -match.start()):
        head, tail = sentence[: border.start()], sentence[border.end() : end.start()]
        if is_needed(tail, language):
            continue
        whole = is_balanced(head) and is_balanced(tail) and not set("¿¡?!") & set(tail)
        if whole and len(WORD.findall(head)) >= MIN_WORDS and keeps_facts(sentence, head + end[0]):
            return head + end[0]
    return None
