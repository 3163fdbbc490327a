"""The words of posts: what each is about, by dictionary form, hashtags included."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, cast

import regex

from pipelines.imports import import_without
from pipelines.query_analyzer.lexicon import Lexicon, load_lexicon
from pipelines.records import Language
from pipelines.text.languages import identify
from pipelines.text.letters import plain_letters
from pipelines.text.tweets import entities

SPOKEN: Final = ("en", "es")
LEAST_LETTERS: Final = 3
MAX_LETTERS: Final = 40
# Where no dictionary tells small words from others.
LEAST_LETTERS_ELSEWHERE: Final = 5
WORD: Final = regex.compile(r"[\p{L}\p{M}]+(?:['\u2019-][\p{L}\p{M}]+)*")
NO_WORDS: Final = frozenset({"URL", "MENTION", "CASHTAG", "EMOJI"})


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of n texts: the distinct ones of each, and how each is mostly written; `languages` of the texts."""

    of_texts: tuple[frozenset[str], ...]
    written: dict[str, str]
    languages: tuple[str, ...]


def read_terms(texts: Sequence[str]) -> Terms:
    """Read what texts are about: content words in English and Spanish, elsewhere words of 5 letters and more.

    Of a hashtag the word counts, whatever stands around it. Links, handles, amounts and emoji are no words.
    """
    spellings: defaultdict[str, Counter[str]] = defaultdict(Counter)
    found: list[frozenset[str]] = []
    languages = [identify(unicodedata.normalize("NFC", text)) for text in texts]
    for text, language in zip(texts, languages, strict=True):
        terms = _terms(plain_letters(unicodedata.normalize("NFC", text)), language)
        for term, spelling in terms.items():
            spellings[term][spelling] += 1
        found.append(frozenset(terms))
    # Of spellings as frequent the first in the alphabet: the order of the texts says nothing.
    written = {term: min(counts, key=lambda one: (-counts[one], one)) for term, counts in spellings.items()}
    return Terms(tuple(found), written, tuple(languages))


def _terms(text: str, language: str) -> dict[str, str]:
    """Return dictionary form -> spelling in small letters."""
    terms: dict[str, str] = {}
    prose, position = [], 0
    for mark in entities(text):
        if mark.label in NO_WORDS or mark.label == "HASHTAG":
            prose += [text[position : mark.start], " | "]
            position = mark.end
        if mark.label == "HASHTAG":
            tag = mark.text[1:].casefold()
            terms[_lemma(tag, language)] = tag
    plain = "".join([*prose, text[position:]])
    if language in SPOKEN:
        words = [(word.lemma, word.text.lower()) for word in _lexicon(language).words(plain) if word.content]
        least = LEAST_LETTERS
    else:
        words = [(word.casefold(), word.casefold()) for word in WORD.findall(plain)]
        least = LEAST_LETTERS_ELSEWHERE
    for lemma, spelling in words:
        terms.setdefault(lemma, spelling)
    return {lemma: word for lemma, word in terms.items() if least <= len(word) <= MAX_LETTERS}


def _lemma(tag: str, language: str) -> str:
    return _lexicon(language).lemmas.get(tag, tag) if language in SPOKEN else tag


@lru_cache(maxsize=2)
def _lexicon(language: str) -> Lexicon:
    # spaCy's thinc takes torch along wherever it is installed: 180 MB that a tokenizer needs not.
    import_without("spacy", "torch")
    return load_lexicon(cast("Language", language))
