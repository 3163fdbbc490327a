"""Tells the language of a short text by script, function words, dictionaries and CLD2's n-grams.

Links, handles, tags, emoji, numbers and names do not decide: what they leave may show a language or none.
"""

from __future__ import annotations

import json
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pycld2  # type: ignore[import-untyped]
import regex

from pipelines.text.dictionaries import knows
from pipelines.text.letters import plain_letters, without_letters
from pipelines.text.tweets import entities

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pipelines.text.tweets import Entity

UNDETERMINED: Final = "und"
# What stands behind says nothing that stands not before.
READ_CHARACTERS: Final = 300
FUNCTION_WORDS: Final = Path(__file__).with_name("function_words.json")
SIBLINGS: Final = ("pt", "gl", "it", "ca", "fr")
ELIDING: Final = ("fr", "it", "ca")

# Points for a language. The Spanish dictionary has words of its siblings: they count less where those lead.
FUNCTION_WORD: Final = 1.0
KNOWN_WORD: Final = 0.5
SIBLING_WORD: Final = 0.25
SPANISH_SIGN: Final = 1.5
PRIOR: Final = 0.2
# CLD2 also calls short English and Spanish texts Danish: sure of itself, but below this of its own measure, it is less
# worth. What it takes for English is anything with an English word in it.
STRONG_SCORE: Final = 1000
STRONG_GUESS, FAIR_GUESS, WEAK_GUESS, ENGLISH_GUESS = 2.0, 1.0, 0.5, 0.5
# What another language needs, and needs more than English, Spanish and the default have.
ENOUGH: Final = 1.5
LEAD: Final = 0.5
# So many words in a row that no dictionary knows are no slang; with CLD2 sure of another language two are enough.
UNKNOWN_WORDS: Final = 3


@dataclass(slots=True)
class Evidence:
    """What the words of a text say."""

    points: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    english: int = 0
    spanish: int = 0
    unknown: int = 0
    foreign_letters: int = 0
    all_capitalized: bool = False


def identify(text: str, default: str = "en", marks: Iterable[Entity] | None = None) -> str:
    """Return the ISO 639-1 code of an NFC text's language, or `und`.

    A text that shows none, such as a list of names, is in the default one. `und` is a text without any word, and one
    that is in none of default, English and Spanish but cannot be named with confidence.

    Args:
        text: what is read, its start alone where it is long.
        default: ISO 639-1 code.
        marks: entities of the text, where the caller has them.
    """
    text = text[:READ_CHARACTERS]
    plain = plain_letters(text)
    found = without_letters(plain, entities(text) if marks is None else marks)
    found = [mark for mark in found if mark.label in MARKS]
    prose = _prose(plain, found, tags=False)
    if not WORD.search(prose):
        prose = _prose(plain, found, tags=True)
    if not any(len(word) > 1 for word in WORD.findall(prose)):
        return UNDETERMINED
    if not prose.isascii() and _is_of_other_script(prose):
        code, _ = _guess(prose)
        return code if code not in {"en", "es"} else UNDETERMINED
    return _identify_latin(_without_names(prose), default)


def _identify_latin(prose: str, default: str) -> str:
    evidence = _weigh(prose)
    points = evidence.points
    code, weight = _guess(prose)
    if evidence.all_capitalized:  # perhaps nothing but names
        evidence.foreign_letters *= weight >= FAIR_GUESS
        weight = min(weight, FAIR_GUESS)
    points[code] += ENGLISH_GUESS * (weight >= FAIR_GUESS) if code == "en" else weight
    siblings_lead = max(points[sibling] for sibling in SIBLINGS) > points["es"]
    points["en"] += KNOWN_WORD * evidence.english
    points["es"] += (SIBLING_WORD if siblings_lead else KNOWN_WORD) * evidence.spanish
    points[default] += PRIOR
    spoken = {language: points.pop(language) for language in dict.fromkeys((default, "en", "es"))}
    mine = max(spoken, key=spoken.__getitem__)
    most = max(points.values())
    if most >= max(ENOUGH, spoken[mine] + LEAD):
        return code if [language for language in points if points[language] == most] == [code] else UNDETERMINED
    if evidence.foreign_letters >= spoken[mine]:
        return UNDETERMINED
    unknown = evidence.unknown + (code not in spoken and weight >= FAIR_GUESS)
    return UNDETERMINED if unknown >= UNKNOWN_WORDS and spoken[mine] < KNOWN_WORD else mine


def _weigh(prose: str) -> Evidence:
    """Count each word once for all languages that it is a function word of; others are looked up."""
    evidence = Evidence()
    if SPANISH.search(prose):
        evidence.points["es"] += SPANISH_SIGN
    written = WORD.findall(prose)
    evidence.all_capitalized = all(word[0].isupper() for word in written)
    for word in dict.fromkeys(word.lower().replace("\u2019", "'").removesuffix("'s") for word in written):
        owners = function_words().get(word, ())
        for language in (*owners, *(ELIDING if ELIDED.match(word) else ())):
            evidence.points[language] += FUNCTION_WORD
        if "en" in owners or "es" in owners:
            continue
        english, spanish = (len(word) > 2 and knows(language, word) for language in ("en", "es"))
        evidence.english += english and not spanish
        evidence.spanish += spanish and not english
        if not (english or spanish):
            evidence.unknown += not owners and len(word) > 2 and not evidence.all_capitalized
            evidence.foreign_letters += FOREIGN.search(word) is not None
    return evidence


def _guess(prose: str) -> tuple[str, float]:
    """Return CLD2's language, `und` for none of ISO 639-1, and what it is worth."""
    try:
        reliable, _, guesses = pycld2.detect(prose, isPlainText=True)
        sure = reliable and guesses[0][1] != "un"
        if not sure:
            _, _, guesses = pycld2.detect(prose, isPlainText=True, bestEffort=True)
    except pycld2.error:  # it takes control characters for broken UTF-8
        return UNDETERMINED, 0.0
    _, code, _, score = guesses[0]
    code = NEWER_CODES.get(code, code.partition("-")[0])
    if len(code) != 2 or code == "un":
        return UNDETERMINED, 0.0
    return code, (STRONG_GUESS if score >= STRONG_SCORE else FAIR_GUESS) if sure else WEAK_GUESS


def _prose(text: str, marks: list[Entity], *, tags: bool) -> str:
    """Return the text without links, handles, emoji and tags, or with the words of tags; styled letters are plain."""
    parts: list[str] = []
    position = 0
    for mark in marks:
        word = text[mark.start + 1 : mark.end] if tags and mark.label == "HASHTAG" else ""
        parts += [text[position : mark.start], f" {word}. "]
        position = mark.end
    return unicodedata.normalize("NFKC", "".join([*parts, text[position:]]))


def _without_names(prose: str) -> str:
    """Return the text without capitalized words, but for function words and what opens a sentence by itself.

    Where every word is capitalized none is a name for that.
    """

    def kept(match: regex.Match[str]) -> str:
        first, *others = match[0].split()
        words = [word for word in others if word[0].isupper() and _is_function_word(word)]
        if _is_function_word(first) or (not others and OPENING.search(prose, 0, match.start())):
            words.insert(0, first)
        return " ".join(words)

    if all(word[0].isupper() for word in WORD.findall(prose) if len(word) > 3):
        return prose
    return NAMES.sub(kept, prose)


def _is_function_word(word: str) -> bool:
    return word.lower() in function_words() and (len(word) == 1 or not word.isupper())


def _is_of_other_script(prose: str) -> bool:
    other = len(OTHER_LETTER.findall(prose)) + len(DENSE_LETTER.findall(prose))
    return other > len(LATIN_LETTER.findall(prose))


@lru_cache(maxsize=1)
def function_words() -> Mapping[str, tuple[str, ...]]:
    """Read the languages of each word."""
    owners: defaultdict[str, tuple[str, ...]] = defaultdict(tuple)
    for language, lines in json.loads(FUNCTION_WORDS.read_text(encoding="utf-8")).items():
        for word in " ".join(lines).split():
            owners[word] += (language,)
    return dict(owners)


MARKS: Final = frozenset({"URL", "MENTION", "CASHTAG", "EMOJI", "HASHTAG"})
NEWER_CODES: Final = {"iw": "he", "jw": "jv", "nb": "no", "nn": "no"}
WORD = regex.compile(r"\p{L}[\p{L}\p{M}]*+(?:['\u2019]\p{L}++)*+")
_CAPITALIZED = r"\p{Lu}[\p{L}\p{M}\p{N}'\u2019-]*+"
_JOINT = r"(?:(?:de|del|la|las|los|el|da|do|dos|di|du|le|al|van|von|der|den|y|e|of|&)\s+){0,3}+"
NAMES = regex.compile(rf"(?<![\p{{L}}\p{{N}}]){_CAPITALIZED}(?:\s+{_JOINT}{_CAPITALIZED})*+")
OPENING = regex.compile(r"(?:^|[.!?…:;|\n\u2014\u201c\"¡¿(])\s*+$")
ELIDED = regex.compile(r"(?:[ldjn]|qu)'\p{L}{2}")
# In a name ñ says nothing.
SPANISH = regex.compile(r"[¿¡]|(?<!\p{L})\p{Ll}*?ñ[aeiou]")
FOREIGN = regex.compile(r"[\p{Latin}--[a-zñáéíóúü]]", regex.VERSION1)
LATIN_LETTER = regex.compile(r"\p{Latin}")
OTHER_LETTER = regex.compile(r"[\p{L}--\p{Latin}]", regex.VERSION1)
# A letter that is a syllable or a word.
DENSE_LETTER = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]")
