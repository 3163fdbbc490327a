"""Edits of a draft that touch no fact: each takes an NFC text and returns the edited ones, none where it does not fit.

They know no model and no score; which of them helps is for pipelines.editing.improve to find out. A keyword or an
emotion is only what somebody read from the text: nothing gets into a text but words of its own and phrases from
edits.json.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, get_args

import regex

from pipelines.editing.polish import polish, quiet
from pipelines.editing.sharpen import drop_fillers, load_words, sharpen_verbs, whole_words
from pipelines.records import Language, Objective
from pipelines.text.sentences import ENDED, WORD, capitalized, is_prose, join, sentences
from pipelines.text.tweets import Entity, entities, weighted_length

EditName = Literal[
    "polish",
    "rewrite",
    "shorten",
    "split_lines",
    "sharpen_verbs",
    "drop_fillers",
    "close_for_objective",
    "keep_one_hashtag",
    "calm_capitals",
    "single_punctuation",
]
LONG_TEXT = 120  # weighted characters from which a text gains by line breaks
CAPITALS = regex.compile(r"(?<![\w@#$/.:])[^\W\d_]{2,}(?![\w/:.@]*[/@])")
WORDED = regex.compile(r"[\p{L}\p{M}\p{Nd}]$")


@dataclass(frozen=True, slots=True)
class Setting:
    """What an edit may go by beside the text itself.

    `language` is None where nobody here speaks it: then no edit adds or changes a word. `asks` says that a question to
    the readers suits the text, `sober` that it is bad or sober news, under which nothing is added.
    """

    language: Language | None = "en"
    objectives: tuple[Objective, ...] = ()
    asks: bool = False
    sober: bool = False


def split_lines(text: str) -> list[str]:
    """Set a blank line after the first sentence of a long text on one line, or after every sentence."""
    parts = sentences(text)
    if "\n" in text or len(parts) < 2 or weighted_length(text) < LONG_TEXT:
        return []
    first = [(sentence, gap if place else "\n\n") for place, (sentence, gap) in enumerate(parts)]
    every = [(sentence, "\n\n") for sentence, _ in parts]
    return list(dict.fromkeys([join(first), join(every)]))


def close_for_objective(text: str, language: Language, objectives: Sequence[Objective], *, asks: bool) -> list[str]:
    """End an opinion with a question that it answers, or point at the closing link, as the objectives want it.

    No question is added where `asks` is false, to one that is there, or to what nobody can agree with; a call to action
    only before a link of the draft's own.
    """
    if is_sensitive(text, language):
        return []
    closings = load_words()[language]["closings"]
    edited = []
    for objective in objectives:
        for closing in closings.get(objective, ()):
            if closing.endswith("?"):
                askable = asks and "?" not in text and is_opinion(text, language)
                edited += _ended_with(text, closing, language) if askable else []
            else:
                edited += _pointed_at_link(text, closing, language)
    return list(dict.fromkeys(edited))


@lru_cache(maxsize=1024)
def is_opinion(text: str, language: Language) -> bool:
    """Whether a text holds what a stranger can agree or disagree with."""
    return whole_words("opinions", language).search(text) is not None


def keep_one_hashtag(text: str) -> str:
    """Keep the first hashtag; of the others those that close the text go, those within a sentence become words."""
    tags = [entity for entity in entities(text) if entity.label == "HASHTAG"]
    closing = len(text) - len("".join(_closing_block(text)))
    if WORDED.search(text[:closing]) and any(_goes_on(text[:closing], language) for language in get_args(Language)):
        closing = len(text)
    for tag in reversed(tags[1:]):
        before, after = text[: tag.start], text[tag.end :]
        text = before.rstrip() + after if tag.start >= closing else before + tag.text[1:] + after
    return text.strip()


def calm_capitals(text: str) -> str:
    """Write a text that is mostly in capitals in lower case; links, handles, hashtags and acronyms stay."""
    if sum(map(str.isupper, text)) <= sum(map(str.islower, text)):
        return text
    calm = [(CAPITALS.sub(lambda word: _quiet(word[0]), sentence), gap) for sentence, gap in sentences(text)]
    return join([(capitalized(sentence), gap) for sentence, gap in calm])


def single_punctuation(text: str) -> str:
    """Leave one mark of a run of exclamation and question marks, a question mark if there is one; Spanish ones too."""
    found = [entity for entity in entities(text) if entity.label == "URL"]

    def single(run: regex.Match[str]) -> str:
        if _inside(run.span(), found):
            return run[0]
        return next((mark for mark in "?¿" if mark in run[0]), run[0][0])

    return regex.sub(r"[!?]{2,}|[¡¿]{2,}", single, text)


@lru_cache(maxsize=1024)
def is_sensitive(text: str, language: Language) -> bool:
    """Whether a text speaks of death, loss, danger or regret: nobody wants cheer or questions there."""
    return _sensitive(language).search(text) is not None


@lru_cache(maxsize=2)
def _sensitive(language: Language) -> regex.Pattern[str]:
    words = "|".join(regex.escape(word).replace(r"\$", r"\b") for word in load_words()[language]["sensitive"])
    return regex.compile(rf"\b(?:{words})", regex.IGNORECASE)


def _quiet(word: str) -> str:
    calm = {quiet(word, language) for language in get_args(Language)} if word.isupper() else {word.lower()}
    return max(calm, key=lambda word: sum(map(str.isupper, word)))


def _inside(span: tuple[int, int], found: Sequence[Entity]) -> bool:
    return any(entity.start < span[1] and span[0] < entity.end for entity in found)


def _closing_block(text: str) -> tuple[str, str]:
    """Return the white space before the links and hashtags that close a text, and those."""
    start = len(text)
    for entity in reversed(entities(text)):
        if entity.label not in {"URL", "HASHTAG"} or text[entity.end : start].strip():
            break
        start = entity.start
    gap = len(text[:start]) - len(text[:start].rstrip())
    return (text[start - gap : start], text[start:]) if start < len(text) else ("", "")


def _ended_with(text: str, phrase: str, language: Language) -> list[str]:
    """Put a sentence at the end of the prose: before closing links and hashtags where the prose is over there."""
    gap, block = _closing_block(text)
    head = text[: len(text) - len(gap) - len(block)]
    if not is_prose(head) or (_goes_on(head, language) and not block):
        return []
    if block:
        return [f"{head} {phrase}{gap}{block}" if ENDED.search(head) else f"{text}\n\n{phrase}"]
    if "\n\n" in head:
        return [f"{head}\n\n{phrase}"]
    return [f"{head}{'' if ENDED.search(head) else '.'} {phrase}"]


def _pointed_at_link(text: str, phrase: str, language: Language) -> list[str]:
    """Put a call to action before the only link of a text where that begins what closes it."""
    gap, block = _closing_block(text)
    head = text[: len(text) - len(gap) - len(block)]
    links = [entity for entity in entities(text) if entity.label == "URL"]
    if len(links) != 1 or links[0].start != len(head) + len(gap) or not is_prose(head) or _goes_on(head, language):
        return []
    if head.split()[-1].casefold() in load_words()[language]["calls"]:
        return []
    stop = "" if ENDED.search(head) or "\n" in gap else "."
    return [f"{head}{stop}{gap}{phrase} {block}"]


def _goes_on(head: str, language: Language) -> bool:
    """Whether a text stops in the middle of a sentence, as before a link that it introduces."""
    if ENDED.search(head):
        return False
    words = WORD.findall(head)
    return not WORDED.search(head) or words[-1].casefold() in load_words()[language]["goes_on"]


def _changed(text: str, edited: str) -> list[str]:
    return [edited] if edited != text and edited.strip() else []


def _added(text: str, setting: Setting) -> list[str]:
    if setting.language is None or setting.sober:
        return []
    return close_for_objective(text, setting.language, setting.objectives, asks=setting.asks)


EDITS: Final[dict[EditName, Callable[[str, Setting], list[str]]]] = {
    "polish": lambda text, setting: _changed(text, polish(text, setting.language)) if setting.language else [],
    "split_lines": lambda text, _: split_lines(text),
    "sharpen_verbs": lambda text, setting: sharpen_verbs(text, setting.language) if setting.language else [],
    "drop_fillers": lambda text, setting: drop_fillers(text, setting.language) if setting.language else [],
    "close_for_objective": _added,
    "keep_one_hashtag": lambda text, _: _changed(text, keep_one_hashtag(text)),
    "calm_capitals": lambda text, _: _changed(text, calm_capitals(text)),
    "single_punctuation": lambda text, _: _changed(text, single_punctuation(text)),
}
