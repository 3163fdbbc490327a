"""Small lists of words: function words, what leads on, fillers, and words that have lost their apostrophe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from pipelines.records import Language

LISTS: Final[dict[str, Any]] = json.loads(Path(__file__).with_name("words.json").read_text(encoding="utf-8"))
FUNCTION_WORDS: Final[dict[Language, frozenset[str]]] = {
    language: frozenset(words.split()) for language, words in LISTS["function_words"].items()
}
FILLERS: Final[dict[Language, tuple[str, ...]]] = {
    language: tuple(phrases) for language, phrases in LISTS["fillers"].items()
}
# What a text does not end on unless it breaks off.
LEADING_ON: Final[dict[Language, frozenset[str]]] = {
    language: frozenset(words.split()) for language, words in LISTS["leading_on"].items()
}
# What opens with one of these and has no second clause breaks off.
SUBORDINATE: Final[dict[Language, frozenset[str]]] = {
    language: frozenset(words.split()) for language, words in LISTS["subordinate"].items()
}
UNAPOSTROPHED: Final = frozenset(LISTS["unapostrophed"].split())
