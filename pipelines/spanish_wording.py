"""Says a Spanish sentence again with all that it says, in few of its own words in a row.

What would repeat a long run of the query is turned round (time or place to the other end, two halves changed about) or
has words exchanged for others that mean the same ("tras" for "después de", "cada lunes" for "los lunes"). Only where
neither will do is its end left out, if what is left is true and complete.
"""

from __future__ import annotations

from itertools import chain, combinations, pairwise
from typing import TYPE_CHECKING

import regex

from pipelines import spanish_words as es
from pipelines.spanish_clauses import (
    ADVERBS,
    CLITICS,
    HANGING,
    NEEDED,
    TITLE,
    WORD,
    cuts,
    has_verb,
    is_finite,
    lowered,
    says_again,
    shortened,
)
from pipelines.spanish_grammar import is_infinitive
from pipelines.text.sentences import capitalized

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.records import Brief

INSIDE = regex.compile(rf" ({es.TIME.pattern}|ayer|en \d{{4}}|durante {es.MONTH})(?= |$)")
MAX_EXCHANGED, MAX_OBJECT = 3, 4
OPENERS = es.word_set("en para durante desde este esta el los cada del antes por tras después")
OPENED = regex.compile(
    r"(?i)(?:por|tras|desde|a partir de|durante|en|antes de|debido a|con motivo de|esta|este|a los \d+) "
)
CAUSE = (
    r"(?:las? |los |una? )?(?:alerta|obras?|lluvias?|nieve|nevada|viento|averías?|huelga|temporal|mantenimiento|falta"
    r"|reformas?|vacaciones|deshielo|calor|mal tiempo|motivos|causas|inventario)\b"
)
# What means the same in the same place; what reads best comes first.
EXCHANGES = tuple(
    (regex.compile(rf"(?<!\p{{L}})(?:{pattern})(?!\p{{L}})"), said)
    for pattern, said in (
        (r"(?<!todos )los (lunes|martes|miércoles|jueves|viernes)", r"cada \1"),
        (r"(?:todos )?los (sábado|domingo)s", r"cada \1"),
        (r"cada (lunes|martes|miércoles|jueves|viernes)", r"todos los \1"),
        (r"cada (sábado|domingo|día|mes|año)", r"todos los \1s"), (r"al (mes|día|año)", r"cada \1"),
        (r"el próximo (mes|año)", r"el \1 que viene"), (r"del (\d+) al (?=\d)", r"desde el \1 hasta el "),
        (rf"desde el(?= (?:{es.DAY}|\d))", "a partir del"), (rf"desde(?= {es.MONTH})", "a partir de"),
        (r"tras(?! el\b)", "después de"), (r"después de(?= (?:la|los|las|una?) )", "tras"),
        (r"durante(?= (?:la|los|las|tod[oa]) )", "a lo largo de"), (r"(?<=, )pero", "aunque"),
        (r"(di[cj]\p{L}+)(?= [\"«]\p{L}+[\"»])", r"\1 la palabra"), (r"(di[cj]\p{L}+)(?= [\"«]\p{L}+ )", r"\1 esto:"),
        ("a partir del", "desde el"), ("a partir de(?! l)", "desde"),
        (r"[Dd]ijimos que no a", "rechazamos"), (r"de la (\p{L}+ \d+) a la(?= \d)", r"desde la \1 hasta la"),
        (r"(?<!\b(?:un|tan|no|de) )s[oó]lo(?! que)", "únicamente"), (r"(?<=\p{L} )sobre el", "acerca del"),
        (r"(?<=\p{L} )sobre", "acerca de"), (rf"por el(?= {CAUSE})", "debido al"), (rf"por(?= {CAUSE})", "debido a"),
        (r"está(n?)(?= (?:abiert|cerrad))", r"permanece\1"), (r"estar(án?)(?= (?:abiert|cerrad))", r"permanecer\1"),
        (r"(?<!\p{L} )[Bb]uscamos", "estamos buscando"), (r"(?<!\p{L} )[Bb]usco", "estoy buscando"),
        (r"(?<!\p{L} )[Vv]endemos", "tenemos a la venta"), (r"[Nn]ecesitamos(?= una? )", "nos hace falta"),
        (r"[Nn]ecesitamos(?= (?:\d|\p{L}+s\b))", "nos hacen falta"),
        (r"([Ll]lev[oa]|[Ll]levamos)(?= \p{L}+ (?:días?|semanas?|mes(?:es)?|años?|horas?))", r"\1 ya"),
        (r"(cumple|cumplimos|cumplo)(?= \d)", r"\1 ya"), (r"(?<!\p{L} )[Qq]uedan", "nos quedan"),
        (r"gana(?= (?:el oro|el premio|el primer))", "se lleva"),
        (r"hemos ganado(?= (?:el|un) )", "nos hemos llevado"),
        (r"(?<=mejor [^,]*)de la(?= (?:provincia|ciudad|comarca|región|isla))", "de toda la"),
        (r"termina(?! de)", "finaliza"), (r"vuelve(n?)(?! a)", r"regresa\1"), (r"volvemos(?! a)", "regresamos"),
        (r"y(?= (?:una|tod[oa]s) \p{L}+ )", "y además"),
        *es.SYNONYMS, *((other, one) for one, other in es.SYNONYMS),
    )
)  # fmt: skip
# Two clauses that say more changed about: "not this, that" and "this is that".
NOT_BUT = regex.compile(
    r"(?i)(?:(.+?) )?no (es|son|era|\p{L}+n?) ([^,;.]+?)(?:,? sino(?: que)?|[,;:] (?:es|son|era)) (.+)"
)
EQUAL = regex.compile(
    r"(?i)((?:el|la|los|las|mi|nuestr[oa]|tu) [^,]+?) (?:es|son|fue|era) ((?:el|la|los|las|una?|no) [^,]+)"
)
ASKED = regex.compile(
    r"(?i)((?:el|la|mi|una?) \p{L}+) (pregunta|preguntó) ((?:qué|quién|cómo|cuándo|dónde|por qué) .+)"
)
RELATIVE = regex.compile("que (?:se|ha|han) ")
WHY = regex.compile(r"([^,:]+?) (?:(para) (?=\p{L}+[aei]r(?:l[aeo]s?|se|te|me)? )|(porque) )(.+)")


def rewordings(body: str, brief: Brief) -> Iterator[str]:
    """Yield wordings of a statement or title that repeat no long run of the query, the least changed first."""
    if says_again(body, brief):
        yield body
        return
    listed = () if has_verb(body) or "entre " in body else (body.replace(" y ", " + ", 1),)
    tried = dict.fromkeys(
        (
            body,
            *listed,
            *_turned(body),
            *_exchanged_halves(body),
            *_halves(body, brief),
            *_opened(body),
            *_inverted(body),
        )
    )
    whole = [text for text in tried if says_again(text, brief)]
    found = whole or [said for text in tried if (said := exchanged(text, brief))]
    yield from found
    if not found:
        yield from shortened(body, brief) or (text for one in _turned(body) for text in shortened(one, brief))


def exchanged(text: str, brief: Brief) -> str | None:
    """Return a text with up to MAX_EXCHANGED words exchanged for others that mean the same, as few as will do."""
    found = [(match, match.expand(said)) for pattern, said in EXCHANGES for match in pattern.finditer(text)]
    choices = chain.from_iterable(combinations(found, size) for size in range(1, MAX_EXCHANGED + 1))
    for choice in choices:
        spans = sorted(((match.start(), match.end(), said) for match, said in choice), reverse=True)
        if any(later[0] < earlier[1] for later, earlier in pairwise(spans)):
            continue
        said = text
        for start, end, instead in spans:
            said = said[:start] + instead + said[end:]
        if says_again(said, brief):
            return said
    return None


def _turned(body: str) -> Iterator[str]:
    """Yield a sentence with its last time, place or purpose in front, or the last two of them changed about."""
    parts = cuts(body)
    yield from (
        f"{capitalized(rest)}, {lowered(head)}" for head, rest in parts if has_verb(head) and _may_move(head, rest)
    )
    day = INSIDE.search(body)
    if (
        day
        and not regex.search("[,:;] ", body[: day.start()])
        and body[: day.start()].rsplit(maxsplit=1)[-1] not in es.PREPOSITIONS | {"de"}
    ):
        said = body[: day.start()] + body[day.end() :]
        words = said.split()
        verb = next((at for at in range(1, len(words)) if is_finite([word.casefold() for word in words], at)), 0)
        if " que " not in body[: day.start()]:
            yield f"{capitalized(day[1])}, {lowered(said)}"
        elif verb and words[verb - 1] == "que":
            yield " ".join([*words[:verb], day[1], *words[verb:]])
    for (head, rest), (longer, last) in combinations(parts, 2):
        middle = rest[: len(rest) - len(last)].strip()
        placed = is_timed(last) or (last.startswith("en ") and middle.split()[0] in {"para", "por", "los", "cada"})
        if middle and placed and not regex.search("[,:;]| [ye] ", f"{middle} {last} ") and not has_verb(rest):
            yield f"{head} {last} {middle}"
            if has_verb(head) and _may_move(head, last):
                yield f"{capitalized(last)}, {lowered(longer)}"


def is_timed(text: str) -> bool:
    """Whether a text is nothing but a day, a span of days or hours."""
    return (
        es.TIME.fullmatch(text) is not None
        or regex.fullmatch(r"(?:del \d+ al \d+(?: de \p{L}+)?|de \d+ a \d+)", text) is not None
    )


def _may_move(head: str, rest: str) -> bool:
    """Whether the end of a sentence may open it."""
    words = WORD.findall(rest.casefold())
    return (
        words[0] in OPENERS
        and len(words) > 1
        and not any(tail.split()[0] in OPENERS | {"con"} for _, tail in cuts(rest))
        and not has_verb(rest)
        and not regex.search(r"\p{L}{3}(?:ando|iendo)\b", head)
        and not regex.search("[,:]", rest + head)
        and not (words[0] == "por" and not regex.match(rf"por (?:la (?:tarde|mañana|noche)|(?:el )?{CAUSE})", rest))
        and not (words[0] == "en" and words[1] in {"efectivo", "vez", "directo", "otro"})
        and not (words[0] in {"el", "los", "este", "esta", "del", "cada"} and not is_timed(rest))
        and not (words[0] == "para" and not is_infinitive(words[1]) and words[1] not in es.DETERMINERS)
        and " y " not in f" {head} {rest} "
    )


def _opened(body: str) -> Iterator[str]:
    """Yield the main clause with the adverbial that opened the sentence behind it."""
    first, comma, rest = body.partition(", ")
    timed = es.TIME.match(body)
    if not (timed or OPENED.match(body)):
        return
    if timed and body[timed.end() : timed.end() + 1] in {" ", ","}:
        yield from _with_time(timed[0], body[timed.end() :].strip(" ,"))
    if timed and body[timed.end() : timed.end() + 1] == " " and not has_verb(timed[0]):
        first, comma, rest = timed[0], " ", body[timed.end() :].strip()
    if not comma or has_verb(first) or not has_verb(rest):
        words = body.split()
        folded = [word.casefold() for word in words]
        verb = next((at for at in range(2, len(words) - 1) if is_finite(folded, at)), 0)
        while verb and folded[verb - 1] in CLITICS:
            verb -= 1
        if verb < 2 or folded[verb - 1] in HANGING or "," in " ".join(words[:verb]):
            return
        first, rest = " ".join(words[:verb]), " ".join(words[verb:])
    yield f"{rest} {first[0].lower()}{first[1:]}"


def _with_time(time: str, said: str) -> Iterator[str]:
    """Yield a clause with its time behind the verb ("Presentamos el jueves el poemario")."""
    words = said.split()
    folded = [word.casefold().strip(",.:") for word in words]
    verb = next((at for at in range(len(words)) if is_finite(folded, at)), len(words))
    verb += verb + 1 < len(words) and folded[verb] in {"hemos", "he", "han", "ha"}
    if verb + 1 < len(words) and "," not in " ".join(words[: verb + 1]):
        yield f"{' '.join(words[: verb + 1])} {time[0].lower()}{time[1:]} {' '.join(words[verb + 1 :])}"


def _exchanged_halves(body: str) -> Iterator[str]:
    """Yield a sentence whose two halves have changed places, with the mark or the turn that this takes."""
    denied = NOT_BUT.fullmatch(body)
    if denied and denied[2] in {"es", "son", "era"} and not denied[1]:
        yield f"{capitalized(denied[2])} {denied[4]}, no {denied[3]}"
    elif denied and denied[1] and denied[2] not in {"solo", "sólo"}:
        yield f"{denied[1]} no {denied[2]} {denied[3]}: {denied[2]} {denied[4]}"
    equal = EQUAL.fullmatch(body)
    if equal and not has_verb(equal[1].split(" que ")[0]):
        yield f"¿{capitalized(equal[1])}? {capitalized(equal[2])}"
    given = regex.fullmatch(r"(?i)(les?) ([^,]+?) (al|a (?:la|las|los|una?|mi|nuestr[oa]s?)) ([^,]+)", body)
    if given and not has_verb(given[4].split(" que ")[0]):
        yield f"{capitalized(given[3])} {given[4]} {given[1].lower()} {given[2]}"
    for head, rest in cuts(body):
        if RELATIVE.match(rest) and is_finite(head.casefold().split(), 0):
            yield f"{capitalized(rest[4:])}. {capitalized(head)}"
        elif rest.startswith("cuando ") and not regex.search(r",| y ", body):
            yield f"{capitalized(rest)}, {lowered(head)}"
    asked = ASKED.fullmatch(body)
    if asked:
        yield f'"¿{capitalized(asked[3])}?", {asked[2]} {lowered(asked[1])}'


def _halves(body: str, brief: Brief) -> Iterator[str]:
    """Yield a sentence parted in two, by a question or a full stop in place of the word that joins them."""
    if TITLE.match(body.casefold()) or not has_verb(body):
        return
    why = WHY.fullmatch(body)
    if why and brief.tone != "formal" and has_verb(why[1]) and not regex.search(r"[,:;]| [ye] ", why[4]):
        yield f"{why[1]}. ¿{'Para qué? Para' if why[2] else 'Por qué? Porque'} {why[4]}"
    for head, rest in cuts(body):
        words = WORD.findall(rest.casefold())
        if words[0] == "que" and body[len(head)] == "," and any(is_finite(words, at) for at in (1, 2)):
            yield from (f"{text}. {capitalized(rest[4:])}" for text in (head, *_turned(head)))
        if words[0] in {"y", "e"} and has_verb(head) and _opens_clause(words[1:]):
            yield from (f"{text}. {capitalized(rest[2:])}" for text in (head, *_turned(head), *_inverted(head)))


def _inverted(body: str) -> Iterator[str]:
    """Yield the verb with a short object, place or time before its subject, or the last of two things as one more."""
    words = body.split()
    folded = [word.casefold().strip(",.:") for word in words]
    verb = start = next((at for at in range(2, len(words) - 1) if is_finite(folded, at)), 0)
    while start and folded[start - 1] in CLITICS:
        start -= 1
    subject, said, rest = (" ".join(part) for part in (words[:start], words[start : verb + 1], words[verb + 1 :]))
    if start and folded[0] in es.DETERMINERS and not regex.search(r"[,:;]|(?:^| )(?:que|quien) ", subject):
        if rest.startswith(("en ", "desde ", "hasta ")) and not has_verb(rest) and not regex.search("[,:;]", rest):
            yield f"{capitalized(rest)} {said} {lowered(subject)}"
        elif (
            len(rest.split()) <= MAX_OBJECT
            and folded[verb + 1] in es.DETERMINERS
            and start == verb
            and not has_verb(rest)
        ):
            yield f"{said} {rest} {lowered(subject)}"
    head, comma, added = body.rpartition(", ")
    opens = added.split(maxsplit=1)[0].casefold() if added else ""
    plain = comma and not regex.search(r"[,:;]", head) and not has_verb(added) and opens not in NEEDED - {"sin"}
    if plain and regex.match(r"(?:sin|con|\p{L}{4,}) ", added):
        yield f"{head}, y además {added}"


def _opens_clause(words: list[str]) -> bool:
    """Whether words open with a verb of their own, or with a subject and its verb."""
    start = next((at for at, word in enumerate(words) if word not in CLITICS | ADVERBS), 0)
    if words[0] in {"esto", "este", "cualquiera", "todos", "todo"} and len(words) > 1 and is_finite(words, 1):
        return True
    if words[0] in es.DETERMINERS and not is_finite(words, 1 if len(words) > 1 else 0):
        return any(is_finite(words, at) for at in range(2, min(4, len(words))))
    return len(words) - start > 1 and is_finite(words, start)
