"""Says what a noun phrase names: an event, or somebody."""

from __future__ import annotations

from pipelines.english_phrases import NounPhrase
from pipelines.english_words import WORDS, singular


def is_event(phrase: NounPhrase) -> bool:
    """Whether a phrase names something that takes place."""
    return phrase.head in WORDS["events"] and phrase.kind != "mass"


def is_person(phrase: NounPhrase, *, experts: bool = False) -> bool:
    """Whether a phrase names somebody, or a trade that one may ask about with `experts`."""
    words = {word.lower() for word in (phrase.core if phrase.kind == "name" else phrase.core[-1:])}
    words |= {singular(word) or word for word in words}
    return bool(words & (WORDS["people"] | WORDS["experts"] if experts else WORDS["people"] - WORDS["experts"]))
