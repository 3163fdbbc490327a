"""Moves the strongest sentence of a post to its front: a question, or one that says how much."""

from __future__ import annotations

import regex

from pipelines.editing.sharpen import phrases
from pipelines.spanish_grammar import is_verb
from pipelines.text.facts import DAYS
from pipelines.text.sentences import ENDED, WORD, is_listed, is_prose, join, prose, refers_back, sentences
from pipelines.text.tweets import entities
from pipelines.viral_predictor.features import bare_text

MIN_HOOK_WORDS = 3
MIN_QUESTION_WORDS = 5
# What only the sentence before, or the whole text, explains.
LEANING = regex.compile(
    r"\b(?:it|they|them|he|she|him|her|this|that|these|those|else|ello|ellos|ellas|él|ella|lo|esto|eso|"
    r"do you (?:say|think)|opinas|opináis|crees|piensas|dices)\b",
    regex.IGNORECASE,
)
GREETING = regex.compile(
    r"^[\s¡]*(?:hi|hello|hey|good (?:morning|evening)|dear|attention|happy|congrat\p{L}+|thanks?|"
    r"hola|buen[oa]s|querid\p{L}+|atención|feli\p{L}+|gracias)\b",
    regex.IGNORECASE,
)
THIRD_PERSON = regex.compile(r"(?:[aeó]|[ae]n|ron)$", regex.IGNORECASE)
# A figure that says how much; a year, a date and a time of day only say when.
FIGURE = regex.compile(
    r"(?<![\w:/.\-<#])(?!(?:19|20)\d\d\b)[$€£]?\d[\d.,]*(?:[%+]|[kmbx]\b|bn\b)?(?![\w:/\-])", regex.IGNORECASE
)
DATED = regex.compile(
    rf"\d[:/]\d|\d\s?(?:[ap]\.?m|h|st|nd|rd|th)\b|\b(?:{'|'.join(sorted(DAYS))}|may|march|mayo)\b|"
    r"\b(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\.? \d",
    regex.IGNORECASE,
)


def hook_first(text: str) -> list[str]:
    """Move a closing question, or a sentence with a figure, to the front where no sentence loses what it leans on."""
    parts = sentences(text)
    spoken = [place for place, (sentence, _) in enumerate(parts) if is_prose(sentence)]
    if len(spoken) < 2 or spoken[0] != 0 or any(is_listed(sentence) for sentence, _ in parts):
        return []
    opening = parts[0][0]
    own = phrases("triggers")
    if text.startswith(("@", *own)) or refers_back(opening) or _is_address(opening):
        return []
    moved = []
    for place in spoken[1:]:
        hook, before = parts[place][0], parts[place - 1][0]
        following = parts[place + 1][0] if place != spoken[-1] else ""
        strength = _strength(hook, last=place == spoken[-1])
        if strength and ENDED.search(before) and not before.endswith("?") and not refers_back(following):
            order = [hook, *(sentence for index, (sentence, _) in enumerate(parts) if index != place)]
            moved.append((-strength, join(list(zip(order, (gap for _, gap in parts), strict=True)))))
    return [edited for _, edited in sorted(moved)][:2]


def _is_address(opening: str) -> bool:
    """Whether a text opens by greeting, calling or heading rather than by saying something."""
    if GREETING.search(opening) or opening.endswith((":", "?")) or not ENDED.search(opening):
        return True
    return len(WORD.findall(opening)) < (MIN_HOOK_WORDS if "!" not in opening else 2 * MIN_HOOK_WORDS)


def _strength(sentence: str, *, last: bool) -> int:
    """Return 2 for a closing question of the draft's own, 1 for a figure, 0 for what makes no opening."""
    bare = prose(sentence)
    words = WORD.findall(bare)
    leans = LEANING.search(bare) or refers_back(sentence) or sentence in phrases("closings")
    if leans or len(words) < MIN_HOOK_WORDS or any(entity.label == "URL" for entity in entities(sentence)):
        return 0
    # A Spanish sentence that opens with a verb in the third person has its subject in the one before.
    if not sentence.endswith("?") and is_verb(words[0]) and THIRD_PERSON.search(words[0]):
        return 0
    # What follows a question answers it; a plea for reactions counts against a text wherever it stands.
    if sentence.endswith("?"):
        whole = len(sentence.split()) >= MIN_QUESTION_WORDS and last
        return 2 if whole and not bare_text(sentence)[1] else 0
    return 1 if FIGURE.search(bare) and not DATED.search(bare) and ENDED.search(sentence) else 0
