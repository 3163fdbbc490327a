"""Reads from a Spanish query what it says in whole sentences: questions, statements, offers, times and how-tos."""

from __future__ import annotations

from typing import TYPE_CHECKING

import regex

from pipelines import spanish_words as es
from pipelines.facts import ADDRESS, EMAIL, NUMBER_WORDS
from pipelines.phrases import capitalized, one_line, without_entities
from pipelines.spanish_grammar import is_infinitive, is_verb
from pipelines.spanish_nouns import NounPhrase, is_noun

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.records import Brief

NO_WORDS = frozenset({"URL", "MENTION", "CASHTAG", "HASHTAG", "MONEY", "PERCENT", "DATE", "TIME"})
MAX_ACTION_WORDS = 6
MAX_SENTENCE_WORDS = 6


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


def find_action(clauses: Sequence[Sequence[str]]) -> str | None:
    """Return what the query tells how to do, from the infinitive on, in at most MAX_ACTION_WORDS words."""
    for clause in map(_without_command, clauses):
        words = [word.casefold() for word in clause]
        for index, word in enumerate(words[:-1]):
            if not (is_infinitive(word) and _opens_action(words, index)) or set(words[:index]) & es.NEGATIONS:
                continue
            end = next((at for at in range(index + 1, len(words)) if words[at] in es.ACTION_ENDS), len(words))
            taken = clause[index : _fitting_end(words, index, end)]
            while taken and taken[-1].casefold() in es.FUNCTION_WORDS - {"mejor", "bien", "más"}:
                taken = taken[:-1]
            if len(taken) > 1 and not word.endswith(("me", "nos", "te")):
                return " ".join([taken[0].lower(), *taken[1:]])
    return None


def _without_command(clause: Sequence[str]) -> Sequence[str]:
    """Return a clause with the infinitive in the place of an imperative that opens it (adopta -> adoptar)."""
    words = [word.casefold() for word in clause]
    if words[0] in es.COMMANDS and words[1:2] != ["a"] and not (es.OWN | {"|"}) & set(words):
        return [es.COMMANDS[words[0]], *clause[1:]]
    return clause


def _opens_action(words: Sequence[str], index: int) -> bool:
    """Whether what stands before an infinitive says that the query is about how to do it."""
    before = words[index - 1] if index else "cómo"
    return (
        before in {"cómo", "como", "encanta", "gusta", "quiero", "queremos"}
        or (before == "para" and bool(es.ACTION_NOUN & set(words[:index])))
        or (before == "a" and words[index - 2] in es.LEADING)
    )


def _fitting_end(words: Sequence[str], start: int, end: int) -> int:
    """Return where an action ends that is cut before its last part that does not fit."""
    if end - start <= MAX_ACTION_WORDS:
        return end
    borders = [at for at in range(start + 2, start + MAX_ACTION_WORDS + 1) if words[at] in es.PREPOSITIONS]
    apart = [at for at in borders if words[at] not in {"de", "del"}]
    return (apart or borders or [start])[-1]


def opens_with(action: str, clauses: Sequence[Sequence[str]]) -> bool:
    """Whether the query is about how to do something: that opens its first clause, or one with `cómo`."""
    first = action.split(maxsplit=1)[0]
    for place, clause in enumerate(clauses):
        words = [es.COMMANDS.get(word.casefold(), word.casefold()) for word in clause]
        start = words.index(first) if first in words else len(words)
        if start < len(words) and (words[0] == "cómo" or place == 0):
            return not any(is_noun(word) and word not in es.ACTION_NOUN for word in words[:start])
    return False


def find_moment(brief: Brief, phrase: NounPhrase) -> str | None:
    """Return the one time that the sentence of the topic names, where it says that something is to come."""
    for sentence in es.SENTENCE_END.split(one_line(brief.query)):
        moments = [match[0].strip() for match in es.TIME.finditer(sentence)]
        if phrase.text.casefold() not in sentence.casefold() or not moments:
            continue
        words = [word.casefold() for word in es.TOKEN.findall(es.TIME.sub(" ", sentence))]
        verbs = [word for word in words if is_verb(word)]
        coming = not verbs or any(word in es.COMING for word in verbs)
        if len(moments) == 1 and coming and not es.NEGATIONS & set(words) and "?" not in sentence:
            return moments[0][0].lower() + moments[0][1:]
    return None


def _thanks(words: Sequence[str]) -> str | None:
    """Return whom or for what a sentence thanks, cut before its last part that does not fit."""
    cuts = [len(words), *(at for at in range(len(words) - 1, 2, -1) if words[at].casefold() in {"por", "a", "en"})]
    end = next((at for at in cuts if 2 < at <= MAX_SENTENCE_WORDS), None)
    return " ".join(["Gracias", *words[1:end]]) if end and all(word[0].isalpha() for word in words[:end]) else None


def find_sentences(brief: Brief) -> dict[str, str]:
    """Return a short statement and a short question of the query, whole and with their marks."""
    found: dict[str, str] = {}
    for match in es.SENTENCE.finditer(one_line(brief.query)):
        text, mark = match[1].strip(), match[2]
        words = [word.casefold() for word in es.TOKEN.findall(text)]
        offer = es.OFFER.search(es.TIME.split(text)[0])
        if offer and not es.NEGATIONS & set(words) and not text[: offer.start()].rstrip().endswith("hasta"):
            found.setdefault("oferta", offer[0])
        thanks = _thanks(es.TOKEN.findall(text)) if words[:1] == ["gracias"] and "?" not in mark else None
        if thanks:
            found.setdefault("gracias", thanks)
            continue
        if not 2 < len(words) <= MAX_SENTENCE_WORDS or regex.search(r"[@#/|{}<>*_~%\p{Emoji_Presentation}]", text):
            continue
        if "?" in mark or "¿" in text:
            if "?" in mark and ("¿" not in text or text.startswith("¿")) and "¡" not in text:
                found.setdefault("pregunta", f"¿{capitalized(text.lstrip('¿'))}?")
        elif (
            words[0] not in es.NO_STATEMENT
            and words[0] not in es.IMPERATIVES
            and not is_infinitive(words[0])
            and not {"|", "cómo"} & set(words)
            and any(is_verb(word) and word not in es.HOMONYMS for word in words)
        ):
            shouted = "¡" in text and "!" in mark
            text = capitalized(text.replace("¡", "").strip())
            found.setdefault("hecho", f"¡{text}!" if shouted else f"{text}.")
    return found


def find_news(clause: Sequence[str], phrase: NounPhrase, *, timed: bool) -> str | None:
    """Return the verb by which the author announces the topic, with the topic; a time between the two is left out."""
    words = [word.casefold() for word in clause if not (timed and word == "|")]
    topic = [*([phrase.determiner] if phrase.determiner else []), *(word.casefold() for word in phrase.words)]
    start = next((at for at in range(len(words)) if words[at : at + len(topic)] == topic), 0)
    said = " ".join([*topic[: len(topic) - len(phrase.words)], *phrase.words])
    if set(words) & es.NEGATIONS - {"sin"} or {"si", "cómo", "que", "quien"} & set(words[:start]):
        return None
    if start and words[start - 1] in es.ANNOUNCING:
        return f"{words[start - 1]} {said}"
    if start > 1 and words[start - 2] in {"hemos", "he"} and words[start - 1] in es.ANNOUNCED:
        return f"{words[start - 2]} {words[start - 1]} {said}"
    after = words[start + len(topic) :]
    if timed and phrase.determiner and after and after[0] in es.COMING_VERBS:
        return f"{after[0]} {said}"
    if phrase.determiner in es.OWN and after[:3] in (["ya", "está", "disponible"], ["ya", "están", "disponibles"]):
        return f"{said} {' '.join(after[:3])}"
    return None
