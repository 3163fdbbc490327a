"""Finds the question that a Spanish query asks its readers, turned round where it is too long to say again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import regex

from pipelines import spanish_words as es
from pipelines.sentences import capitalized, refers_back
from pipelines.spanish_clauses import MORE_VERBS, QUESTION_START, WORD, cuts, has_verb, read_sentences, says_again
from pipelines.spanish_grammar import is_verb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.records import Brief

ACCENTED = {"que": "qué", "como": "cómo", "quien": "quién", "cual": "cuál"}


def find_question(brief: Brief) -> str | None:
    """Return the question to readers that the query is or ends with, turned round where it is long."""
    said = read_sentences(brief)
    if not said:
        return None
    text = next((one for one in (said[-1], said[0]) if one.endswith("?")), said[-1])
    survey = regex.match(r"(?i)encuesta sobre (qué .+)|(?:el|la) (\p{L}+) que (te \p{L}+ .+)", text.strip("."))
    if survey and len(said) == 1:
        return f"Encuesta: ¿{survey[1]}?" if survey[1] else f"¿Qué {survey[2]} {survey[3]}?"
    plain = text.strip("¿? .!")
    bare = len(said) == 1 and QUESTION_START.match(plain.casefold()) is not None
    if not (text.endswith("?") or (bare and has_verb(plain))) or "http" in text or not plain:
        return None
    if not text.endswith("?"):
        plain = regex.sub(r"^(que|como|quien|cual)\b", lambda match: ACCENTED[match[0].lower()], plain)
    plain = plain.replace("a quien le", "a quién le")
    if refers_back(plain) and "¿" not in plain and not plain.casefold().startswith("y si"):
        return None
    return next((said for said in _asked(plain) if says_again(said, brief)), None)


def _asked(plain: str) -> Iterator[str]:  # noqa: C901, PLR0912  # one rule after the other
    """Yield a question in the wordings that rules allow, the author's own first."""
    front, inner, asked = plain.rpartition("¿")
    if inner:
        if refers_back(front.strip()):
            yield f"¿{capitalized(asked)}?"
            return
        yield f"{capitalized(front.strip())} ¿{asked}?"
        if front.strip().endswith(":") and not has_verb(front):
            yield f"{capitalized(front.strip(' :'))}. Dilo claro: ¿{asked}?"
        return
    yield f"¿{capitalized(plain)}?"
    told = regex.fullmatch(r"(?i)c[oó]mo (anuncio|digo|explico|cuento) que (.+?) (sin .+)", plain)
    if told:
        yield f"{capitalized(told[2])}. ¿Cómo lo {told[1]} {told[3]}?"
    someone = regex.fullmatch(r"(?i)(.+) a alguien que (.+)", plain)
    if someone:
        yield f"Alguien {someone[2]}. ¿{capitalized(someone[1])}?"
    joins = regex.fullmatch(r"(?i)(quién se (?:apunta|anima|suma)) a (\p{L}+[aei]r .+)", plain)
    if joins:
        yield f"¿{capitalized(joins[1])}? El plan: {joins[2]}."
        yield from (f"¿{capitalized(joins[1])}? El plan: {head}." for head, _ in reversed(cuts(joins[2])))
    known = regex.fullmatch(r"(?i)(ya )?(conocen|conocéis|conoces) a ((la|el) .+)", plain)
    if known:
        yield f"{capitalized(known[3])}: ¿{known[1] or ''}{'la' if known[4].lower() == 'la' else 'lo'} {known[2]}?"
    parts = regex.fullmatch(r"(?i)((?:el|la|los|las) \p{L}+) se \p{L}+ ((?:de|con|en) .+ o (?:de|con|en) .+)", plain)
    if parts:
        yield f"{capitalized(parts[1])}: ¿{parts[2]}?"
    for match in regex.finditer(
        r"\s(?=(?:en|para|con|a|al|si|sin|un lunes|el (?:lunes|viernes|sábado|domingo|\d+))\s)", plain
    ):
        head, rest = plain[: match.start()], plain[match.end() :]
        words = WORD.findall(head.casefold())
        if plain.casefold().startswith("y si"):
            yield f"¿{capitalized(head)}, por ejemplo, {rest}?"
        elif has_verb(head) and words[-1] not in es.FUNCTION_WORDS and len(words) > 1:
            yield f"{capitalized(rest)}, ¿{head[0].lower()}{head[1:]}?"
    why = regex.match(r"(?i)(por qué|cuándo|cómo) ((?:los|las|el|la) .+?) (no \p{L}+ .*)", plain)
    if why:
        yield f"{capitalized(why[2])}: ¿{why[1].lower()} {why[3]}?"
    best = regex.match(r"(?i)(cuál|quién) es (?:para ti )?((?:el|la) (?:mejor|peor) .+?)(?: que .*)?$", plain)
    if best:
        yield f"{capitalized(best[2])}: ¿{best[1].lower()} es para ti?"
    swapped = regex.fullmatch(r"(?i)((?:tu|el|la|mi) \p{L}+) (\p{L}+) (.+)", plain)
    if swapped and is_verb(swapped[2]):
        yield f"¿{capitalized(swapped[2])} {swapped[1][0].lower()}{swapped[1][1:]} {swapped[3]}?"
    what = regex.match(r"(?i)(con qué \p{L}+|qué \p{L}+) (.+)", plain)
    if what:
        yield f"¿{capitalized(what[1])}, dime, {what[2]}?"
    for match in regex.finditer(r" (?=(?:el|la|un|una|los|las) )", plain):
        head = plain[: match.start()]
        if is_verb(head.split()[-1]) or head.split()[-1] in MORE_VERBS:
            yield f"¿{capitalized(head)}, por ejemplo, {plain[match.end() :]}?"
