"""The word lists that the verifier reads by, one set for each language."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import regex
import spacy_lookups_data  # type: ignore[import-untyped]
import srsly  # type: ignore[import-untyped]

from pipelines.records import Language


@dataclass(frozen=True)
class Vocabulary:
    """The word lists of one language, in lower case."""

    functions: frozenset[str]
    negators: frozenset[str]
    conditions: frozenset[str]
    quality: frozenset[str]
    finite: frozenset[str]
    leading_on: frozenset[str]
    plain_verbs: frozenset[str]
    throat: frozenset[str]
    between: frozenset[str]
    clause_words: frozenset[str]
    before_days: frozenset[str]
    before_months: frozenset[str]
    everyday_days: frozenset[str]
    everyday_months: frozenset[str]
    units: dict[str, str]
    days: dict[str, str]
    months: dict[str, str]
    moments: dict[str, str]
    numbers: dict[str, str]
    subjects: dict[str, str]
    joining: dict[str, str]
    small_words: dict[str, frozenset[str]]
    synonyms: dict[str, frozenset[int]]
    opposites: tuple[tuple[frozenset[str], frozenset[str]], ...]
    filler: regex.Pattern[str]
    denying: regex.Pattern[str]
    slips: tuple[regex.Pattern[str], ...]
    lemmas: dict[str, str]
    known: frozenset[str]


SETS = (
    "functions", "negators", "conditions", "quality", "finite", "leading_on", "plain_verbs", "throat", "between",
    "clause_words", "before_days", "before_months", "everyday_days", "everyday_months",
)  # fmt: skip
NAMED = ("units", "days", "months", "moments", "numbers", "subjects", "joining")


@lru_cache(maxsize=2)
def vocabulary(language: Language) -> Vocabulary:
    """Read the word lists of a language."""
    path = Path(__file__).with_name("verifier_words.json")
    lists: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))[language]
    lemmas: dict[str, str] = srsly.read_gzip_json(f"{getattr(spacy_lookups_data, language)['lemma_lookup']}.gz")
    synonyms: dict[str, set[int]] = {}
    for index, row in enumerate(lists["synonyms"]):
        for word in row.split():
            for form in (word, stem_of(word, lemmas, language)):
                synonyms.setdefault(form, set()).add(index)
    plain: dict[str, Any] = {name: frozenset(lists[name].split()) for name in SETS}
    for name in NAMED:
        plain[name] = {word: key for key, words in lists[name].items() for word in words.split()}
    return Vocabulary(
        **plain,
        small_words={name: frozenset(words.split()) for name, words in lists["small_words"].items()},
        synonyms={word: frozenset(rows) for word, rows in synonyms.items()},
        opposites=tuple(
            (frozenset(side.split()), frozenset(other.split()))
            for sides in lists["opposites"]
            for index, side in enumerate(sides)
            for other in sides[index + 1 :]
        ),
        filler=regex.compile(rf"(?<!\p{{L}})(?:{'|'.join(lists['filler'])})(?!\p{{L}})", regex.IGNORECASE),
        denying=regex.compile(lists["denying"]),
        slips=tuple(regex.compile(pattern, regex.IGNORECASE) for pattern in lists["slips"]),
        lemmas=lemmas,
        known=frozenset(lemmas) | frozenset(lemmas.values()),
    )


def stem_of(word: str, lemmas: dict[str, str], language: Language) -> str:
    """Return a word without its endings, good enough to tell whether two words are forms of one."""
    word = word.removesuffix("'s").removesuffix("'")
    bare = lemmas.get(word, word)
    for ending in ENDINGS[language]:
        if bare.endswith(ending) and len(bare) - len(ending) >= 4:
            bare = bare.removesuffix(ending)
            break
    if language == "es":
        bare = "".join(char for char in unicodedata.normalize("NFD", bare) if not unicodedata.combining(char))
        if len(bare) > 3 and bare[-1] in "aeo":
            bare = bare[:-1]
    elif len(bare) > 4 and bare[-1] == "e":
        bare = bare[:-1]
    return bare


@lru_cache(maxsize=65536)
def akin(first: str, second: str) -> bool:
    """Tell whether two stems share so long a beginning that they are of one family: register, registration."""
    if first == second:
        return True
    shorter, longer = sorted((first, second), key=len)
    if len(shorter) < 4:
        return False
    shared = next((i for i, (a, b) in enumerate(zip(shorter, longer, strict=False)) if a != b), len(shorter))
    return shared >= max(4, 0.66 * len(longer)) or (shared == len(shorter) and shared >= 5)


ENDINGS = {
    "en": (
        "ations", "ation", "ments", "ment", "ings", "ing", "ers", "er", "ies", "ied", "ed", "ions", "ion", "ly", "es",
        "s", "y",
    ),
    "es": (
        "aciones", "acion", "ación", "imientos", "imiento", "amente", "mente", "ando", "iendo", "ados", "adas", "idos",
        "idas", "ado", "ada", "ido", "ida", "aron", "ieron", "amos", "emos", "imos", "aba", "ían", "ía", "ar", "er",
        "ir", "es", "os", "as", "an", "en", "s",
    ),
}  # fmt: skip
