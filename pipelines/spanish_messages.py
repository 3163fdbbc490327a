"""Tells what kind of message a Spanish query holds and puts its statements, question or headline into slots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import regex

from pipelines.phrases import one_line
from pipelines.sentences import capitalized
from pipelines.spanish_clauses import read_sentences, says_again
from pipelines.spanish_headlines import find_headline
from pipelines.spanish_questions import find_question
from pipelines.spanish_statements import find_link_call, find_statements

if TYPE_CHECKING:
    from pipelines.records import Brief

# What tells a kind of message, in the order in which they are tried.
KINDS: dict[str, str] = {
    "llama": r"^(?:describe|completa|cuéntanos|saluden|tráenos|enséñanos)\b",
    "agradece": r"^gracias|agradec",
    "aviso": r"\b(?:cierre|cierra el|cerrad[oa]s?|corte de (?:la|agua|luz)|retrasos?|disculpas|suspend\p{L}+"
    r"|aplaza\p{L}*|cancela\p{L}*|averías?|cerramos|no abrimos|no abriremos|andamio|mantenimiento|permanecerá)\b",
    "empleo": r"\b(?:buscamos|busca|se convocan|oferta (?:de )?empleo|trabajo remoto|voluntarios|contrato)\b",
    "intimo": r"\b(?:mi (?:hij[oa]|padre|madre|abuel[oa]|jefe|perr[oa]|gat[oa])|yo)\b",
    "opina": r"\b(?:opini[oó]n|debate|deberían?|votación|encuesta|no necesitan|no es un)\b",
    "comparte": r"^c[oó]mo \p{L}+[aei]r(?:l[aeo]s?|se)? |\btrucos\b",
    "cita": r"\b(?:taller(?:es)?|concierto|festival|encuentro|jornadas?|club|carrera|quedada|clases?|noche de|curso"
    r"|presentación|exposición|liga|campamento|minicurso|congreso|feria|recital|visita guiada|torneo|charla|webinar)\b",
    "lee": r"\b(?:receta|guía|podcast|v[ií]deo|entrevista|informe|mapa|episodio|explicado|analizamos|art[ií]culo"
    r"|blog)\b",
    "vende": r"[€$%]|\b(?:oferta|venta|rebajas|descuento|pesos|vendemos|tenemos|liquida\p{L}+|outlet)\b",
}
MESSAGES = frozenset({*KINDS, "noticia", "humor", "responde", "comenta"})
PATTERNS = {kind: regex.compile(pattern, regex.IGNORECASE) for kind, pattern in KINDS.items()}
SOLD_AS = {"lee", "opina", "comparte"}


def message_kind(brief: Brief) -> str:
    """Return what kind of message a query is: one of MESSAGES."""
    text = one_line(brief.query)
    if regex.match(r"(?i)c[oó]mo (?:\p{L}+mos|.*\bnuestr[oa]s?) ", text):
        return "lee"
    kind = next((kind for kind, pattern in PATTERNS.items() if pattern.search(text)), "noticia")
    return "vende" if brief.objectives[:1] == ("sales",) and kind in {"noticia", "lee", "opina"} else kind


def find_message(brief: Brief) -> dict[str, str]:
    """Return the slots that carry what the author says, and the empty one that tells its kind.

    {hecho} is a statement or headline with its end mark, {largo} its fullest wording, {dos} two statements, {titular}
    the first without end mark, {pregunta} the author's question, {enlace} the link with the author's call for it.
    {sin_mensaje} is there where there is none of the first and no question.
    """
    url = next((entity.text for entity in brief.entities if entity.label == "URL"), None)
    found = {"enlace": find_link_call(brief) or url} if url else {}
    asked = find_question(brief)
    alone, leaning = find_statements(brief)
    headline = [] if asked else [f"{text}." for text in find_headline(brief)]
    alone = [headline, *alone] if headline else alone
    if not alone and not asked:
        titles = (find_headline(brief, place) for place in range(1, len(read_sentences(brief))))
        alone = [[f"{text}." for text in title] for title in titles if title][:1]
    if (
        asked
        and alone
        and "?" not in brief.query[-4:]
        and brief.query.count(".")
        and says_again(f"{asked} {alone[0][-1]}", brief)
    ):
        alone[0], asked = [f"{asked} {alone[0][-1]}"], None
    if asked:
        found["pregunta"] = asked
    if alone:
        first = alone[0]
        found |= {"hecho": first[0], "largo": first[0], "titular": _inside(first[0])}
        later = [wordings[0] for wordings in (*alone[1:], *leaning) if wordings[0][:12] != first[0][:12]]
        pairs = [f"{wording} {text}" for text in later for wording in first]
        pair = next((pair for pair in pairs if says_again(pair, brief)), None)
        found |= {"dos": pair} if pair else {}
    if asked:
        return {
            name: text
            for name, text in found.items()
            if name in {"pregunta", "enlace"} or (name == "hecho" and brief.query.rstrip().endswith("?"))
        }
    if set(brief.objectives) & {"sales", "signups", "clicks"}:
        found["responde"] = ""
    if set(brief.objectives) & {"engagement", "community"} or not brief.objectives:
        found["comenta"] = ""
    if brief.tone in {"witty", "bold"}:
        found["humor"] = ""
    return found | ({message_kind(brief): ""} if alone else {"sin_mensaje": ""})


def _inside(text: str) -> str:
    """Return a statement as it stands behind a colon."""
    plain = text.strip("¡!.")
    return plain if plain.split(maxsplit=1)[0].isupper() else capitalized(plain)[0].lower() + plain[1:]
