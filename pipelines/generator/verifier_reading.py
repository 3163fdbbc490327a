"""Reads a brief or a post for the verifier: its words in sentences and clauses, and what it states exactly."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache

from pipelines.generator.verifier_facts import Fact, Token, fact_at, tokens_of
from pipelines.generator.verifier_vocabulary import stem_of, vocabulary
from pipelines.records import Language


@dataclass(frozen=True, slots=True)
class Word:
    """A word in its place among the others; `clause` and `sentence` count from 0."""

    text: str
    folded: str
    stem: str
    place: int
    sentence: int
    clause: int
    content: bool
    negates: bool
    first: bool


@dataclass(frozen=True)
class Reading:
    """A text with its words and facts; places count words, facts and marks together."""

    text: str
    words: tuple[Word, ...]
    facts: tuple[Fact, ...]
    clauses: dict[int, int] = field(hash=False)


@lru_cache(maxsize=512)
def read(text: str, language: Language) -> Reading:
    """Split a text into words, and find its facts."""
    lists = vocabulary(language)
    text = unicodedata.normalize("NFC", text)
    for curly, plain in (("\u2019", "'"), ("\u2018", "'"), ("\u00a0", " ")):
        text = text.replace(curly, plain)
    tokens = tokens_of(text, lists)
    facts: list[Fact] = []
    words: list[Word] = []
    clauses: dict[int, int] = {}
    place = sentence = clause = 0
    first = True
    for index, (kind, token) in enumerate(tokens):
        if kind == "mark":
            ends = token[0] in "\n.!?…"
            sentence += ends
            clause += ends or (token in CLAUSE_MARKS and not _in_range(tokens, index))
            first = first or ends
            continue
        folded = token.casefold()
        clause += kind == "word" and folded in lists.clause_words
        clauses[place] = clause
        if (fact := fact_at(tokens, index, place, lists)) is not None:
            facts.append(fact)
        elif kind == "word":
            negates = folded in lists.negators or folded.endswith("n't")
            bare = folded.removesuffix("'s").removesuffix("'")
            unit = folded in lists.units and index > 0 and tokens[index - 1].kind == "number"
            content = not (negates or unit or {bare, folded} & lists.functions) and len(bare) > 1
            stem = stem_of(folded, lists.lemmas, language)
            words.append(Word(token, folded, stem, place, sentence, clause, content, negates, first))
        first = False
        place += 1
    return Reading(text=text, words=tuple(words), facts=tuple(facts), clauses=clauses)


def _in_range(tokens: list[Token], index: int) -> bool:
    """Tell whether a mark stands between two numbers or two words: 8-17, Tue-Sat."""
    if tokens[index].text not in RANGE_MARKS or not 0 < index < len(tokens) - 1:
        return False
    return tokens[index - 1].kind == tokens[index + 1].kind and tokens[index - 1].kind in {"number", "word"}


CLAUSE_MARKS = frozenset(",;:()\u2013\u2014-/|•")
RANGE_MARKS = frozenset("-\u2013\u2014/")
