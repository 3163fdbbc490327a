"""Reads a Spanish title or row of keywords as the headline of a tweet, whole where it can be."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import regex

from pipelines import spanish_words as es
from pipelines.sentences import capitalized, is_balanced
from pipelines.spanish_clauses import (
    NEEDED,
    TITLE,
    before_of,
    bridged,
    cuts,
    has_verb,
    lowered,
    read_sentences,
    says_again,
)
from pipelines.spanish_grammar import is_adjective

if TYPE_CHECKING:
    from pipelines.records import Brief

MAX_KEYWORDS = 8
OF = {"de", "del", "la", "las", "los"}
MIN_WORDS, MIN_PARTS = 3, 2
HEADS = es.word_set(
    "cierre corte oferta receta curso cursos taller talleres festival ramo estreno beca becas club campamento factura "
    "carrera final huelga mantenimiento trucos guía museo menú banda limpieza tienda feria venta rebajas clases clase "
    "receta preventa exposición adopción adopcion jornada software seguro seguros clínica servicio alquiler torneo"
)
INVARIABLE = es.word_set("gratis online web libre python excel favorito favorita")
FIXED = {("masa", "madre"), ("amigo", "invisible"), ("segunda", "mano")}
NAMED = regex.compile(r"^(?i:una?)\s(?=\p{L}+(?:ión|ion|aje|dor|dora)\b)")
NO_HEADLINE = es.word_set(
    "antes tras a al por de del en estimados estimadas yo ya que qué si sin para con hoy ayer felicitar saludar "
    "agradecer pedir invitar"
)


def find_headline(brief: Brief, place: int = 0) -> list[str]:
    """Return the wordings of a title or keyword list as a headline without end mark, fullest first.

    `place` is the sentence of a draft to read so.
    """
    said = read_sentences(brief)[place:]
    linked = bool(said) and any(entity.label == "URL" and entity.text in said[0] for entity in brief.entities)
    if not said or (place and (linked or said[0][0].isdecimal())):
        return []
    body = regex.sub(r"[:,]?\s*(?:en )?https?://\S+", "", said[0]).strip("¡!. ")
    if not body or regex.search(r"[?¿]|http|___|:$|\d[.)] ", body[:-1]):
        return []
    thanks = regex.fullmatch(r"(?i)(?:agradecer|dar las gracias) (a .+?)(?: que .*)?", body)
    if thanks:
        wordings = [f"Gracias {thanks[1]}", *(f"Gracias {head}" for head in reversed([*before_of(thanks[1])]))]
        return [text for text in wordings if says_again(text, brief)]
    body = NAMED.sub("", body)
    titled = TITLE.match(body.casefold()) is not None and len(said) == 1
    first, start = body.split()[0].casefold(), regex.split(r"[:;,]\s|\s(?:que|quien|lo que|hasta|como|cómo)\s", body)[0]
    if not titled and (has_verb(start) or first in NO_HEADLINE):
        return []
    if not is_balanced(body) or (len(said) > 1 and (len(body.split()) < MIN_WORDS or first in NEEDED)):
        return []
    body = regex.sub(r"^como (?=\p{L}+[aei]r(?:l[aeo]s?|se)? )", "cómo ", lowered(body))
    how = regex.fullmatch(r"(?i)(.+?) (?:de|sobre) c[oó]mo (.+)", body)
    told = [f"{how[1]}: cómo {text}" for text in (how[2], *(head for head, _ in reversed(cuts(how[2]))))] if how else []
    found = [text for text in (_as_list(body), *told, *bridged(body)) if says_again(text, brief)]
    heads = [text for text, _ in cuts(body)] + list(before_of(body))
    shorter = sorted((text for text in heads if says_again(text, brief) and len(text.split()) > 1 + titled), key=len)
    return [capitalized(spelled(text)) for text in dict.fromkeys((*found, *reversed(shorter[-1:])))]


def spelled(text: str) -> str:
    """Return a text with the accent that -cion and -sion lack."""
    return regex.sub(r"(?<=\p{L}[cs])ion\b", "ión", text)


def _as_list(body: str) -> str:
    """Return a row of bare keywords as what they are about, a colon and the rest; any other text as it is."""
    tokens = body.split()
    if regex.search(r"[,:;.]", body):
        parts = body.split(", ")
        plain = len(parts) > MIN_PARTS and not regex.search(r"[:;.]| y ", body) and not has_verb(body)
        return f"{parts[0]}: {', '.join(parts[1:])}" if plain else body
    grammar = (es.PREPOSITIONS | es.DETERMINERS.keys() | {"y", "e", "o", "que"}) - OF
    if (
        len(tokens) > MAX_KEYWORDS
        or grammar & {token.casefold() for token in tokens}
        or not body[0].islower()
        or tokens[0] in es.DETERMINERS
    ):
        return body
    parts = [tokens[0]]
    for before, word in pairwise(tokens):
        accented = regex.sub("^ult", "últ", word)
        joined = regex.sub("^ult", "últ", before) in es.BEFORE_NOUN or before[0].isdecimal() or word[0].isdecimal()
        if (
            joined
            or before in OF
            or word in OF
            or (is_adjective(word) and word not in es.HOMONYMS)
            or word in INVARIABLE
            or (before, word) in FIXED
        ):
            parts[-1] += f" {word}"
        elif len(parts) == 1 and before in HEADS and accented not in es.BEFORE_NOUN:
            parts[-1] += f" de {word}"
        else:
            parts.append(word)
    return f"{parts[0]}: {', '.join(parts[1:])}" if len(parts) > 1 else parts[0]
