"""What a text states that nobody may change or invent: numbers, links, handles, placeholders, days and negations.

An edit keeps them as a multiset; whatever is written anew holds none that its source does not. A number is one with
its sign, its unit and the range that it opens. It reads signs and words, not meaning: "a dozen" and "soon" are no facts
to it. "One" is none either: it is a pronoun more often.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import lru_cache

import regex

from pipelines.text.tweets import entities

# fmt: off
NEGATIONS = frozenset({
    "not", "no", "never", "none", "nobody", "nothing", "neither", "nor", "without", "cannot",
    "nunca", "jamas", "nada", "nadie", "ningun", "ninguno", "ninguna", "ni", "sin", "tampoco",
})
NUMBER_WORDS = frozenset({
    "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "twenty", "thirty",
    "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred", "thousand", "million", "billion", "half",
    "double", "twice", "triple", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve", "diez", "once",
    "doce", "veinte", "treinta", "cuarenta", "cincuenta", "sesenta", "setenta", "ochenta", "noventa", "cien",
    "ciento", "mil", "millon", "millones", "doble", "mitad",
})
# Not May and March, which are words of every day.
DAYS = frozenset({
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "january", "february", "april",
    "june", "july", "august", "september", "october", "november", "december", "lunes", "martes", "miercoles",
    "jueves", "viernes", "sabado", "domingo", "enero", "febrero", "marzo", "abril", "junio", "julio", "agosto",
    "septiembre", "octubre", "noviembre", "diciembre",
})
# fmt: on
BARE = str.maketrans("áéíóúü", "aeiouu")
# `dont` denies as `don't` does.
CONTRACTED = regex.compile(
    r"\p{L}+n't|(?:do|does|did|is|are|was|were|has|have|had|ca|could|would|should|must|need|wo)nt"
)
# An English "once" is no eleven.
ENGLISH_ONCE = regex.compile(r"\b(?:once)\s+(?:you|we|i|it|they|he|she|the|a|upon|again|more|and|in)\b")
# Also what X would not link: nobody may send a reader to http://localhost.
ADDRESS = regex.compile(r"\b[a-z][a-z0-9+.\-]*://\S+", regex.IGNORECASE)
EMAIL = regex.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
# A sign stands before a number and after none: "8 -17" is a range. A unit may stand apart: "30 %", "12 €", "7 pm".
NUMBER = regex.compile(
    r"(?:(?<!\p{Nd}\s)(?<![\p{L}\p{Nd}%)\]])[-+\u2212\u2013](?=[$€£¥]?\p{Nd}))?"
    r"(?:[$€£¥]\s?)?\p{Nd}+(?:[.,:/\-]\p{Nd}+)*"
    r"(?:\s?[%€£¥]|\s(?:am|pm|k|km|kg)\b|\p{L}+)?"
)
# Of a phone, a card, an account, an order: seven digits and more in groups are one number.
GROUPED = regex.compile(r"(?<![\p{Nd}.,:/])(?=(?:[ -]?\p{Nd}){7})\p{Nd}{2,6}(?:[ -]\p{Nd}{2,6})+(?![.,:/]?\p{Nd})")
GAPS = regex.compile(r"[ -]")
SPACE = regex.compile(r"\s+")
MINUS = str.maketrans({"\u2212": "-", "\u2013": "-"})
# What somebody's program fills in later; none is a word of the text.
PLACEHOLDER = regex.compile(
    r"\{\{[^{}\n]*\}\}|\$?\{[^{}\s]+\}|%%?[A-Z][A-Z_]+%%?|\[[A-Z][A-Z_ ]+\]|<[A-Z][A-Z_]+>|\*\|[A-Z_]+\|\*"
)
WORD = regex.compile(r"[\p{L}\p{M}]+(?:'\p{L}+)?")


@lru_cache(maxsize=4096)
def _facts(text: str) -> tuple[str, ...]:
    text = unicodedata.normalize("NFC", text)
    found: list[str] = PLACEHOLDER.findall(text)
    text = PLACEHOLDER.sub(" ", text)
    rest = text
    linked = {entity.text for entity in entities(text) if entity.label == "URL"}
    for address in (*EMAIL.findall(text), *ADDRESS.findall(text)):
        if not any(address.startswith(link) for link in linked):
            found.append(address.casefold())
            rest = rest.replace(address, " ", 1)
    marked = list(rest)
    for entity in entities(rest):
        if entity.label in {"URL", "MENTION", "CASHTAG"}:
            # A link's path may be told apart by case; a handle is not.
            found.append(entity.text if entity.label == "URL" else entity.text.casefold())
        if entity.label != "EMOJI":
            marked[entity.start : entity.end] = " " * (entity.end - entity.start)
    folded = ENGLISH_ONCE.sub(" ", "".join(marked).casefold().replace("\u2019", "'"))
    for grouped in GROUPED.findall(folded):
        found.append(GAPS.sub("", grouped))
        folded = folded.replace(grouped, " ", 1)
    found += [SPACE.sub("", number).translate(MINUS) for number in NUMBER.findall(folded)]
    # Without accents, which one leaves out and another puts back: `sabado` and `sábado` are one day.
    for word in WORD.findall(folded.translate(BARE)):
        if word in NEGATIONS or CONTRACTED.fullmatch(word):
            found.append("not")
        elif word in NUMBER_WORDS or word in DAYS:
            found.append(word)
    return tuple(found)


def facts(text: str) -> Counter[str]:
    """Return the facts of a text with how often each stands there; all negations are one and the same."""
    return Counter(_facts(text))


def keeps_facts(original: str, edited: str) -> bool:
    """Tell whether an edit states exactly what the original does: no fact lost, none added, none repeated."""
    return facts(original) == facts(edited)


def invents(source: str, text: str) -> set[str]:
    """Return the facts of a text that its source does not hold."""
    return facts(text).keys() - facts(source).keys()
