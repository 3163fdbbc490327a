"""Tells what kind of message a Spanish query holds and puts its statements, question, note or title into slots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import regex

from pipelines import spanish_words as es
from pipelines.generator.phrases import one_line
from pipelines.spanish_clauses import lowered, read_sentences, says_again, shortened
from pipelines.spanish_kinds import KINDS as NOUNS
from pipelines.spanish_kinds import kind_of
from pipelines.spanish_questions import find_question
from pipelines.spanish_statements import find_link_call, find_statements
from pipelines.spanish_titles import find_action, find_layout, find_list, find_title, fronted
from pipelines.text.sentences import capitalized

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.records import Brief

# What tells a kind of message, in the order in which they are tried.
KINDS: dict[str, str] = {
    "llama": r"^(?:describe|completa|cuéntanos|enséñanos)\b",
    "agradece": r"^gracias|agradec",
    "aviso": r"\b(?<!no )(?:cierres?|cierra el|cerrad[oa]s?|cortes? de (?:la|agua|luz|línea)|retrasos?"
    r"|disculpas|suspend\p{L}+"
    r"|aplaza\p{L}*|cancela\p{L}*|averías?|cerramos|mantenimiento|permanecerá|se traslada|se pospone|no abr\p{L}+)\b",
    "empleo": r"^(?:buscamos|busco|necesitamos|se necesitan?|contratamos)\b|\b(?:se convocan"
    r"|oferta (?:de )?empleo|vacantes?"
    r"|contrato fijo|trabajo remoto)\b",
    "intimo": r"\b(?:mi (?:hij[oa]|padre|madre|abuel[oa]|jefe|perr[oa]|gat[oa])|yo)\b",
    "opina": r"\b(?:opini[oó]n|deberían?|no necesitan|no es un[oa]?|es más|(?:mejor|peor) \p{L}+ (?:\p{L}+ )*es)\b",
    "cita": r"\b(?:taller(?:es)?|concierto|festival|encuentro|jornadas? de|carrera popular|quedada"
    r"|clases? (?:de|abierta)|noche de|presentación"
    r"|exposición|liga|campamento|minicurso|congreso|feria|recital|visita guiada|torneo|charla|webinar"
    r"|curso (?:de|gratis))\b",
    "lee": r"\b(?:receta|guía|podcast|v[ií]deo|entrevista|informe|mapa|episodio|analizamos|art[ií]culo|blog"
    r"|estudio sobre)\b",
    "vende": r"[€$%]|\b(?:oferta|en venta|a la venta|rebajas|descuento|pesos|vendemos|vendo|liquida\p{L}+"
    r"|outlet|mitad de precio)\b",
}
MESSAGES = frozenset({*KINDS, "noticia"})
PATTERNS = {kind: regex.compile(pattern, regex.IGNORECASE) for kind, pattern in KINDS.items()}
# A title of these kinds is a message as it stands.
NOTICES = {"agradece", "aviso", "empleo", "intimo", "lee", "vende"}
MIN_NOTICE_WORDS = 3


def message_kind(brief: Brief) -> str:
    """Return what kind of message a query is: one of MESSAGES."""
    text = one_line(brief.query)
    kind = next((kind for kind, pattern in PATTERNS.items() if pattern.search(text)), "noticia")
    if regex.search(r"(?i)\bno (?:se )?(?:vend|hac|ofre|ten|hay)", text) and kind == "vende":
        return "noticia"
    return "vende" if brief.objectives[:1] == ("sales",) and kind == "noticia" else kind


def find_message(brief: Brief) -> dict[str, str]:
    """Return the slots that carry what the author says, and the empty one that tells its kind.

    {hecho} is what the draft states with its end marks, {variante} the same in other words, {titular} the first as it
    stands behind a colon, {pregunta} the author's question and {duda} the same behind a colon, {lista} a note with a
    line for each item, {accion} what a title tells how to do, {titulo} a title that needs a sentence around it,
    {enlace} the link with the author's call for it. At most one of {hecho}, {lista}, {accion} and {titulo} is
    there, and {hecho} beside {pregunta} only where the query ends with the question.
    """
    url = next((entity.text for entity in brief.entities if entity.label == "URL"), None)
    found = {"enlace": find_link_call(brief) or url} if url else {}
    asked = find_question(brief)
    said = [] if asked and len(read_sentences(brief)) == 1 else find_statements(brief)
    if asked:
        return found | _asked(brief, asked, said)
    if listed := find_list(brief):
        return found | {"lista": listed, message_kind(brief): ""}
    return found | (_stated(brief, said) if said else _titled(brief))


def _asked(brief: Brief, asked: str, said: Sequence[str]) -> dict[str, str]:
    """Return the slots of a question with what the draft states before it; a statement where the question opens it."""
    closes = one_line(brief.query).endswith("?")
    if said and not closes and says_again(f"{asked} {said[0]}", brief):
        return {"hecho": f"{asked} {said[0]}", message_kind(brief): ""}
    found = {"pregunta": asked} | ({"duda": asked[0] + lowered(asked[1:])} if asked[0] == "¿" else {})
    return found | ({"hecho": said[0]} if said and closes else {})


def _stated(brief: Brief, said: Sequence[str]) -> dict[str, str]:
    found = {"hecho": said[0], message_kind(brief): ""} | ({"variante": said[1]} if len(said) > 1 else {})
    single = not regex.search(r"[.!?:¿] ?\S*\s", said[0])
    return found | ({"titular": lowered(said[0].strip("¡!."))} if single else {})


def _titled(brief: Brief) -> dict[str, str]:
    """Return the slots of a query that states nothing: what it tells how to do, its layout, or a title."""
    title, action, kind = find_title(brief), find_action(brief), message_kind(brief)
    if action or title is None:
        return {"accion": action, "titulo": title or action} if action else {}
    if not says_again(title, brief):
        layout = find_layout(brief, title)
        return {"lista": layout, kind: ""} if layout else {"titulo": title}
    notice = kind in NOTICES and len(title.split()) >= MIN_NOTICE_WORDS and not (kind == "vende" and _is_thing(title))
    if notice or title.startswith("feliz "):
        return {"hecho": f"{capitalized(title)}.", "titular": title, kind: ""}
    return {"titulo": title}


def plain_title(brief: Brief, title: str) -> dict[str, str]:
    """Return the slots of a title that says something by itself, as a sentence; nothing where it says too little."""
    whole = next((text for text in (title, *fronted(title)) if says_again(text, brief)), None)
    text = whole or next(iter(shortened(title, brief)), "")
    if (
        len(text.split()) < MIN_NOTICE_WORDS
        or (not whole and text.split()[0].casefold() in es.PREPOSITIONS)
        or not (es.PREPOSITIONS | es.DETERMINERS.keys() | {"o", "+"}) & set(text.casefold().split())
    ):
        return {}
    return {"hecho": f"{capitalized(text)}.", "titular": text, message_kind(brief): ""}


def _is_thing(title: str) -> bool:
    """Whether a title names something that one may look for, and neither price nor discount."""
    nouns = [word.casefold() for word in title.split() if word.casefold() not in es.BEFORE_NOUN | es.DETERMINERS.keys()]
    return bool(nouns) and kind_of(nouns[0]) in NOUNS and not PATTERNS["vende"].search(title)
