"""Cuts Spanish sentences where a clause ends, and says them again in few of their own words in a row.

A text may repeat at most MAX_COPIED_WORDS words of the query in a row, so what follows a border is bridged with words
of ours ("Adoptamos una burra. ¿Para qué? Para limpiar el monte.").
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import regex

from pipelines import spanish_words as es
from pipelines.phrases import longest_copied_run, one_line
from pipelines.sentences import capitalized, is_balanced, sentences
from pipelines.spanish_grammar import gender_and_number, is_infinitive, is_verb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.records import Brief

MAX_COPIED_WORDS = 6
WORD = regex.compile(r"[\p{L}\p{M}\p{N}][\p{L}\p{M}\p{N}'\u2019.,:/%-]*(?<![.,:])|[$€]\S*|%|€")
# Where a sentence may be cut; the word opens what is cut off.
BORDER = regex.compile(
    r"(?:[,;:]|\s[\u2014\u2013-])\s+|\s(?=\()|\s(?=(?:y|e|pero|porque|para|por|con|en|durante|desde|hasta|que|"
    r"antes|después|cuando|sobre"
    r"|entre|a|al|sin|el(?=\s(?:próximo )?(?:lunes|martes|miércoles|jueves|viernes|sábado|domingo|\d))|"
    r"\p{L}{3,}(?:ando|iendo)|este|esta)\s)"
)
# What is cut off here would turn round or widen what is said before.
NEEDED = es.word_set("si hasta solo sólo excepto salvo menos sin no ni pero cuando mientras antes sino")
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
PEOPLE_AFTER = regex.compile(
    r"(?:quien(?:es)?|gente|chic[oa]s|niñ[oa]s|adultos|estudiantes|padres?|principiantes|oficinas)"
)
# A participle that waits for more, a measure, an adverbial without its end.
CLITICS = es.word_set("no se nos me le les ya te lo")
LOOSE = es.word_set(
    "ser también grabado grabada hecho hecha hechos hechas aprendido aprendida pasad pica rutas minuto día "
    "dia año vez preguntó lava seis sábado dia"
)
MORE_VERBS = es.word_set(
    "informa informamos "
    "pongo digo patrocinan permanecerá registró pusimos dejo describe matriculé compruebe requieren traslada "
    "reprogramarán funciona acuesto mandemos podrá cierra enviamos adoptamos sembraron liquidamos cambié "
    "publicamos murió puede puso pusimos ganó gana juega ensaya renueva visita "
    "pide comíais devuelve sobró hunde duplicó fue subió bajó llegó nació cerré pidió celebrará estrena salio salió "
    "abrieron hace quitamos dijimos analizamos apareció hemos quedan queda vuelven habrá vendemos enviamos nieva pica "
    "suena tenemos cuestan devuelven echo repartimos guardamos convocan dejo ascendimos facturar grabado ya charlamos "
    "llevé describe cuéntanos tráenos saluden completa cerramos estamos seguimos resolvemos informamos "
    "recordad serviria mandemos empezaran comprarian"
) - es.word_set("facturar grabado ya")


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
        r"(?<=\p{L}{3}[.!?]{1,3}) (?=\p{Ll})",
        "\n",
        regex.sub(r"(?<=@\w+)\. (?=\p{Lu})", ".\n", query.replace("⏰", "\n")),
    )


@lru_cache(maxsize=256)
def _read_sentences(query: str) -> tuple[str, ...]:
    found = []
    for text, _ in sentences(regex.sub(r"\s*\n\s*", "\n\n", _parted(query))):
        clean = regex.sub(r"[\p{Emoji_Presentation}\uFE0F\u200D❤⏰|*<>\[\]]+|#\S+|(?<!\S)_+", " ", one_line(text))
        if clean.strip(" .!?¡¿"):
            found.append(" ".join(clean.split()).replace(" .", ".").removeprefix("| "))
    return tuple(found)


@lru_cache(maxsize=1024)
def cuts(body: str, *, whole: bool = False) -> tuple[tuple[str, str], ...]:
    """Return what may stand before each border, complete, with what is cut off, shortest first."""
    return tuple(_read_cuts(body, whole=whole))


def _read_cuts(body: str, *, whole: bool) -> Iterator[tuple[str, str]]:
    for match in BORDER.finditer(body):
        head, rest = body[: match.start()].rstrip(" ,;:"), body[match.end() :].strip()
        words = [word.casefold() for word in WORD.findall(head)]
        following = WORD.findall(rest.casefold())[:1]
        if (
            len(words) > 1
            and following
            and words[-1] not in HANGING
            and not (is_finite(words, len(words) - 1) and words[-1] not in BARE_VERBS)
            and words[-1] not in es.BEFORE_NOUN
            and not (is_infinitive(words[-1]) and words[-2] != "puede")
            and not words[-1].endswith(("ando", "iendo"))
            and not (words[-1][0].isdecimal() and not regex.search(r"\p{L}\s[\d.]+$|(?:de|a las) \d\d?$", head))
            and not (following[0] in {"y", "e"} and not (has_verb(rest) and has_verb(head) and "entre" not in words))
            and not (words[-1] in LOOSE or (following[0] in {"a", "al"} and "," not in rest[:1] and _takes_a(words)))
            and not (following[0] == "que" and {"hace", "cuál", "cual", "qué"} & set(words))
            and len(words) - words[0:1].count("un") > 1
            and (whole or following[0] not in NEEDED)
            and not (following[0] in {"a", "al"} and is_verb(words[0]) and len(words) < 3)
            and not (following[0] == "que" and (is_verb(words[-1]) or words[-1] in {"de", "lo"} or "más" in words))
            and is_balanced(head)
        ):
            yield head, rest


def is_finite(words: list[str], at: int) -> bool:
    """Whether the word at this place is a finite verb there."""
    word, before = words[at], words[at - 1] if at else ""
    noun = before in es.PREPOSITIONS | es.DETERMINERS.keys() - {"la", "los", "las"}
    return (
        (is_verb(word) or word in MORE_VERBS)
        and not noun
        and not (word in es.HOMONYMS and (at == 0 or before in es.DETERMINERS))
    )


def _takes_a(words: list[str]) -> bool:
    """Whether the verb of a head goes on with `a`: "ha aprendido a", "visita a", "pica al entrar"."""
    return any(is_verb(word) for word in words[-2:]) or words[-1] in LOOSE


def bridged(body: str) -> Iterator[str]:  # noqa: C901, PLR0912  # one rule after the other
    """Yield what stands before a border and what follows it, with words of ours between them."""
    for head, rest in cuts(body, whole=True):
        words, before = WORD.findall(rest.casefold()), WORD.findall(head.casefold())
        comma = body[len(head) : len(head) + 1] == ","
        if len(words) < 2:
            continue
        if words[0] == "para":
            asked = "¿Para quién?" if PEOPLE_AFTER.search(rest) and not is_infinitive(words[1]) else "¿Para qué?"
            yield f"{head}. {asked} {capitalized(rest)}"
        elif words[0] == "hasta" and words[1] == "que":
            yield f"{head}. ¿Hasta cuándo? {capitalized(rest)}"
        elif words[0] == "sobre":
            yield f"{head}. ¿Sobre qué? {capitalized(rest)}"
        elif words[0] == "con" and " o " not in rest and not comma and not has_verb(rest):
            met = words[1] in {"un", "una"} and regex.search("(?i)entrevista|charla|conversa", head)
            yield f"{head}. {'¿Con quién? Con' if met else 'Y con'}{rest[3:]}"
        elif (
            words[0] == "en"
            and words[1] in {"el", "la", "los", "las"}
            and not es.TIME.search(rest)
            and words[-1] != "noventa"
        ):
            yield f"{head}. ¿Dónde? {capitalized(rest)}"
        elif (
            words[0] == "y"
            and has_verb(head)
            and is_finite(words, min(2, len(words) - 1))
            and words[1] in {"se", "la", "lo"}
        ):
            yield f"{head}. Por cierto, {rest[2:]}"
        elif words[0] == "que" and len(before) > 2:
            nouns = [word for word in before if word in {"el", "la", "los", "las", "al", "un", "una"}]
            if nouns and nouns[-1] in {"un", "una"}:
                yield f"{head}. En concreto, {nouns[-1].replace('un', 'uno') if nouns[-1] == 'un' else 'una'} {rest}"
            elif nouns:
                yield f"{head}. Sí, {nouns[-1].replace('al', 'el')} {rest}"
        elif (
            comma and words[0] not in es.word_set("y e o u a el la un una que pero avisando llama") and "," not in rest
        ):
            yield f"{head}. Un detalle: {rest}"
    made = regex.fullmatch(r"(.{6,}?) ((?:grabad|hech|fabricad|cosid|elaborad|diseñad)[oa]s? [^,]+)(?:,.*)?", body)
    if made:
        yield from (
            f"{made[1]}. Un detalle: {text}" for text in (made[2], *(head for head, _ in reversed(cuts(made[2]))))
        )
    bare = regex.fullmatch(r"(\p{L}+s) (que (?:no )?(?:se )?\p{L}+ .+)", body)
    gender = gender_and_number(bare[1].casefold())[0] if bare else None
    if bare and gender and bare[1].casefold() not in es.FUNCTION_WORDS and not is_verb(bare[1]):
        for text in (bare[2], *(head for head, _ in reversed(cuts(bare[2])))):
            yield f"{bare[1]} de {'los' if gender == 'm' else 'las'} {text}"
    between = regex.fullmatch(r"(.+?) (entre .+ y .+?) (para \p{L}+[aei]r .+)", body)
    if between:
        yield f"{between[1]} {between[3]}, {between[2]}"
    filmed = regex.fullmatch(r"(?i)v[ií]deo de c[oó]mo (.+?)( paso a paso)?", body)
    if filmed:
        yield f"En video: cómo {filmed[1]}"
    of = regex.fullmatch(r"(.+?\p{L}) ((?:del|de las|de los|de la) .+)", body)
    if of:
        words = of[1].casefold().split()
        if (
            len(words) > 1
            and words[-1] not in HANGING
            and not is_finite(words, len(words) - 1)
            and not TIMED.search(of[2])
            and not of[2][4:5].isdecimal()
            and not has_verb(of[2].split(" que ")[0])
        ):
            yield from (
                f"{of[1]}. ¿De qué? {capitalized(text)}" for text in (of[2], *(h for h, _ in reversed(cuts(of[2]))))
            )


@lru_cache(maxsize=4096)
def has_verb(text: str) -> bool:
    """Whether a text has a finite verb that is not a noun there."""
    words = [word.casefold() for word in WORD.findall(text)]
    return any(
        (is_verb(word) or word in MORE_VERBS)
        and not (word in es.HOMONYMS and (at == 0 or words[at - 1] in es.PREPOSITIONS | es.DETERMINERS.keys()))
        and not (at and words[at - 1] in {"el", "los", "un", "una", "de"})
        for at, word in enumerate(words)
    )
