"""Tells of a single Spanish word what it can be: verb, infinitive, adjective, its gender, number and kind.

By lists and endings alone (spanish_words); it sees no context.
"""

from __future__ import annotations

import regex

from pipelines import spanish_words as es


def is_verb(word: str) -> bool:
    """Whether a word is a finite verb, by list or ending."""
    word = word.casefold()
    return (
        word in es.VERBS
        or word in es.PRESENTING
        or (es.FINITE_ENDINGS.match(word) is not None and word not in es.NOT_FINITE)
    )


def is_infinitive(word: str) -> bool:
    """Whether a word is an infinitive, by ending and a list of nouns that end alike."""
    return es.INFINITIVE.fullmatch(word) is not None and word.casefold() not in es.NOT_INFINITIVES


def is_adjective(word: str) -> bool:
    """Whether a lower-case word that stands behind a noun reads as its adjective, by list or ending."""
    if word in es.FUNCTION_WORDS:
        return False
    return bool({word, word.removesuffix("s"), word.removesuffix("es")} & es.ADJECTIVES) or (
        es.ADJECTIVE_ENDINGS.search(word) is not None
        and word not in es.NO_ADJECTIVES
        and not (word in es.VERBS or word in es.PRESENTING or es.FINITE_ENDINGS.match(word))
    )


def agrees(adjective: str, gender: str | None, *, plural: bool) -> bool:
    """Whether a lower-case adjective has this number and, where it shows one, this gender."""
    invariable = adjective in {"online", "gratis", "exprés", "premium", "pro", "vip", "bio", "vegan", "eco", "extra"}
    if invariable or adjective in {"low-cost", "zero"}:
        return True
    if adjective.endswith("s") != plural:
        return adjective in {"francés", "inglés", "japonés", "portugués", "holandés", "gris"} and not plural
    ending = adjective.rstrip("s")[-1]
    marked = ending in "oa" and not adjective.rstrip("s").endswith("ista")
    return not marked or gender is None or gender == ("f" if ending == "a" else "m")


def gender_and_number(noun: str) -> tuple[str | None, bool]:
    """Return m, f or None where no rule tells, and whether a lower-case noun is plural.

    Lists first, then endings: -ción, -dad, -tud are feminine, -aje, -or, -miento masculine, -a and -o as they say.
    """
    plural = noun.endswith("s") and noun not in es.SINGULAR_IN_S and not regex.search(r"[áéíóú]s$|sis$|ss$", noun)
    forms = {noun}
    if plural:
        forms = {noun, noun[:-1]} | ({noun[:-2], noun[:-3] + "z" if noun.endswith("ces") else noun[:-2]} - {""})
    for known, gender in ((es.FEMININE, "f"), (es.MASCULINE, "m")):
        if forms & known:
            return gender, plural
    if es.FEMININE_ENDINGS.search(noun):
        return "f", plural
    if es.MASCULINE_ENDINGS.search(noun):
        return "m", plural
    singular = noun[:-1] if plural else noun
    if singular.endswith("ista"):
        return None, plural
    return ("f" if singular.endswith(("a", "ía")) else "m" if singular.endswith("o") else None), plural
