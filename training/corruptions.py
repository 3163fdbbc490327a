"""Breaks a text in one place, the way a bad template or a weak model does: what a fluency critic must notice.

Kinds: article, agreement, order (two neighbors swapped), doubled, missing (a function word), missing_any (any word,
which may leave a text that reads well: the hard one, reported apart). English.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Final

WORD = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)?")
ARTICLES = ("a", "an", "the")
PAIRS = (
    "is/are was/were has/have does/do isn't/aren't wasn't/weren't hasn't/haven't doesn't/don't this/these that/those "
    "goes/go says/say makes/make gets/get takes/take comes/come wants/want needs/need looks/look works/work helps/help "
    "shows/show gives/give keeps/keep means/mean knows/know thinks/think feels/feel lives/live runs/run starts/start "
    "brings/bring becomes/become continues/continue provides/provide includes/include deserves/deserve seems/seem "
    "sees/see tells/tell asks/ask tries/try leaves/leave puts/put turns/turn"
)
AGREEMENT: Final = {
    word: other
    for singular, plural in (pair.split("/") for pair in PAIRS.split())
    for word, other in ((singular, plural), (plural, singular))
}
# fmt: off
FUNCTION_WORDS = frozenset({
    "a", "an", "the", "of", "to", "in", "on", "at", "by", "for", "with", "from", "about", "into", "over", "after",
    "before", "between", "through", "during", "is", "are", "was", "were", "be", "been", "am", "has", "have", "had",
    "do", "does", "did", "will", "would", "can", "could", "should", "may", "might", "must", "and", "or", "but",
    "because", "if", "when", "while", "that", "which", "who", "what", "how", "why", "where", "as", "than", "i",
    "you", "he", "she", "it", "we", "they", "me", "him", "us", "them", "my", "your", "his", "its", "our", "their",
    "this", "these", "those", "there", "not",
})
# fmt: on


def corrupt(text: str, kind: str, chance: random.Random) -> str | None:
    """Return the text broken in one place; None where it has no place for this kind."""
    words = [match for match in WORD.finditer(text) if not _in_a_mark(text, match)]
    broken = KINDS[kind](text, words, chance)
    return broken if broken != text else None


def _article(text: str, words: list[re.Match[str]], chance: random.Random) -> str | None:
    places = [word for word in words if word[0].lower() in ARTICLES]
    if not places:
        return None
    word = chance.choice(places)
    swaps = {"a": ["an", "", "the a"], "an": ["a", "", "the an"], "the": ["", "a the", "the the"]}
    return _replaced(text, word, chance.choice(swaps[word[0].lower()]))


def _agreement(text: str, words: list[re.Match[str]], chance: random.Random) -> str | None:
    places = [word for word in words if word[0].lower() in AGREEMENT]
    if not places:
        return None
    word = chance.choice(places)
    return _replaced(text, word, AGREEMENT[word[0].lower()])


def _order(text: str, words: list[re.Match[str]], chance: random.Random) -> str | None:
    pairs = [
        (first, second)
        for first, second in pairwise(words)
        if text[first.end() : second.start()] == " " and first[0].lower() != second[0].lower()
    ]
    if not pairs:
        return None
    first, second = chance.choice(pairs)
    swapped = f"{_cased(second[0], first[0])} {_cased(first[0], second[0])}"
    return text[: first.start()] + swapped + text[second.end() :]


def _doubled(text: str, words: list[re.Match[str]], chance: random.Random) -> str | None:
    if not words:
        return None
    word = chance.choice(words)
    again = word[0] if word[0] == "I" or word[0].isupper() else word[0].lower()
    return text[: word.end()] + " " + again + text[word.end() :]


def _missing(text: str, words: list[re.Match[str]], chance: random.Random) -> str | None:
    places = [word for word in words if word[0].lower() in FUNCTION_WORDS]
    return _replaced(text, chance.choice(places), "") if places else None


def _missing_any(text: str, words: list[re.Match[str]], chance: random.Random) -> str | None:
    return _replaced(text, chance.choice(words), "") if len(words) > 1 else None


def _replaced(text: str, word: re.Match[str], new: str) -> str:
    """Put a word in another's place; a sentence start stays capitalized, no double space is left behind."""
    if new:
        return text[: word.start()] + _cased(new, word[0]) + text[word.end() :]
    rest = text[word.end() :].removeprefix(" ")
    if word[0][0].isupper() and (word.start() == 0 or text[: word.start()].rstrip()[-1:] in {".", "!", "?"}):
        rest = rest[:1].upper() + rest[1:]
    head = text[: word.start()]
    return (head.rstrip(" ") if rest[:1] in {".", ",", "!", "?", ";", ":"} else head) + rest


def _cased(new: str, old: str) -> str:
    if old.isupper() and len(old) > 1:
        return new.upper()
    if old[:1].isupper() and old != "I":
        return new[:1].upper() + new[1:]
    return new


def _in_a_mark(text: str, word: re.Match[str]) -> bool:
    """Whether a word belongs to a hashtag, a mask or an abbreviation."""
    before, after = text[word.start() - 1 : word.start()], text[word.end() : word.end() + 1]
    return before in {"#", "<", "@", "&", "'", "/"} or after in {">", "/", "'"}


KINDS: Final[dict[str, Callable[[str, list[re.Match[str]], random.Random], str | None]]] = {
    "article": _article,
    "agreement": _agreement,
    "order": _order,
    "doubled": _doubled,
    "missing": _missing,
    "missing_any": _missing_any,
}
# What the aim of the card speaks of; the hard kind stands apart.
JUDGED: Final = ("article", "agreement", "order", "doubled", "missing")
