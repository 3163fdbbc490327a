"""Reads a Spanish title or row of keywords as the headline of a tweet, whole where it can be."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import regex

from pipelines import spanish_words as es
from pipelines.sentences import capitalized, is_balanced
from pipelines.spanish_clauses import QUESTION_START, bridged, cuts, has_verb, read_sentences, says_again
from pipelines.spanish_grammar import is_adjective

if TYPE_CHECKING:
    from pipelines.records import Brief

MAX_KEYWORDS = 8
CITIES = es.word_set(
    "madrid barcelona valencia sevilla bilbao granada zaragoza málaga malaga gijón gijon lavapiés bogotá bogota lima "
    "medellín medellin monterrey guadalajara rosario palermo montevideo quito santiago córdoba cordoba murcia oviedo "
    "vigo cali caracas lisboa méxico mexico latam"
)
HEADS = es.word_set(
    "cierre corte oferta receta curso taller festival ramos ramo estreno beca becas club outlet quedada campamento "
    "inscripción lista factura carrera final huelga retraso mantenimiento trucos guía museo menú menu banda podcast "
    "limpieza calle tienda feria venta rebajas departamento piso estudio clases clase aviso preventa observación "
    "exposición bicis adopción libro muebles jornada maleta historia plazas voluntarios observacion inscripcion"
)
PARTS = es.word_set(
    "apertura presentación convocatoria plazas liquidación votación opinión opinion taller sprint jornada regalo "
    "entrada colegios explicado edición envío envio"
)
DATED = regex.compile(rf"(?:{es.DAY}|{es.MONTH}|domingos|sábados|20\d\d)\b")
NOUNS = es.word_set(
    "muebles madrugada artesanos nostalgia siesta balcón desarrollador embarazadas principiantes autonomos"
)
ADJECTIVES = es.word_set(
    "favorita favorito feos feo compuesto electronica electrónica facil fácil libre web trail python latam "
    "limitado gratis"
)
READERS = es.word_set("principiantes embarazadas niños adultos familias mayores autonomos autónomos")
FIXED = {
    "estreno": {"de"},
    "masa": {"madre"},
    "fin": {"de"},
    "amigo": {"invisible"},
    "calle": {"mayor"},
    "banda": {"rock"},
    "segunda": {"mano"},
}
NO_HEADLINE = es.word_set(
    "antes tras a al por de del en estimados estimadas yo ya lo mi que qué si sin para con hoy ayer"
)


def find_headline(brief: Brief) -> list[str]:  # noqa: C901, PLR0911  # one rule after the other
    """Return the wordings of a title or keyword list as a headline without end mark, fullest first."""
    said = read_sentences(brief)
    body = regex.sub(r"[:,]?\s*(?:en )?https?://\S+", "", said[0]).strip("¡!. ") if said else ""
    if not body or regex.search(r"[?¿]|http|___|:$", body) or not is_balanced(body) or regex.match(r"\d+[.)]", body):
        return []
    first = body.split()[0].casefold()
    asks_how = regex.match(r"(?i)c[oó]mo \p{L}+(?:[aei]r|mos) ", body) is not None
    title = regex.split(r"[:;,]\s|\s(?:que|quien|lo que|hasta|como|cómo)\s", body)[0]
    if (has_verb(title) and not asks_how) or (len(said) > 1 and len(title.split()) < 2) or first in NO_HEADLINE:
        return []
    if QUESTION_START.match(body.casefold()) and not asks_how:
        return []
    body = f"cómo {body.split(maxsplit=1)[1]}" if asks_how else body
    named = regex.fullmatch(r"(?i)nombramiento de (la|el) (.+) como (.+)", body)
    thanks = regex.fullmatch(r"(?i)agradecer a (.+?)(?: que .*)?", body)
    if thanks:
        return [f"Gracias a {thanks[1]}"]
    for more in said[1:]:
        if len(title.split()) > 2 or has_verb(more) or not says_again(f"{body}. {more.strip('. ')}", brief):
            break
        body = f"{body}. {more.strip('. ')}"
    if len(said) > 1 and len(body.split()) < 3:
        return []
    timed = regex.fullmatch(r"(?i)((?:esta|este|hoy|mañana) [^,]+), (.+)", body)
    if timed:
        heads = [f"{capitalized(head)}, {timed[1].lower()}" for head, _ in reversed(cuts(timed[2]))]
        return [text for text in heads if says_again(text, brief)]
    ranged = regex.fullmatch(r"(.+?)(?: por (\p{L}+))? (del \d+ al \d+ de \p{L}+)", body)
    found = [body if asks_how else _as_list(body)]
    if named:
        found.append(f"{named[1]} {named[2]}, nombrad{'a' if named[1] == 'la' else 'o'} {named[3]}")
    if ranged:
        why = f" Motivo: {ranged[2]}." if ranged[2] else ""
        head = regex.sub(r"(?<=\d) del? .*", "", ranged[1])
        found += [f"{text}.{why} Fechas: {ranged[3]}" for text in (ranged[1], head)]
    found += bridged(body)
    shorter = [text for text, _ in cuts(body) if says_again(text, brief) and len(text.split()) > 1]
    found = [text for text in found if says_again(text, brief) and text.count("¿") < 2]
    kept = [text for text in (*found, *reversed(shorter[-1:])) if len(said) < 2 or len(text.split()) > 2]
    return [capitalized(text) for text in dict.fromkeys(kept)]


def _as_list(body: str) -> str:  # noqa: C901  # one rule after the other
    """Return a row of bare keywords with the commas and the `de` that it leaves out; any other text as it is."""
    tokens = body.split()
    if any(mark in body for mark in ",:;.") or len(tokens) > MAX_KEYWORDS or body[0].isupper():
        return body
    if sum(token in es.PREPOSITIONS | es.DETERMINERS.keys() | {"y", "o"} for token in tokens) > len(tokens) // 3:
        return body
    text, parted, head = tokens[0], False, tokens[0]
    for before, word in pairwise(tokens):
        name = word.title() if word in CITIES else word
        grammar = es.PREPOSITIONS | es.DETERMINERS.keys() | {"y", "o", "tres", "dos"}
        if before in grammar | es.BEFORE_NOUN or word in grammar - {"tres", "dos"} or before[0].isdecimal():
            joint = " "
        elif word[0].isdecimal():
            joint = " de " if word.isdecimal() and before in HEADS and int(word) < 10 else " "
        elif word in CITIES:
            joint = " de " if before == "guía" else ", "
        elif word == "obras":
            joint = " por "
        elif DATED.match(word):
            joint = ", "
        elif word in PARTS and not parted:
            joint, parted = ": ", True
        elif word in FIXED.get(before, ()) or (is_adjective(word) and word not in NOUNS) or word in ADJECTIVES:
            joint = " "
        elif word in READERS and before not in PARTS:
            joint = " para "
        else:
            joint = (
                " de " if (before in HEADS or (head in HEADS and _is_ending(before))) and word not in PARTS else ", "
            )
        head = head if joint == " " and not before[0].isdecimal() else word
        text += joint + name
    return text


def _is_ending(word: str) -> bool:
    """Whether a keyword is an adjective, behind which the noun before it goes on."""
    return is_adjective(word) or word in ADJECTIVES
