"""Reads a Spanish query as clauses of words, for what looks for noun phrases in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import regex

from pipelines import spanish_words as es
from pipelines.generator.phrases import one_line, without_entities
from pipelines.text.facts import ADDRESS, EMAIL, NUMBER_WORDS

if TYPE_CHECKING:
    from pipelines.records import Brief

NO_WORDS = frozenset({"URL", "MENTION", "CASHTAG", "HASHTAG", "MONEY", "PERCENT", "DATE", "TIME"})


def read_clauses(brief: Brief) -> list[list[str]]:
    """Split the query into clauses of words; "|" stands for what is no word: a number, a link, a time, a handle."""
    text = without_entities(brief.query, brief.entities, NO_WORDS, " 0 ")
    text = ADDRESS.sub(" 0 ", EMAIL.sub(" 0 ", text))
    text = es.TIME.sub(" 0 ", es.QUOTED.sub(" 0 ", one_line(text)))
    letters = regex.findall(r"\p{L}", text)
    if len(text.split()) > 2 and sum(letter.isupper() for letter in letters) > 0.7 * len(letters):
        text = text.lower()
    clauses = [es.TOKEN.findall(clause) for clause in es.CLAUSE_END.split(text)]
    return [
        [
            "|" if not es.WORD.fullmatch(token) or token.casefold() in NUMBER_WORDS - {"doble"} else token
            for token in clause
        ]
        for clause in clauses
        if clause
    ]
