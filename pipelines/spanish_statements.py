"""Takes out of a Spanish query what can be said again in few of its own words: statements, a question, a headline.

A text may repeat at most MAX_COPIED_WORDS words of the query in a row, so a long sentence is cut at a clause border,
turned around, or bridged with a word of ours ("Adoptamos una burra. ¿Para qué? Para limpiar el monte.").
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import regex

from pipelines import spanish_words as es
from pipelines.facts import EMAIL
from pipelines.phrases import longest_copied_run, one_line
from pipelines.sentences import capitalized, is_balanced, refers_back, sentences
from pipelines.spanish_grammar import gender_and_number, is_adjective, is_infinitive, is_verb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.records import Brief

MAX_COPIED_WORDS = 6
MAX_KEYWORDS = 8
WORD = regex.compile(r"[\p{L}\p{M}\p{N}][\p{L}\p{M}\p{N}'’.,:/%-]*(?<![.,:])|[$€]\S*|%|€")
# Where a sentence may be cut; the word opens what is cut off.
BORDER = regex.compile(
    r"(?:[,;:]|\s[—–-])\s+|\s(?=\()|\s(?=(?:y|e|pero|porque|para|por|con|en|durante|desde|hasta|que|antes|después|cuando|sobre"
    r"|entre|a|al|sin|el(?=\s(?:próximo )?(?:lunes|martes|miércoles|jueves|viernes|sábado|domingo|\d))|\p{L}{3,}(?:ando|iendo)|este|esta)\s)"
)
# What is cut off here would turn round or widen what is said before.
NEEDED = es.word_set("si hasta solo sólo excepto salvo menos sin no ni pero cuando mientras antes sino")
OPENERS = es.word_set("en para durante desde este esta el antes por")
PREFIX = regex.compile(
    r"(?i)^(?:recorda(?:d|mos)|recuerd[ae]n?|(?:se informa|informamos|avisamos) (?:a [^,]+? )?de|os recordamos) que "
)
HANGING = es.FUNCTION_WORDS - es.word_set("bien mal hoy ayer mañana aquí más también ya nada siempre todo")
BARE_VERBS = es.word_set(
    "vuelve vuelven cierra cierran llega llegan empieza empiezan ascendimos llegamos abrimos abre abren termina crece "
    "sale salen flojea firmaron acaba volvemos empezamos cerramos ganamos aprobamos"
)
NO_START = es.word_set("que porque cuando si como y e o u ni pero además así eso esto ese esa")
TIMED = regex.compile(rf"\b(?:{es.DAY}|los lunes|talla|tranvía)\b")
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
QUESTION_START = regex.compile(
    r"(?:qué|que|cuál|cual|quién|quien|cómo|dónde|cuándo|cuánt[oa]s?|con qué|por qué|a quien|a quién|de qué|ya conocen|"
    r"comprar\w+|mejor \p{L}+r |pongo|como digo)(?!\p{L})"
)
PEOPLE_AFTER = regex.compile(r"(?:quien(?:es)?|gente|chic[oa]s|niñ[oa]s|adultos|estudiantes|padres?|principiantes|oficinas)")


def says_again(text: str, brief: Brief) -> bool:
    """Whether a text repeats no long run of the query."""
    return text.count(" ") < MAX_COPIED_WORDS or longest_copied_run(text, brief.query, brief.entities) <= MAX_COPIED_WORDS


def read_sentences(brief: Brief) -> tuple[str, ...]:
    """Return the sentences of the query without their emoji and hashtags, one line each."""
    return _read_sentences(brief.query)


def _parted(query: str) -> str:
    """Begin a new line where an author without capitals begins a sentence."""
    return regex.sub(r"(?<=\p{L}{3}[.!?]{1,3}) (?=\p{Ll})", "\n", query.replace("⏰", "\n"))


@lru_cache(maxsize=256)
def _read_sentences(query: str) -> tuple[str, ...]:
    found = []
    for text, _ in sentences(regex.sub(r"\s*\n\s*", "\n\n", _parted(query))):
        clean = regex.sub(r"[\p{Emoji_Presentation}\uFE0F\u200D❤⏰|*<>\[\]]+|#\S+|(?<!\S)_+", " ", one_line(text))
        if clean.strip(" .!?¡¿"):
            found.append(" ".join(clean.split()).replace(" .", ".").removeprefix("| "))
    return tuple(found)


def find_link_call(brief: Brief) -> str | None:
    """Return the author's own words before the link with it ("Informe: https://..."); None where they are too long."""
    url = next((entity.text for entity in brief.entities if entity.label == "URL"), None)
    for sentence in read_sentences(brief) if url else ():
        before, found, _ = sentence.partition(url or "")
        if not found or not before.strip():
            continue
        for text in (before, before.rstrip(": ").rpartition(": ")[2] + before[len(before.rstrip(": ")) :]):
            said = text.strip()
            opens = said.split(maxsplit=1)[0].casefold()
            if (
                says_again(said, brief)
                and len(said.split()) <= 10
                and not any(mark in said for mark in "@?¿")
                and opens not in NEEDED | es.word_set("y e o que en a")
                and (said.endswith(":") or said.split()[-1] in {"en", "aquí"})
                and is_balanced(said)
            ):
                return f"{capitalized(said)} {url}"
    return None


def find_statements(brief: Brief) -> tuple[list[list[str]], list[list[str]]]:
    """Return wordings, fullest first and with an end mark, of each sentence that states something.

    The first list stands on its own; the sentences of the second lean on what the draft says before them.
    """
    alone, leaning = [], []
    called = (find_link_call(brief) or "").casefold()
    for place, sentence in enumerate(read_sentences(brief)):
        if sentence.casefold() not in called:
            sentence = regex.sub(r"[:,]?\s*(?:(?:aquí|en)\s)?https?://\S+", "", sentence)
        body = PREFIX.sub("", sentence.strip("¡!.… ").removesuffix(":"))
        first = body.split(maxsplit=1)[0].casefold().strip(",:") if body.strip() else "que"
        if (
            regex.search(r"http|[?¿#]|___|^[^:]*:$", sentence)
            or EMAIL.search(sentence)
            or not is_balanced(body)
            or len(body.split()) < 2
            or not has_verb(body)
            or first in NO_START
            or QUESTION_START.match(body.casefold())
            or regex.match(r"(?i)(?:a quien|si|lo que) ", body)
        ):
            continue
        mark = "!" if sentence.endswith("!") and "¡" in sentence else "."
        told = list(_wordings(body, brief))
        behind = body.partition(": ")[2]
        if len(told) < 2 and behind[:3].casefold() in {"el ", "la ", "las", "los"} and has_verb(behind):
            told += _wordings(behind, brief)
        wordings = [f"{'¡' * (mark == '!')}{capitalized(text)}{mark}" for text in told]
        if wordings:
            leans = refers_back(body) or (place > 0 and ((first in LEANING and not _opens_noun(body)) or (is_verb(first) and first not in STANDING)))
            (leaning if leans and place else alone).append(list(dict.fromkeys(wordings)))
    return alone, leaning


def _wordings(body: str, brief: Brief) -> Iterator[str]:
    if says_again(body, brief):
        yield body
        return
    turned = list(_turned(body))
    tried = [*turned, *_bridged(body), *_put_in(body, brief)]
    for text in turned[-2:]:
        tried += [*_put_in(text, brief), *(head for head, _ in reversed(_cuts(text)) if has_verb(head))]
    yield from (text for text in dict.fromkeys(tried) if text.count("¿") < 2 and says_again(text, brief))
    cuts = [text for text, _ in _cuts(body) if has_verb(text) and says_again(text, brief)]
    yield from reversed(cuts[-1:])
    owner = regex.match(r"(ya hay \p{L}+) de ", body, regex.IGNORECASE)
    if owner:
        yield owner[1]


def _opens_noun(body: str) -> bool:
    words = body.casefold().split()
    return words[0] in {"la", "las", "los"} and not (is_verb(words[1]) or words[1] in MORE_VERBS)


@lru_cache(maxsize=1024)
def _cuts(body: str, *, whole: bool = False) -> tuple[tuple[str, str], ...]:
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
            and not (_is_finite(words, len(words) - 1) and words[-1] not in BARE_VERBS)
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


def _is_finite(words: list[str], at: int) -> bool:
    """Whether the word at this place is a finite verb there."""
    word, before = words[at], words[at - 1] if at else ""
    noun = before in es.PREPOSITIONS | es.DETERMINERS.keys() - {"la", "los", "las"}
    return (is_verb(word) or word in MORE_VERBS) and not noun and not (word in es.HOMONYMS and (at == 0 or before in es.DETERMINERS))


def _takes_a(words: list[str]) -> bool:
    """Whether the verb of a head goes on with `a`: "ha aprendido a", "visita a", "pica al entrar"."""
    return any(is_verb(word) for word in words[-2:]) or words[-1] in LOOSE


def _turned(body: str) -> Iterator[str]:
    """Yield the sentence with its last adverbial in front or its first one behind, and what else can change places."""
    for head, rest in _cuts(body):
        words = WORD.findall(rest.casefold())
        if (
            words[0] in OPENERS
            and not has_verb(rest)
            and has_verb(head)
            and not regex.search("[,:]", rest + head)
            and not (words[0] == "por" and not regex.search(r"por la (?:tarde|mañana|noche)", rest))
            and not (words[0] == "en" and words[1] in {"efectivo", "vez", "directo", "otro"})
            and not (words[0] in {"el", "este", "esta"} and not es.TIME.match(rest))
            and not (words[0] == "para" and not is_infinitive(words[-1]) and not is_infinitive(words[1]))
            and len(words) > 1
            and " y " not in f" {rest} "
        ):
            yield f"{capitalized(rest)}, {_lowered(head)}"
    opened = regex.fullmatch(
        r"(?i)((?:por|tras|desde|a partir|durante|en|esta|a|antes) [^,]+), ([^,:]+)"
        r"|((?:tras|desde|a los|en) \d+(?: años)?|esta mañana|esta tarde|ayer|(?:hoy|mañana) a las \S+(?: h)?|a partir del \p{L}+) (.+)",
        body,
    )
    if opened and has_verb(opened[2] or opened[4]) and not has_verb(opened[1] or opened[3]):
        yield f"{opened[2] or opened[4]} {(opened[1] or opened[3])[0].lower()}{(opened[1] or opened[3])[1:]}"
    inside = regex.fullmatch(rf"(.+) ((?:durante|en) {es.MONTH}|el próximo \d+ de {es.MONTH}) (.+)", body)
    if inside and has_verb(inside[1]) and not regex.search(r"[:,]", inside[1]):
        yield f"{capitalized(inside[2])}, {_lowered(inside[1])} {regex.split(', | «', inside[3])[0]}"
    span = regex.fullmatch(r"([^,:]+) (del \d+ al \d+ de \p{L}+)(?: .*)?", body)
    if span and has_verb(span[1]):
        yield f"{capitalized(span[2])}, {_lowered(span[1])}"
    ago = regex.fullmatch(r"(?i)(hoy hace \d+ años) que (.+)", body)
    if ago:
        yield from (f"{capitalized(head)}. {ago[1]}" for head, _ in reversed(_cuts(ago[2])))
    equal = regex.fullmatch(r"(?:[^:]*: )?((?:el|la|los|las) [^,]+?) (?:es|son) ((?:el|la|los|las|un|una) [^,]+)", body)
    if equal:
        yield f"¿{capitalized(equal[1])}? {capitalized(equal[2])}"
    gone = regex.fullmatch(r"(?i)(se \p{L}+ó) ((?:el|la|los|las) [^,]+)(?:, (.+))?", body)
    if gone:
        yield f"{gone[2]} {gone[1].lower()}." + (f" {capitalized(gone[3])}" if gone[3] else "")


def _bridged(body: str) -> Iterator[str]:
    """Yield what stands before a border and what follows it, with words of ours between them."""
    for head, rest in _cuts(body, whole=True):
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
        elif words[0] == "en" and words[1] in {"el", "la", "los", "las"} and not es.TIME.search(rest) and words[-1] != "noventa":
            yield f"{head}. ¿Dónde? {capitalized(rest)}"
        elif words[0] == "y" and has_verb(head) and _is_finite(words, min(2, len(words) - 1)) and words[1] in {"se", "la", "lo"}:
            yield f"{head}. Por cierto, {rest[2:]}"
        elif words[0] == "que" and len(before) > 2:
            nouns = [word for word in before if word in {"el", "la", "los", "las", "al", "un", "una"}]
            if nouns and nouns[-1] in {"un", "una"}:
                yield f"{head}. En concreto, {nouns[-1].replace('un', 'uno') if nouns[-1] == 'un' else 'una'} {rest}"
            elif nouns:
                yield f"{head}. Sí, {nouns[-1].replace('al', 'el')} {rest}"
        elif comma and words[0] not in es.word_set("y e o u a el la un una que pero avisando llama") and "," not in rest:
            yield f"{head}. Un detalle: {rest}"
    made = regex.fullmatch(r"(.{6,}?) ((?:grabad|hech|fabricad|cosid|elaborad|diseñad)[oa]s? [^,]+)(?:,.*)?", body)
    if made:
        yield from (f"{made[1]}. Un detalle: {text}" for text in (made[2], *(head for head, _ in reversed(_cuts(made[2])))))
    bare = regex.fullmatch(r"(\p{L}+s) (que (?:no )?(?:se )?\p{L}+ .+)", body)
    gender = gender_and_number(bare[1].casefold())[0] if bare else None
    if bare and gender and bare[1].casefold() not in es.FUNCTION_WORDS and not is_verb(bare[1]):
        for text in (bare[2], *(head for head, _ in reversed(_cuts(bare[2])))):
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
        if len(words) > 1 and words[-1] not in HANGING and not _is_finite(words, len(words) - 1) and not TIMED.search(of[2]) and not of[2][4:5].isdecimal() and not has_verb(of[2].split(" que ")[0]):
            yield from (f"{of[1]}. ¿De qué? {capitalized(text)}" for text in (of[2], *(h for h, _ in reversed(_cuts(of[2])))))


def _put_in(body: str, brief: Brief) -> Iterator[str]:
    """Yield the sentence with a word put in between subject and verb, or before its last part."""
    words = body.split()
    folded = [word.casefold().strip(",.:") for word in words]
    verb = next((at for at in range(1, len(words)) if _is_finite(folded, at) and folded[at - 1] not in HANGING - CLITICS), 0)
    while verb and folded[verb - 1] in CLITICS:
        verb -= 1
    subject, said = " ".join(words[:verb]), " ".join(words[verb:])
    if not 0 < verb < 8 or subject.endswith((",", ":")) or regex.search(r"[,:]|(?:^| )(?:que|quien) ", subject) or not said:
        said = ""
    formal = brief.tone == "formal"
    tails = [said, *reversed([head for head, _ in _cuts(said)])] if said else []
    if folded[0] in {"el", "la", "los", "las", "nuestro", "nuestra", "un", "una", "mi", "unos", "unas"} or (body[0].isupper() and folded[0] not in es.FUNCTION_WORDS | {"siempre"}):
        for tail in tails:
            if folded[verb] in {"es", "son", "tiene"}:
                break
            if formal and folded[0] in {"el", "la"} and folded[verb] not in CLITICS:
                yield f"{subject} tiene noticias: {tail}"
            if not formal and folded[0] not in es.PREPOSITIONS and not is_verb(folded[0]):
                yield f"{subject}, atención, {tail}"
            if len(tail.split()) < 8:
                break
    if not formal and has_verb(folded[0] if folded[0] not in {"le", "se", "nos"} else folded[min(1, len(folded) - 1)]):
        for at in range(3, len(words) - 1):
            if folded[at] in {"al", "a", "sino", "mi", "nuestro", "nuestra"} and folded[at - 1] not in HANGING - {"no"}:
                yield f"{' '.join(words[:at])}, atención, {' '.join(words[at:])}"


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


def _lowered(text: str) -> str:
    first = text.split(maxsplit=1)[0].casefold()
    return text[0].lower() + text[1:] if first in HANGING or is_verb(first) else text


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


def _asked(plain: str) -> Iterator[str]:
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
        yield from (f"¿{capitalized(joins[1])}? El plan: {head}." for head, _ in reversed(_cuts(joins[2])))
    known = regex.fullmatch(r"(?i)(ya )?(conocen|conocéis|conoces) a ((la|el) .+)", plain)
    if known:
        yield f"{capitalized(known[3])}: ¿{known[1] or ''}{'la' if known[4].lower() == 'la' else 'lo'} {known[2]}?"
    parts = regex.fullmatch(r"(?i)((?:el|la|los|las) \p{L}+) se \p{L}+ ((?:de|con|en) .+ o (?:de|con|en) .+)", plain)
    if parts:
        yield f"{capitalized(parts[1])}: ¿{parts[2]}?"
    for match in regex.finditer(r"\s(?=(?:en|para|con|a|al|si|sin|un lunes|el (?:lunes|viernes|sábado|domingo|\d+))\s)", plain):
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


def find_headline(brief: Brief) -> list[str]:
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
        return [f"{capitalized(head)}, {timed[1].lower()}" for head, _ in reversed(_cuts(timed[2]))][:2]
    ranged = regex.fullmatch(r"(.+?)(?: por (\p{L}+))? (del \d+ al \d+ de \p{L}+)", body)
    found = [body if asks_how else _as_list(body)]
    if named:
        found.append(f"{named[1]} {named[2]}, nombrad{'a' if named[1] == 'la' else 'o'} {named[3]}")
    if ranged:
        why = f" Motivo: {ranged[2]}." if ranged[2] else ""
        head = regex.sub(r"(?<=\d) del? .*", "", ranged[1])
        found += [f"{text}.{why} Fechas: {ranged[3]}" for text in (ranged[1], head)]
    found += _bridged(body)
    cuts = [text for text, _ in _cuts(body) if says_again(text, brief) and len(text.split()) > 2 - (len(said) > 1)]
    found = [text for text in found if says_again(text, brief) and text.count("¿") < 2]
    kept = [text for text in (*found, *reversed(cuts[-1:])) if len(said) < 2 or len(text.split()) > 2]
    return [capitalized(text) for text in dict.fromkeys(kept)]


def _as_list(body: str) -> str:
    """Return a row of bare keywords with the commas and the `de` that it leaves out; any other text as it is."""
    tokens = body.split()
    if any(mark in body for mark in ",:;.") or len(tokens) > MAX_KEYWORDS or body[0].isupper():
        return body
    if sum(token in es.PREPOSITIONS | es.DETERMINERS.keys() | {"y", "o"} for token in tokens) > len(tokens) // 3:
        return body
    text, parted, head = tokens[0], False, tokens[0]
    for before, word in zip(tokens, tokens[1:], strict=False):
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
            joint = " de " if (before in HEADS or head in HEADS and joint_ends(before)) and word not in PARTS else ", "
        head = head if joint == " " and not before[0].isdecimal() else word
        text += joint + name
    return text


def joint_ends(word: str) -> bool:
    """Whether a keyword is an adjective, behind which the noun before it goes on."""
    return is_adjective(word) or word in ADJECTIVES


NOUNS = es.word_set("muebles madrugada artesanos nostalgia siesta balcón desarrollador embarazadas principiantes autonomos")
ADJECTIVES = es.word_set(
    "favorita favorito feos feo compuesto electronica electrónica facil fácil libre web trail python latam limitado gratis"
)
READERS = es.word_set("principiantes embarazadas niños adultos familias mayores autonomos autónomos")
# A participle that waits for more, a measure, an adverbial without its end.
CLITICS = es.word_set("no se nos me le les ya te lo")
LOOSE = es.word_set(
    "ser también grabado grabada hecho hecha hechos hechas aprendido aprendida pasad pica rutas minuto día dia año vez preguntó lava seis sábado dia"
)
FIXED = {"estreno": {"de"}, "masa": {"madre"}, "fin": {"de"}, "amigo": {"invisible"}, "calle": {"mayor"}, "banda": {"rock"}, "segunda": {"mano"}}
ACCENTED = {"que": "qué", "como": "cómo", "quien": "quién", "cual": "cuál"}
NO_HEADLINE = es.word_set("antes tras a al por de del en estimados estimadas gracias yo ya lo mi que qué si sin para con hoy ayer")
LEANING = es.word_set("lo la los las se me te nos aquí ya hay da va también le les suena ha han estamos llama no ayer")
STANDING = es.word_set("quedan queda empezamos salimos hemos vuelven abrimos tenemos regalamos trae tráenos llama apúntate")
MORE_VERBS = es.word_set(
    "matriculé compruebe requieren traslada reprogramarán funciona acuesto mandemos podrá cierra enviamos adoptamos sembraron liquidamos cambié publicamos murió puede puso pusimos ganó gana juega ensaya renueva visita "
    "pide comíais devuelve sobró hunde duplicó fue subió bajó llegó nació cerré pidió celebrará estrena salio salió "
    "abrieron hace quitamos dijimos analizamos apareció hemos quedan queda vuelven habrá vendemos enviamos nieva pica "
    "suena tenemos cuestan devuelven echo repartimos guardamos convocan dejo ascendimos facturar grabado ya charlamos "
    "llevé describe cuéntanos tráenos saluden completa cerramos estamos seguimos resolvemos informamos recordad serviria mandemos empezaran comprarian"
) - es.word_set("facturar grabado ya")
