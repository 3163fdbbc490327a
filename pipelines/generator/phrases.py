"""What both languages share when a tweet is written from a brief: clean phrases, common slots, copied runs.

Everything here works on the author's words as data; it reads no frame.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from pipelines.text.facts import DAYS, NUMBER_WORDS
from pipelines.text.tweets import FORBIDDEN, fitting_length, weighted_length

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pipelines.records import Brief
    from pipelines.text.tweets import Entity

COMMON_SLOTS = frozenset({"hashtag", "url", "handle", "price", "percent", "name", "place"})
LABELS = {"URL": "url", "MENTION": "handle", "MONEY": "price", "PERCENT": "percent", "GPE": "place"}
NAME_LABELS = ("PERSON", "ORG", "NAME")
HASHTAG_CHARACTERS = 30
EDGES = " .,;:!?¡¿…-\u2013\u2014|/\\\"'“”«»()[]{}<>*~_`"
UNCOUNTED = NUMBER_WORDS | DAYS | {"one", "first", "second", "third", "thousandth", "midnight"}
WORD = re.compile(r"[^\W_]+(?:['\u2019\-][^\W_]+)*")


def common_slots(brief: Brief, topic: str | None) -> dict[str, str]:
    """Return the slots that need no grammar: the author's own entities as written, and a hashtag.

    The first entity of a kind counts. The hashtag is the author's own, else made of the topic's words.
    """
    slots: dict[str, str] = {}
    for entity in brief.entities:
        if entity.label in LABELS:
            slots.setdefault(LABELS[entity.label], one_line(entity.text))
        elif entity.label == "HASHTAG":
            slots.setdefault("hashtag", one_line(entity.text))
        elif entity.label in NAME_LABELS and edges(entity.text):
            slots.setdefault("name", edges(entity.text))
    tag = hashtag(topic) if topic and "hashtag" not in slots else None
    return slots | {"hashtag": tag} if tag else slots


def one_line(text: str) -> str:
    """Return a text without line breaks, doubled spaces and what X refuses."""
    return " ".join(FORBIDDEN.sub("", text).split())


def edges(text: str) -> str:
    """Return a text on one line without punctuation at its edges; empty where nothing is left."""
    return one_line(text).strip(EDGES)


def cut(text: str, limit: int) -> str:
    """Return as many whole words as fit in `limit` weighted characters; empty where the first does not."""
    if weighted_length(text) <= limit:
        return text
    return text[: fitting_length(text, limit) + 1].rpartition(" ")[0].rstrip(EDGES)


def capitalized(text: str) -> str:
    """Capitalize the first letter, unless the word has its own way (iPhone)."""
    first = text.split(" ", 1)[0]
    return text[:1].upper() + text[1:] if first.islower() else text


def hashtag(phrase: str) -> str | None:
    """Return the words of a phrase as one hashtag; None where it would be a number or longer than people read."""
    words = re.findall(r"[^\W_]+", phrase)
    tag = "".join(word[0].upper() + word[1:] for word in words)
    return f"#{tag}" if tag and not tag.isdigit() and len(tag) <= HASHTAG_CHARACTERS else None


def without_entities(text: str, entities: Iterable[Entity], labels: Collection[str], instead: str = " ") -> str:
    """Return a text with the entities of these labels replaced."""
    for entity in entities:
        if entity.label in labels:
            text = text.replace(entity.text, instead)
    return text


def longest_copied_run(text: str, query: str, entities: Iterable[Entity] = ()) -> int:
    """Return how many consecutive words of the query a text repeats at most, in any case.

    Words of entities (links, handles, names, dates, amounts), numbers and days do not count, neither do they end a run.
    """
    aside = tuple(sorted({entity.text.casefold() for entity in entities}, key=len, reverse=True))
    known, source = _query_words(query, aside)
    words = _words(text, aside)
    longest = 0
    for start, word in enumerate(words):
        if word in known:
            while start + longest < len(words) and f" {' '.join(words[start : start + longest + 1])} " in source:
                longest += 1
    return longest


def _words(text: str, aside: tuple[str, ...]) -> list[str]:
    text = text.casefold()
    for entity in aside:
        text = text.replace(entity, " ")
    return [
        word for word in WORD.findall(text) if not (word[0].isdigit() or word in UNCOUNTED or word.rstrip("s") in DAYS)
    ]


@lru_cache(maxsize=256)
def _query_words(query: str, aside: tuple[str, ...]) -> tuple[frozenset[str], str]:
    """Return the words of a query, and the same in their order: one query is compared with many texts."""
    words = _words(query, aside)
    return frozenset(words), f" {' '.join(words)} "
