"""Cuts Spanish sentences where a clause ends, and tells which words in them are verbs.

What says them again, whole and in few of their own words in a row: spanish_wording.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import regex

from pipelines import spanish_words as es
from pipelines.generator.phrases import longest_copied_run, one_line
from pipelines.spanish_grammar import gender_and_number, is_infinitive, is_verb
from pipelines.text.facts import NUMBER_WORDS
from pipelines.text.sentences import is_balanced, sentences

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.records import Brief

MAX_COPIED_WORDS, MIN_HEAD = 6, 4
WORD = regex.compile(r"[\p{L}\p{M}\p{N}][\p{L}\p{M}\p{N}'\u2019.,:/%-]*(?<![.,:])|[$€]\S*|%|€")
# Where a sentence may be cut; the word opens what is cut off.
BORDER = regex.compile(
    r"(?:[,;:]|\s[\u2014\u2013-])\s+|\s(?=\()|\s(?=(?:y|e|pero|porque|para|por|con|en|durante|desde|hasta|que|"
    r"antes|después|cuando|sobre|tras|si|mientras|según"
    r"|entre|a|al|sin|el(?=\s(?:próximo )?(?:lunes|martes|miércoles|jueves|viernes|sábado|domingo|fin de semana|\d))|"
    r"\p{L}{3,}(?:ando|iendo)|este|esta|tod[oa]s?(?=\s(?:el|la|los|las))|debido|"
    r"del(?=\s\d+ al)|(?:los|cada)(?=\s(?:lunes|martes|miércoles|jueves|viernes|sábado|domingo)))\s)|\s(?=paso a paso$)"
)
# What an author asks of a tool, and what only names the kind of text.
REQUEST = regex.compile(
    r"(?i)^(?:(?:escr[ií]be(?:me)?|haz(?:me)?|necesito|quiero|dame|prepara|crea|redacta)\s)?(?:(?:un|el)\s)?"
    r"(?:tuit|tweet|post|hilo|mensaje|publicación|anuncio)\s(?:sobre|para|de|anunciando|que)\s"
    r"|^(?:anunciar|promocionar|contar|comunicar|tuitear(?:\ssobre)?|hablar\sde|publicar(?:\ssobre)?|explicar|promover)"
    r"\s(?:que\s)?|^(?:para\s(?:twitter|redes|la\scuenta\sde\s[^:,]+)|ideas?\sde\stuit)[:,]\s"
    r"|^(?:qué|que|cómo|como)\s(?:puedo|podría|podemos|debo)\s\p{L}+r\s(?:por|sobre)\s"
    r"(?=(?:el|la|los|las|una?|nuestr[oa]s?|mis?)\s)"
    r"|^(?:quiero|queremos|necesito) que (?:la gente|todos|mis? \p{L}+|se) sepan? que\s"
)
# What an author asks of who writes for them, not of readers.
FOR_THE_TOOL = regex.compile(
    r"(?i)¿?(?:qu[eé]|c[oó]mo|cu[aá]l) (?:\p{L}+ )?(?:puedo|podría|debo|pongo|digo|tuiteo|tuitear|publico|publicar"
    r"|anuncio|escribo)\b|¿?mejor (?:anunciar|publicar|decir) |pongo |¿?con qué tono "
)
# A sentence with such signs is not quoted: without them its words would not be the author's.
CODE = regex.compile(r"[{}<>`\\]|%[sdx]\b|\$\(")
# What is cut off here would turn round or widen what is said before.
NEEDED = es.word_set("si según porque hasta solo sólo excepto salvo menos sin no ni pero cuando mientras antes sino")
HANGING = es.FUNCTION_WORDS - es.word_set("bien mal hoy ayer mañana aquí más también ya nada siempre todo")
BARE_VERBS = es.word_set(
    "vuelve vuelven cierra cierran llega llegan empieza empiezan ascendimos llegamos abrimos abre abren termina crece "
    "sale salen flojea firmaron acaba volvemos empezamos cerramos ganamos aprobamos"
)
TIMED = regex.compile(rf"\b(?:{es.DAY}|los lunes|talla|tranvía)\b")
QUESTION_START = regex.compile(
    r"(?:qué|que|cuál|cual|quién|quien|cómo|dónde|cuándo|cuánt[oa]s?|con qué|por qué|a quien|a quién|de qué|ya conocen|"
    r"comprar\w+|mejor \p{L}+r |pongo|como digo)(?!\p{L})"
)
# What may stand in front of a title, and what opens one that has a verb.
FRONTED = es.word_set("para en con sin tras desde si antes después durante cuando")
TITLE = regex.compile(r"(?:c[oó]mo|por qué|lo que|dónde|cuándo|cosas que|(?:el día|la vez|las cosas) que) \p{L}+")
VERB_LIKE = regex.compile(r"(?:[aeoéíó]|[ae]n|mos|[aeá]is)$")
# An adjective or participle that says little without what follows it.
PREDICATE = regex.compile(
    r"(?:[ai]d[oa]s?|ient[oa]s?|list[oa]s|llen[oa]s?|baj[oa]s?|capa(?:z|ces)|apt[oa]s?|iert[oa]s?|uest[oa]s?|rit[oa]s?)$"
)
CLITICS = es.word_set("no se nos me le les ya te lo")
ADVERBS = es.word_set("hoy ahora también todavía")
LOOSE = es.word_set(
    "ser también grabado grabada hecho hecha hechos hechas aprendido aprendida pasad pica rutas minuto día "
    "paso más dia año vez preguntó lava seis sábado dia"
)
MORE_VERBS = es.word_set(
    "informa informamos "
    "pongo digo patrocinan permanecerá registró pusimos dejo describe matriculé compruebe requieren traslada "
    "reprogramarán funciona acuesto mandemos podrá cierra enviamos adoptamos sembraron liquidamos cambié "
    "publicamos murió puede puso pusimos ganó gana juega ensaya renueva visita "
    "mide miden pesa pesan dura duran "
    "pide comíais devuelve sobró hunde duplicó fue subió bajó llegó nació cerré pidió celebrará estrena salio salió "
    "abrieron hace quitamos dijimos analizamos apareció hemos quedan queda vuelven habrá vendemos enviamos nieva pica "
    "suena tenemos cuestan devuelven echo repartimos guardamos convocan dejo ascendimos facturar grabado ya charlamos "
    "llevé describe cuéntanos tráenos saluden completa cerramos estamos seguimos resolvemos informamos "
    "recordad serviria mandemos empezaran comprarian"
) - es.word_set("facturar grabado ya")

ACCENTED = {
    "dia": "día", "facil": "fácil", "autonomo": "autónomo", "autonomos": "autónomos",
    "electronica": "electrónica", "minimo": "mínimo", "publico": "público", "ultimo": "último", "ultimos": "últimos",
    "ultima": "última", "ultimas": "últimas", "rapido": "rápido", "menu": "menú",
    "envio": "envío", "cafeteria": "cafetería",
}  # fmt: skip
UNACCENTED = regex.compile(rf"\b(?:{'|'.join(ACCENTED)})\b")


def says_again(text: str, brief: Brief) -> bool:
    """Whether a text repeats no long run of the query."""
    return (
        text.count(" ") < MAX_COPIED_WORDS or longest_copied_run(text, brief.query, brief.entities) <= MAX_COPIED_WORDS
    )


def read_sentences(brief: Brief) -> tuple[str, ...]:
    """Return the sentences of the query without their emoji and hashtags, one line each."""
    return _read_sentences(brief.query)


def _parted(query: str) -> str:
    """Begin a new line where an author without capitals begins a sentence."""
    return regex.sub(
        r"(?<=\p{L}{3}[.!?]{1,3}) (?=\p{Ll})|(?<=\d h\.) (?=\p{Lu})",
        "\n",
        regex.sub(r"(?<=@\w+)\. (?=\p{Lu})", ".\n", query.replace("⏰", "\n")),
    )


def _spelled(text: str) -> str:
    """Return a text with the accents that hurried authors leave out of some endings and words."""
    return UNACCENTED.sub(lambda match: ACCENTED[match[0]], regex.sub(r"(?<=\p{L}[cs])ion\b", "ión", text))


@lru_cache(maxsize=256)
def _read_sentences(query: str) -> tuple[str, ...]:
    found = []
    query = regex.sub(r"(?i)^felicitar (?:por )?(?:el |la )?", "Feliz ", REQUEST.sub("", query))
    query = regex.sub(r"(?i)^(?:agradecer|dar las gracias) (?=al? )", "Gracias ", query)
    query = regex.sub(r"(?i)(?<=\b(?:ep|cap|núm))\. (?=\d)", " ", query)
    for text, _ in sentences(regex.sub(r"\s*\n\s*", "\n\n", _parted(query))):
        if CODE.search(text) or FOR_THE_TOOL.match(text):
            continue
        clean = regex.sub(r"[\p{Extended_Pictographic}\uFE0F\u200D|*\[\]]+|#\S+|(?<!\S)_+", " ", one_line(text))
        clean = regex.sub(r"(?<=[!?])[!?]+(?=\s|$)|(?<=[¡¿])[¡¿]+", "", clean)
        if clean.strip(" .!?¡¿"):
            found.append(_spelled(" ".join(clean.split()).replace(" .", ".").removeprefix("| ")))
    return tuple(found)


@lru_cache(maxsize=1024)
def cuts(body: str) -> tuple[tuple[str, str], ...]:
    """Return what may stand before each border of a sentence, with what stands behind it, shortest first."""
    return tuple(_read_cuts(body))


def _read_cuts(body: str) -> Iterator[tuple[str, str]]:
    for match in BORDER.finditer(body):
        head, rest = body[: match.start()].rstrip(" ,;:"), body[match.end() :].strip()
        words = [word.casefold() for word in WORD.findall(head)]
        following = WORD.findall(rest.casefold())[:1]
        if (
            len(words) > 1
            and following
            and words[-1] not in HANGING
            and not (
                is_finite(words, len(words) - 1) and words[-1] not in BARE_VERBS and not TITLE.match(head.casefold())
            )
            and words[-1] not in es.BEFORE_NOUN
            and not (is_infinitive(words[-1]) and words[-2] != "puede")
            and not words[-1].endswith(("ando", "iendo"))
            and not (words[-1][0].isdecimal() and not regex.search(r"\p{L}\s[\d.]+$|(?:de|a las) \d\d?$", head))
            and not (following[0] in {"y", "e"} and not (has_verb(rest) and has_verb(head) and "entre" not in words))
            and not (words[-1] in LOOSE or (following[0] in {"a", "al"} and "," not in rest[:1] and _takes_a(words)))
            and not (following[0] == "que" and {"hace", "cuál", "cual", "qué"} & set(words))
            and len(words) - words[0:1].count("un") > 1
            and not (following[0] in {"a", "al"} and is_verb(words[0]) and len(words) < 3)
            and not (following[0] == "que" and (is_verb(words[-1]) or words[-1] in {"de", "lo"} or "más" in words))
            and is_balanced(head)
        ):
            yield head, rest


def shortened(body: str, brief: Brief) -> list[str]:
    """Return the longest head of a sentence that is true, complete and short enough without what follows it, if any."""
    stated = has_verb(regex.split(r"[,:;]\s|\s(?:que|quien)\s", body)[0]) and not TITLE.match(body.casefold())
    if body.split(maxsplit=1)[0].casefold() in NEEDED:
        return []
    found = [
        head
        for head, rest in cuts(body)
        if (has_verb(head) or not stated)
        and WORD.findall(rest.casefold())[0] not in NEEDED
        and ": " not in head
        and _says_enough(WORD.findall(head.casefold()), rest, mark=body[len(head)])
        and says_again(head, brief)
        and not (WORD.findall(rest)[0] in {"a", "al"} and head[-1].isdecimal())
    ]
    return [head for head in found[-1:] if len(head.split()) >= MIN_HEAD - (not has_verb(head))] or [
        head for head in _before_of(body) if says_again(head, brief) and (has_verb(head) or not stated)
    ][-1:]


def _before_of(text: str) -> Iterator[str]:
    """Yield what stands before each `de` of a noun phrase that has more than a bare noun before it."""
    for match in regex.finditer(r" (?=(?:de|del) )", text):
        head = text[: match.start()].rstrip(",;:")
        words = WORD.findall(head.casefold())
        if (
            len(words) > 2 + has_verb(head)
            and words[-1]
            not in es.FUNCTION_WORDS | es.BEFORE_NOUN | LOOSE | {"%", "más", "mitad", "total", "millones", "miles"}
            and not {"no", "o", "mejor", "peor"} & set(words)
            and "," not in head
            and not words[-1][0].isdecimal()
            and not (has_verb(head) and PREDICATE.search(words[-1]))
            and is_balanced(head)
        ):
            yield head


def _says_enough(words: list[str], rest: str, mark: str) -> bool:
    """Whether a head may stand without the rest: not an adjective that goes on, half a list, a verb with its manner."""
    following = WORD.findall(rest.casefold())[0]
    stated = any(is_finite(words, at) for at in range(len(words)))
    listed = mark == "," and stated and not has_verb(rest) and regex.search(r", | [yeou] ", f"{rest} ")
    definite = (stated or len(words) < MIN_HEAD) and {"el", "la", "los", "las"} & set(words[-4:])
    needed = following == "que" and (PREDICATE.search(words[-1]) or definite)
    return (
        not rest.startswith(("a la semana", "al mes", "al día", "al año"))
        and not (PREDICATE.search(words[-1]) and following in es.PREPOSITIONS - {"por"} and words[0] != "cómo")
        and not needed
        and not (listed and following not in es.FUNCTION_WORDS)
        and not (stated and words[0] not in es.SEEKING and (len(words) < MIN_HEAD or "no" in words))
        and not (following in {"con", "sin"} and words[-2] not in es.DETERMINERS and stated and len(words) <= MIN_HEAD)
        and not {"o", "u", "mejor", "si", "cada"} & set(words)
    )


def is_finite(words: list[str], at: int) -> bool:
    """Whether the word at this place is a finite verb there, by list or by what stands around it."""
    word, before = words[at], words[at - 1] if at else ""
    after = words[at + 1] if at + 1 < len(words) else ""
    if before in es.PREPOSITIONS | es.BEFORE_NOUN | es.DETERMINERS.keys() - {"la", "los", "las"}:
        return False
    led = at > 1 and words[0] in es.DETERMINERS
    noun = before in es.DETERMINERS or not (led or after in es.DETERMINERS.keys() | NUMBER_WORDS)
    known = (is_verb(word) or (at == 0 and word in es.IMPERATIVES) or word in MORE_VERBS) and not (
        word in es.HOMONYMS and noun
    )
    return known or _stands_as_verb(word, before, after, words[at + 2 : at + 3])


def _stands_as_verb(word: str, before: str, after: str, then: list[str]) -> bool:
    """Whether a word that no list knows reads as a verb: behind `se`, or between a noun and a determiner."""
    if word in es.FUNCTION_WORDS | es.BEFORE_NOUN or is_infinitive(word) or not VERB_LIKE.search(word):
        return False
    timed = (
        after in {"el", "este", "los"}
        and then
        and (TIMED.match(f"el {then[0]}") or TIMED.match(then[0]) or then[0][0].isdecimal())
    )
    return before in {"se", "nos", "me", "te"} or bool(
        after in es.DETERMINERS.keys() - {"al", "del"}
        and not timed
        and before not in {"la", "los", "las", ",", "lo"}
        and not PREDICATE.search(word)
    )


def _takes_a(words: list[str]) -> bool:
    """Whether the verb of a head goes on with `a`: "ha aprendido a", "visita a", "pica al entrar"."""
    return any(is_verb(word) for word in words[-2:]) or words[-1] in LOOSE


def lowered(text: str) -> str:
    """Return a phrase as it stands inside a sentence; a name keeps its capital."""
    first, *more = text.split()
    named = not (first[1:].islower() or len(first) == 1) or (more and more[0][0].isupper())
    known = is_verb(first) or gender_and_number(first.casefold())[0] or first.casefold() in es.FUNCTION_WORDS
    return text if named or not known else text[0].lower() + text[1:]


@lru_cache(maxsize=4096)
def has_verb(text: str) -> bool:
    """Whether a text has a finite verb that is not a noun there."""
    words = [word.casefold() for word in regex.findall(rf"{WORD.pattern}|[,:;.]", text)]
    return any(is_finite(words, at) and not (at and words[at - 1] in {"el", "los"}) for at in range(len(words)))
