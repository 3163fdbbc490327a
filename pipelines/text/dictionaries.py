"""The word forms of English and Spanish and their lemmas, from spaCy's lookup tables."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import spacy_lookups_data  # type: ignore[import-untyped]
import srsly  # type: ignore[import-untyped]

from pipelines.records import Language

# Endings that are often typed without their accent.
UNACCENTED: Final = (("ion", "ión"), ("ia", "ía"))


@lru_cache(maxsize=2)
def lemmas(language: Language) -> dict[str, str]:
    """Return the lemma of each inflected form."""
    table: dict[str, str] = srsly.read_gzip_json(f"{getattr(spacy_lookups_data, language)['lemma_lookup']}.gz")
    return table


@lru_cache(maxsize=2)
def base_forms(language: Language) -> frozenset[str]:
    """Return the lemmas themselves, which are no keys of the table."""
    return frozenset(lemmas(language).values())


def knows(language: Language, word: str) -> bool:
    """Tell whether a word in small letters is in the dictionary; for Spanish also without the accent of its ending."""
    table, bases = lemmas(language), base_forms(language)
    if word in table or word in bases:
        return True
    return language == "es" and any(
        word.removesuffix(plain) + accented in table or word.removesuffix(plain) + accented in bases
        for plain, accented in UNACCENTED
        if word.endswith(plain)
    )
