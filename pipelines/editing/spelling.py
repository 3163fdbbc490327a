"""Which words are known, and what an unknown one is most likely meant to be.

Words come from two packages: the frequency lists of pyspellchecker (MIT; film subtitles, cleaned) and the lemma tables
of spacy-lookups-data, which know the British spellings and the forms of Spanish verbs that the former lack. Only hashes
of words are kept: 1.7 MB for English, 0.7 MB and a table of accents for Spanish.
"""

from __future__ import annotations

import gzip
import json
from array import array
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import regex

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.records import Language

PATHS: Final[dict[Language, Path]] = {
    "en": Path(__file__).with_name("polish_en.json"),
    "es": Path(__file__).with_name("polish_es.json"),
}
# How often the subtitles hold a word that a slip may be corrected to, one that makes a correction doubtful, ...
FREQUENT, KNOWN_ENOUGH, ACCENTED_ENOUGH = 500, 60, 100
COMMON = 4000
# A correction must be so many times as frequent as the next.
CLEAR_LEAD = 20
MIN_LETTERS = 5
COUNT = regex.compile(r'"([^"]+)": ?(\d+)')
MIN_PART = 3
LONG = 8
# Letters that nobody hits by chance: a word with one more or less is another, `commonjs` for one.
RARE = frozenset("jkqvwxz")
STRETCHED = regex.compile(r"(.)\1\1|(.)\2$")
LETTERS = "abcdefghijklmnopqrstuvwxyz"
ENDINGS = regex.compile(
    r"(?:'s|s|es|ed|d|ing|er|ers|r|rs|or|ors|y|ish|ly|ness|less|ful|able|ism|ist|ists|ify|ification|like|wise|ville|"
    r"ette|o|os|ie|ies|ster|sters)$"
)
BEGINNINGS = regex.compile(
    r"^(?:un|re|non|pre|anti|over|under|mini|micro|super|ultra|multi|co|de|dis|mis|out|sub|inter|hyper|mega|bio|eco|"
    r"cyber|crypto|e|i|up|down|off|on|in|post|pro|semi|self|tele|uni|up|vice)(?=\p{L}{3})"
)
BARE = str.maketrans("áéíóúñü", "aeiounu")


@dataclass(frozen=True)
class Words:
    """The words of one language by their hashes, and what a slip may be corrected to with its frequency."""

    known: array[int]
    frequent: dict[str, int]

    def __contains__(self, word: str) -> bool:
        value = hash(word)
        place = bisect_left(self.known, value)
        return place < len(self.known) and self.known[place] == value


@lru_cache(maxsize=1)
def english() -> Words:
    """Read the English words."""
    own = load("en")
    hashes, frequent = array("q", map(hash, own["known"])), {}
    for word, count in _counts("en"):
        hashes.append(hash(word))
        if count >= KNOWN_ENOUGH and word.isascii():
            frequent[word] = count
    slips = set(map(hash, own["misspelled"]))
    for name in ("en_lemma_lookup.json.gz", "en_lemma_index.json.gz"):
        hashes.extend(hash(word) for word in _lemmas(name))
    return Words(array("q", sorted(value for value in hashes if value not in slips)), frequent)


@lru_cache(maxsize=1)
def spanish() -> Words:
    """Read the Spanish words without those that only conjugation makes."""
    hashes = array("q", map(hash, load("es")["known"]))
    hashes.extend(hash(word) for word, _ in _counts("es"))
    return Words(array("q", sorted(hashes)), {})


@lru_cache(maxsize=1)
def accents() -> dict[str, str]:
    """Return the accented word for each that is no word without its accent.

    `envio` may be `envío` and `envió`, so what ends alike has none.
    """
    own = load("es")
    found: dict[str, str] = {}
    doubtful = set(own["both"])
    for word, count in _counts("es"):
        bare = word.translate(BARE)
        if bare == word:
            continue
        if found.setdefault(bare, word) != word or count < ACCENTED_ENOUGH or word.endswith(("ío", "íe")):
            doubtful.add(bare)
    doubtful.update(word for word, _ in _counts("es") if word in found)
    doubtful.update(word for word in _lemmas("es_lemma_lookup.json.gz") if word in found)
    restored = {bare: word for bare, word in found.items() if bare not in doubtful}
    restored.update(own["accents"])
    return restored


@lru_cache(maxsize=2)
def load(language: Language) -> dict[str, Any]:
    """Read polish_en.json or polish_es.json: the lists of corrections by kind, see pipelines.editing.polish."""
    content: dict[str, Any] = json.loads(PATHS[language].read_text(encoding="utf-8"))
    return content


@lru_cache(maxsize=8192)
def is_known(word: str) -> bool:
    """Whether a lower-case word is English or Spanish, or is made of English words."""
    words = english()
    return word in words or word in spanish() or _is_derived(word, words) or word in accents()


@lru_cache(maxsize=8192)
def corrected(word: str) -> str | None:
    """Return the one frequent English word that an unknown lower-case word is a slip of; None where in doubt.

    A slip is one letter too many, missing, wrong or two swapped, with the first letter right.
    """
    if len(word) < MIN_LETTERS or not (word.isascii() and word.isalpha()) or is_known(word):
        return None
    frequent = english().frequent
    if word.endswith("ys") and (plural := f"{word[:-2]}ies") in frequent:
        return plural
    if word.endswith("os") and f"{word[:-1]}es" in frequent:
        return f"{word[:-1]}es"
    ranked = sorted(((frequent[found], found) for found in set(_edits(word)) if found in frequent), reverse=True)
    if not ranked or ranked[0][0] < FREQUENT:
        return None
    count, best = ranked[0]
    clear = all(count >= CLEAR_LEAD * other for other, _ in ranked[1:])
    return best if clear and _is_slip(word, best) else None


def _is_slip(word: str, best: str) -> bool:
    """Whether a word looks like a slip of the other rather than a name, slang or a new word that is near to it.

    `drinkin`, `sorrry` and `backk` are meant; `symposiu` was cut off; `religio` is foreign.
    """
    meant = STRETCHED.search(word) or best.startswith(word) or word.startswith(best)
    if meant or (word[-1] in "aiou" and word[-1] != best[-1]):
        return False
    if len(word) != len(best):
        short, long = sorted((word, best), key=len)
        place = next((n for n, letter in enumerate(short) if letter != long[n]), len(short))
        doubled = long[place] in long[max(0, place - 1) : place] + long[place + 1 : place + 2]
        return doubled or (len(long) >= LONG and long[place] not in RARE)
    wrong = [n for n, (a, b) in enumerate(zip(word, best, strict=True)) if a != b]
    if len(wrong) > 1:
        return len(word) >= LONG or english().frequent[best] >= COMMON
    letters = {word[wrong[0]], best[wrong[0]]}
    return len(word) > LONG - 2 if letters <= set("aeiouy") else len(word) > LONG and not RARE & letters


def _edits(word: str) -> Iterator[str]:
    """Yield what one slip makes of a word, its first letter kept."""
    for place in range(1, len(word) + 1):
        head, tail = word[:place], word[place:]
        if tail:
            yield head + tail[1:]
        if len(tail) > 1:
            yield head + tail[1] + tail[0] + tail[2:]
        for letter in LETTERS:
            yield head + letter + tail
            if tail:
                yield head + letter + tail[1:]


def _is_derived(word: str, words: Words) -> bool:
    """Whether a word is a known one with a prefix or an ending, or two frequent ones in one."""
    if any(word[:place] in words for place in _stems(word)) or any(
        f"{word[:place]}e" in words for place in _stems(word) if place > MIN_PART
    ):
        return True
    prefix = BEGINNINGS.match(word)
    if prefix and word[prefix.end() :] in words:
        return True
    frequent = words.frequent
    return any(
        frequent.get(word[:place], 0) >= FREQUENT and frequent.get(word[place:], 0) >= FREQUENT
        for place in range(MIN_PART, len(word) - MIN_PART + 1)
    )


def _stems(word: str) -> Iterator[int]:
    """Yield where an ending of the word begins; a doubled consonant before it counts once."""
    for place in range(MIN_PART, len(word)):
        if ENDINGS.fullmatch(word, place):
            yield place
            if word[place - 1] == word[place - 2]:
                yield place - 1


def _counts(language: Language) -> Iterator[tuple[str, int]]:
    packed = files("spellchecker").joinpath("resources", f"{language}.json.gz").read_bytes()
    for match in COUNT.finditer(gzip.decompress(packed).decode()):
        yield match[1], int(match[2])


def _lemmas(name: str) -> Iterator[str]:
    """Yield the words of a lemma table, line by line, without building it: it has half a million."""
    path = files("spacy_lookups_data").joinpath("data", name)
    with path.open("rb") as packed, gzip.open(packed, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield from (word for word in line.split('"')[1::2] if "_" not in word)
