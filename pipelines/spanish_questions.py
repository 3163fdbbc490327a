"""Finds the question that a Spanish query asks its readers, turned round where it is too long to say again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import regex

from pipelines import spanish_words as es
from pipelines.spanish_clauses import QUESTION_START, TITLE, WORD, has_verb, read_sentences, says_again
from pipelines.spanish_grammar import is_verb
from pipelines.spanish_wording import exchanged
from pipelines.text.sentences import capitalized, is_balanced, refers_back

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.records import Brief

ACCENTED = {"que": "qué", "como": "cómo", "quien": "quién", "cual": "cuál", "cuales": "cuáles", "donde": "dónde",
            "cuando": "cuándo", "cuanto": "cuánto"}  # fmt: skip
FAVORITE = regex.compile(
    r"(?i)(cuál|cuáles|quién) (es|son) ((?:tu|tus|vuestr[oa]s?|para ti el|para ti la|el|la) [^,]+?)"
    r"(?: (?:para|en|de) .+)?"
)
JOINS = regex.compile(r"(?i)(quién se (?:apunta|anima|suma)) (?:al|a (?:el|la|los|las|una?)) (.+)")
FRONT = regex.compile(r"\s(?=(?:en|para|si|sin|al|el (?:lunes|martes|miércoles|jueves|viernes|sábado|domingo|\d+))\s)")
ASKED_OF_YOU = regex.compile(r"(?i)(.+? )?(\p{L}+(?:[aei]rías|[ai]ste|áis|éis)) ((?:a|al|en|con|por|para|de) .+)")
BEST = regex.compile(r"(?i)(el|la) ((?:mejor|peor) [^,:;.?]+)")
MOVES = regex.compile(r"(?i)(?:el|la|los|las) (\p{L}+) que ((?:te|os) \p{L}+n? [^,:;.?]+)")
EITHER = regex.compile(
    r"(?i)(?:prefier\p{L}+ )?((?:el|la|los|las) \p{L}+|\p{L}+[aei]r)(?: se \p{L}+)? ((en|de|con|por|a|sin) .+ o \3 .+)"
)


def find_question(brief: Brief) -> str | None:
    """Return the question to readers that the query is or ends with; a long one only where it can be turned round."""
    said = read_sentences(brief)
    if not said:
        return None
    text = next((one for one in (said[-1], said[0]) if one.endswith("?")), said[-1])
    survey = regex.match(r"(?i)(?:una )?encuesta sobre (qué .+)", text.strip("."))
    if survey and len(said) == 1:
        return f"Encuesta: ¿{survey[1]}?"
    titled = [*_superlative(text.strip(" ."))] if len(said) == 1 else []
    plain = _plain_question(text, alone=len(said) == 1)
    asked = titled or (list(_asked(plain)) if plain else [])
    return next((one for one in asked if says_again(one, brief)), None) or next(
        (told for one in asked if (told := exchanged(one, brief))), None
    )


def _plain_question(text: str, *, alone: bool) -> str | None:
    """Return a question without its marks and with its accent; None where it is none, or not understood alone."""
    plain = text.strip("¿? .!")
    bare = alone and QUESTION_START.match(plain.casefold()) is not None and not TITLE.match(plain.casefold())
    if not (text.endswith("?") or (bare and has_verb(plain))) or "http" in text or not plain or not is_balanced(plain):
        return None
    plain = (
        regex.sub(rf"(?i)^({'|'.join(ACCENTED)})\b(?! si\b)", lambda match: ACCENTED[match[0].casefold()], plain)
        if plain[0].islower() or text[0] == "¿"
        else plain
    )
    if not alone and regex.search(r"(?i)(?<!qué )\b(?:les?|lo|sus?) ", plain):
        return None
    if refers_back(plain) and "¿" not in plain and not plain.casefold().startswith("y si"):
        return None
    return plain


def _asked(plain: str) -> Iterator[str]:
    """Yield a question in the wordings that rules allow, the author's own first."""
    front, inner, asked = plain.rpartition("¿")
    if inner:
        if not refers_back(front.strip()) and front.strip().endswith((",", ":")):
            yield f"{capitalized(front.strip())} ¿{asked}?"
            yield f"¿{capitalized(asked)}? {capitalized(front.strip(' ,:'))}."
        return
    yield f"¿{capitalized(plain)}?"
    joins = JOINS.fullmatch(plain)
    if joins:
        yield f"{capitalized(joins[2])}: ¿{joins[1].lower()}?"
    for match in FRONT.finditer(plain):
        head, rest = plain[: match.start()], plain[match.end() :]
        if has_verb(head) and " o " not in rest and WORD.findall(head.casefold())[-1] not in es.FUNCTION_WORDS:
            yield f"{capitalized(rest)}, ¿{head[0].lower()}{head[1:]}?"
    yield from _turned(plain)


def _superlative(title: str) -> Iterator[str]:
    """Yield a question for what is best, worst or moves the reader, as a title names it ("el peor consejo")."""
    best = BEST.fullmatch(title)
    if best and not has_verb(best[2].split(" que ")[0]):
        yield f"¿Cuál es para ti {best[1].lower()} {best[2]}?"
        yield from _of_all(best[1], best[2])
    moves = MOVES.fullmatch(title)
    if moves:
        yield f"¿Qué {moves[1]} {moves[2]}?"


def _of_all(article: str, best: str) -> Iterator[str]:
    """Yield a question for the best of its kind with what it is chosen from in front."""
    noun, that, chosen = best.partition(" que ")
    if that:
        all_of = "todas las" if article.casefold() == "la" else "todos los"
        yield f"¿Cuál es, de {all_of} que {chosen}, {article.lower()} {noun}?"


def _turned(plain: str) -> Iterator[str]:
    """Yield a question with whom it is about in front."""
    someone = regex.fullmatch(r"(?i)(.+) a alguien que (.+)", plain)
    if someone:
        yield f"Alguien {someone[2]}. ¿{capitalized(someone[1])}?"
    supposed = regex.fullmatch(r"(?i)(y si) ((?:el|la|los|las) \p{L}+) (\p{L}+r[ae]n?) (.+)", plain)
    if supposed:
        yield f"¿Y si {supposed[3]} {supposed[2]} {supposed[4]}?"
    whom = regex.fullmatch(r"(?i)(a qui[eé]n (?:le|os) \p{L}+) (una? .+)", plain)
    if whom:
        yield f"{capitalized(whom[2])}: ¿{regex.sub('ria$', 'ría', whom[1].lower())}?"
    sent = regex.fullmatch(r"(?i)(quer[eé]is|quieres) que (os|te) (\p{L}+) (el|la|los|las) (.+)", plain)
    if sent:
        pronoun = "lo" if sent[4] == "el" else sent[4]
        yield f"{capitalized(sent[4])} {sent[5]}: ¿{sent[1].lower()} que {sent[2]} {pronoun} {sent[3]}?"
    known = regex.fullmatch(r"(?i)(ya )?(conocen|conocéis|conoces) a ((la|el) .+)", plain)
    if known:
        yield f"{capitalized(known[3])}: ¿{known[1] or ''}{'la' if known[4].lower() == 'la' else 'lo'} {known[2]}?"
    yield from _with_subject(plain)


def _with_subject(plain: str) -> Iterator[str]:
    """Yield a question that names the reader behind the verb, or its subject before or behind the verb."""
    yours = ASKED_OF_YOU.fullmatch(plain)
    if yours:
        you = "vosotros" if yours[2].endswith("is") else "tú"
        front = yours[1] or ""
        yield f"¿{capitalized(f'{front}{yours[2]} {you} {yours[3]}')}?"
    either = EITHER.fullmatch(plain)
    if either:
        yield f"{capitalized(either[1])}: ¿{either[2]}?"
    why = regex.match(r"(?i)(por qué|cuándo|cómo) ((?:los|las|el|la) .+?) (no \p{L}+ .*)", plain)
    if why:
        yield f"{capitalized(why[2])}: ¿{why[1].lower()} {why[3]}?"
    best = regex.match(r"(?i)(cuál|quién) es (?:para ti )?((?:el|la) (?:mejor|peor) .+)", plain)
    if best:
        yield f"{capitalized(best[2])}: ¿{best[1].lower()} es para ti?"
        yield from _of_all(*best[2].split(" ", 1))
    swapped = regex.fullmatch(r"(?i)((?:tu|el|la|mi) \p{L}+) (\p{L}+) (.+)", plain)
    if swapped and is_verb(swapped[2]):
        yield f"¿{capitalized(swapped[2])} {swapped[1][0].lower()}{swapped[1][1:]} {swapped[3]}?"
    favorite = FAVORITE.fullmatch(plain)
    if favorite:
        yield f"¿{capitalized(favorite[1])} {favorite[2]} {favorite[3]}?"
