"""Reads a Spanish title, note or row of keywords: whole, as a list with one item a line, or as something to do."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import regex

from pipelines import spanish_words as es
from pipelines.spanish_clauses import NEEDED, TITLE, cuts, has_verb, lowered, read_sentences, says_again
from pipelines.spanish_grammar import is_adjective, is_infinitive
from pipelines.spanish_kinds import kind_of
from pipelines.spanish_wording import rewordings
from pipelines.text.sentences import capitalized, is_balanced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.records import Brief

MIN_KEYWORDS, MAX_KEYWORDS = 3, 8
MIN_ITEMS, MIN_PARTS, MAX_ITEM_WORDS = 3, 2, 6
OF = {"de", "del", "la", "las", "los"}
HEADS = es.word_set(
    "cierre corte oferta receta curso cursos taller talleres festival ramo ramos estreno beca becas club campamento "
    "carrera final huelga mantenimiento trucos guía museo menú banda limpieza tienda feria venta rebajas clases clase "
    "preventa exposición adopción jornada jornadas software seguro seguros clínica servicio alquiler torneo podcast "
    "episodio capítulo versión concierto webinar charla programa agenda aviso horario"
)
INVARIABLE = es.word_set("gratis online web libre python excel favorito favorita")
FIXED = {("masa", "madre"), ("amigo", "invisible"), ("segunda", "mano")}
NO_TITLE = es.word_set(
    "antes a al por de en estimados estimadas yo ya que qué si para con hoy ayer y o pero no se lo me te le"
)
WHEN = regex.compile(
    rf"(?i)(?:(?:el |los |este |cada )?{es.DAY}s?\b.*|\d+ de {es.MONTH}.*|de \d+ a \d+.*|\d+(?::\d+)? ?h\b.*)"
)
WHERE = regex.compile(
    r"(?i)(?:en )?(?:puesto|caseta|calles?|plaza|avenida|centro|sala|salón|biblioteca|parque|facultad|aula|museo"
    r"|teatro) .+"
)
PRICE = regex.compile(r"(?i)(?:desde |por )?(?:\d[\d.,]* ?(?:€|euros|pesos)|[$€]\d).*")
SAYING = es.word_set(
    "agradecer felicitar anunciar pedir invitar saludar recordar avisar buscar presentar gracias celebrar"
)
LABELS = tuple(
    (label, regex.compile(pattern))
    for label, pattern in (
        ("Cuándo", rf"(?:{WHEN.pattern[4:]}|del \d+ al \d+.*|antes de las .*|(?:este|esta|todos los|desde el?) .*)"),
        ("Precio", r"(?:por|desde) (?:\d|menos de|solo \d).*"),
        ("Motivo", r"(?:por|debido a) (?:las? |los |una? )?\p{L}+.*"),
        ("Dónde", r"en (?:el|la|los|las|nuestr[oa]|\p{Lu}\p{L}+)\b.*"),
        ("Objetivo", r"para \p{L}+[aei]r(?:l[aeo]s?|se)? .*"),
        ("Para quién", r"para .*"),
        ("Tema", r"(?:sobre|acerca de) .*"),
    )
)
UNLABELED = regex.compile(r"(?i)^(?:por|debido a|para|sobre|acerca de)\s")
FRONTED = regex.compile(r"(?:con|sin|para|desde|tras|a mitad de|por menos de|por \d+) ")
HOW = regex.compile(
    r"(?i)(?:c[oó]mo (?=\p{L}+[aei]r(?:l[aeo]s?|se)? )|(?:consejos?|trucos?|ideas?|claves|pasos) para )(.+)"
)


def find_title(brief: Brief) -> str | None:
    """Return the title that a query is, as it stands inside a sentence, in the wording that repeats least of it.

    None where the query is a sentence with a verb, a question, or several sentences.
    """
    said = read_sentences(brief)
    if len(said) != 1:
        return None
    body = regex.sub(r"[:,]?\s*(?:en )?https?://\S+", "", said[0]).strip("¡!. ")
    if not body or regex.search(r"[?¿]|http|___|:$", body) or not is_balanced(body):
        return None
    body = regex.sub(r"(?i)^(?:una?) (?=\p{L}+(?:ión|aje|dor|dora)\b)", "", lowered(body))
    start = regex.split(r"[:;,]\s|\s(?:que|quien|lo que|hasta|como|cómo|cuando)\s", body)[0]
    titled = TITLE.match(body.casefold()) is not None
    if (not titled and has_verb(start)) or body.split()[0].casefold() in NO_TITLE:
        return None
    if _is_row(said[0]):
        return None
    return next((text for text in rewordings(body, brief) if len(text) > len(body) - MIN_PARTS), body)


def fronted(body: str) -> Iterator[str]:
    """Yield a title with its end in front, behind a colon what it is about."""
    how = regex.fullmatch(r"(?i)(\p{L}+) de c[oó]mo (.+?)( paso a paso)?", body)
    if how:
        yield f"{'paso a paso: ' * bool(how[3])}cómo {how[2]}, en {how[1].lower()}"
    for head, rest in reversed(cuts(body)):
        if FRONTED.match(rest) and not regex.search(r"[,:;]| [yo] ", f"{head} {rest}") and not has_verb(head):
            yield f"{rest}: {head}"


def find_layout(brief: Brief, title: str) -> str | None:
    """Return a title with when, where, for whom and why in lines of their own; None where it has none of them."""
    parts = [part for part in cuts(title) if not regex.search(r"[,:;]|^que | y ", part[1].partition(" ")[0])]
    borders = [len(title) - len(rest) for _, rest in parts] + [len(title)]
    chunks = [title[start:end].strip(" ,;:") for start, end in pairwise([0, *borders])]
    lines = [capitalized(chunks[0])]
    last: list[str] = []
    for chunk in chunks[1:]:
        label = next((name for name, pattern in LABELS if pattern.match(chunk)), None)
        if label is None or any(line.startswith(label) for line in last):
            if last and not chunk.startswith(("con ", "sin ")):
                last[-1] += f" {chunk}"
            else:
                lines[0] += f" {chunk}"
        else:
            last.append(f"{label}: {UNLABELED.sub('', chunk)}")
    if not last or TITLE.match(title.casefold()) or regex.search(r"[:;]", title) or len(lines[0].split()) < MIN_PARTS:
        return None
    return next(
        ("\n".join(text) for text in ([*lines, *last], [*lines, *last[::-1]]) if says_again("\n".join(text), brief)),
        None,
    )


def find_action(brief: Brief) -> str | None:
    """Return what a title tells how to do, from the infinitive on; None where it is about the author or too long."""
    said = read_sentences(brief)
    body = regex.sub(r"[:,]?\s*https?://\S+", "", said[0]).strip(" .") if len(said) == 1 else ""
    how = HOW.fullmatch(body)
    action = how[1] if how else body
    words = action.casefold().split()
    if words[:1] and words[0] in SAYING:
        return None
    if (
        (not how and (len(words) < 2 or not is_infinitive(words[0])))
        or "?" in action
        or has_verb(action.split(" que ")[0])
    ):
        return None
    if {"mi", "mis", "me", "nuestro", "nuestra", "nuestros", "nuestras"} & set(words) or "," in action:
        return None
    action = action[0].lower() + action[1:]
    short = (head for head, _ in cuts(action) if len(head.split()) > 1 and says_again(head, brief))
    return next(rewordings(action, brief), None) or next(short, None)


def find_list(brief: Brief) -> str | None:
    """Return a note of items as a header and a line each, times, places and prices last; None where it is no note."""
    said = read_sentences(brief)
    if len(said) != 1 or has_verb(said[0]) or regex.search(r"[?¿]|http|\d[.)] ", said[0]):
        return None
    body = said[0].strip("¡!. ")
    items = [item.strip() for item in regex.split(r"[,;·/]\s+|\s[/|·+-]\s", body.replace(": ", ", ", 1))]
    marked = len(items) >= MIN_ITEMS
    row = not marked and _is_row(body)
    items = items if marked else _keywords(body) if row else []
    if (
        len(items) < MIN_ITEMS - row
        or any(not item or len(item.split()) > MAX_ITEM_WORDS for item in items)
        or any(item.split()[0].casefold() in NEEDED | {"que", "su", "sus", "y"} for item in items)
    ):
        return None
    framing = [item for item in items if WHEN.fullmatch(item) or WHERE.fullmatch(item) or PRICE.fullmatch(item)]
    rest = [item for item in items if item not in framing]
    if len(times := [item for item in framing if WHEN.fullmatch(item)]) > 1:
        framing = [", ".join(times), *(item for item in framing if item not in times)]
    if len(rest) > 2 and rest[-1].split()[0].casefold() in {"todo", "toda", "todos", "todas"} and not framing:
        text = f"{capitalized(rest[-1])}: {', '.join(rest[:-2])} y {rest[-2]}."
        return text if says_again(text, brief) else None
    headers = [item for item in rest if _is_header(item)]
    headed = headers[:1] if len(headers) == 1 else rest[:1] if row or (headers and rest[0] == headers[0]) else []
    if len({item.casefold().split()[0] for item in headers}) < len(headers):
        headed = []
    rest = [item for item in rest if item not in headed]
    if not rest and not framing:
        return None
    for order in (rest, rest[::-1], rest[1:] + rest[:1]):
        for last in (framing, framing[::-1]):
            lines = [capitalized(headed[0]) + ":" * bool(rest)] if headed else []
            lines += [f"• {capitalized(item)}" for item in order]
            lines += [f"{_sign(item, brief)} {capitalized(item)}" for item in last]
            if says_again("\n".join(lines), brief):
                return "\n".join(lines)
    return None


def _is_header(item: str) -> bool:
    """Whether an item names what the others belong to."""
    nouns = [word for word in item.casefold().split() if word not in es.BEFORE_NOUN]
    return bool(nouns) and (
        bool({nouns[0], nouns[0][:-1], nouns[0][:-2]} & HEADS) or kind_of(nouns[0]) not in {None, "asunto"}
    )


def _sign(item: str, brief: Brief) -> str:
    if brief.tone == "formal" or PRICE.fullmatch(item):
        return "•"
    return "🗓" if WHEN.fullmatch(item) else "📍"


def _is_row(body: str) -> bool:
    """Whether a text is a row of three or more bare keywords."""
    tokens = body.split()
    grammar = es.FUNCTION_WORDS - OF
    return (
        MIN_KEYWORDS <= len(tokens) <= MAX_KEYWORDS
        and not grammar & {token.casefold() for token in tokens}
        and not is_infinitive(tokens[0])
        and not regex.search(r"[,:;.]", body)
        and body[0].islower()
        and tokens[0] not in es.DETERMINERS.keys() | es.FUNCTION_WORDS
        and len(_keywords(body)) > 1
    )


def _keywords(body: str) -> list[str]:
    """Return a row of bare keywords as noun phrases."""
    tokens = body.split()
    parts = [tokens[0]]
    for before, word in pairwise(tokens):
        joined = before in es.BEFORE_NOUN or before.isdecimal() or word[0].isdecimal()
        if WHEN.fullmatch(word) or (WHEN.fullmatch(before) and not joined):
            parts.append(word)
        elif (
            joined
            or before in OF
            or word in OF
            or (is_adjective(word) and word not in es.HOMONYMS)
            or word in INVARIABLE
            or (before, word) in FIXED
        ):
            parts[-1] += f" {word}"
        elif before in HEADS and parts[-1] == before and word not in es.BEFORE_NOUN:
            parts[-1] += f" de {word}"
        else:
            parts.append(word)
    return [f"el {part}" if regex.fullmatch(es.DAY, part) else part for part in parts]
