"""Takes out of a Spanish draft what it states, in few of its own words in a row.

A long sentence is turned round, bridged with a word of ours or cut; see spanish_clauses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import regex

from pipelines import spanish_words as es
from pipelines.facts import EMAIL
from pipelines.sentences import capitalized, is_balanced, refers_back
from pipelines.spanish_clauses import (
    CLITICS,
    HANGING,
    MORE_VERBS,
    NEEDED,
    QUESTION_START,
    WORD,
    before_of,
    bridged,
    cuts,
    has_verb,
    is_finite,
    lowered,
    read_sentences,
    says_again,
)
from pipelines.spanish_grammar import is_infinitive, is_verb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.records import Brief

OPENERS = es.word_set("en para durante desde este esta el antes por tras después")
MIN_WORDS, MAX_TAIL = 3, 6
OPENED = regex.compile(r"(?i)(?:por|tras|desde|a partir de|durante|en|antes de|debido a|con motivo de|esta|este) ")
PREFIX = regex.compile(
    r"(?i)^(?:(?:os |les |te )?(?:recorda(?:d|mos)|recuerd[ae]n?|comunicamos|anunciamos|informamos|avisamos"
    r"|(?:se informa|lamentamos informar)(?: a [^,]+?)? de|(?:informamos|avisamos)(?: a [^,]+?)? de)) que "
)
NO_START = es.word_set("que porque cuando si como y e o u ni pero además así eso esto ese esa")
LEANING = es.word_set("lo la los las se me te nos aquí ya hay da va también le les suena ha han estamos llama no ayer")
STANDING = es.word_set(
    "quedan queda empezamos salimos hemos vuelven abrimos tenemos regalamos trae tráenos llama apúntate"
)


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
    alone: list[list[str]] = []
    leaning: list[list[str]] = []
    called = (find_link_call(brief) or "").casefold()
    for place, said in enumerate(read_sentences(brief)):
        sentence = said
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
            or body.split()[-1].casefold() in es.PREPOSITIONS
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
            leans = refers_back(body) or (
                place > 0
                and ((first in LEANING and not _opens_noun(body)) or (is_verb(first) and first not in STANDING))
            )
            (leaning if leans and place else alone).append(list(dict.fromkeys(wordings)))
    return alone, leaning


def _wordings(body: str, brief: Brief) -> Iterator[str]:
    if says_again(body, brief):
        yield body
        return
    turned = list(_turned(body))
    tried = [*bridged(body), *turned, *_inverted(body), *_given(body)]
    for text in turned[-2:]:
        tried += [head for head, _ in reversed(cuts(text)) if has_verb(head) and len(head.split()) > MIN_WORDS]
    yield from (text for text in dict.fromkeys(tried) if text.count("¿") < 2 and says_again(text, brief))
    shorter = [
        text
        for text, rest in cuts(body)
        if has_verb(text)
        and says_again(text, brief)
        and (brief.tone != "witty" or rest.split()[0] in es.PREPOSITIONS | {"que"})
    ]
    shorter = shorter or [
        text
        for text in before_of(body)
        if says_again(text, brief)
        and has_verb(text)
        and len(text.split()) > MIN_WORDS
        and (es.DETERMINERS.keys() & set(text.split()[-3:-1]) or len(text.split()) > MIN_WORDS + 1)
    ]
    yield from reversed(shorter[-1:])


def _opens_noun(body: str) -> bool:
    words = body.casefold().split()
    return words[0] in {"la", "las", "los"} and not (is_verb(words[1]) or words[1] in MORE_VERBS)


def _turned(body: str) -> Iterator[str]:
    """Yield the sentence with its last adverbial in front or its first one behind, and what else can change places."""
    for head, rest in cuts(body, whole=True):
        words = WORD.findall(rest.casefold())
        if (
            words[0] in OPENERS
            and not has_verb(rest)
            and has_verb(head)
            and not regex.search(r"\p{L}{3}(?:ando|iendo)\b", head)
            and not regex.search("[,:]", rest + head)
            and not (words[0] == "por" and not regex.search(r"por la (?:tarde|mañana|noche)", rest))
            and not (words[0] == "en" and words[1] in {"efectivo", "vez", "directo", "otro"})
            and not (words[0] in {"el", "este", "esta"} and not es.TIME.match(rest))
            and not (words[0] == "para" and not is_infinitive(words[1]) and words[1] not in es.DETERMINERS)
            and len(words) > 1
            and " y " not in f" {rest} "
        ):
            yield f"{capitalized(rest)}, {lowered(head)}"
    if OPENED.match(body) or es.TIME.match(body):
        yield from _opened(body)
    span = regex.fullmatch(r"([^,:]+) (del \d+ al \d+ de \p{L}+)(?: .*)?", body)
    if span and has_verb(span[1]):
        yield f"{capitalized(span[2])}, {lowered(span[1])}"
    equal = regex.fullmatch(
        r"(?i)(?:[^:]*: )?((?:el|la|los|las) [^,]+?) (?:es|son) ((?:el|la|los|las|un|una) [^,]+)", body
    )
    if equal and not has_verb(equal[1]):
        yield f"¿{capitalized(equal[1])}? {capitalized(equal[2])}"


def _opened(body: str) -> Iterator[str]:
    """Yield the main clause with the adverbial that opened the sentence behind it."""
    first, comma, rest = body.partition(", ")
    timed = es.TIME.match(body)
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
    for text in (rest, *(head for head, _ in reversed(cuts(rest)) if has_verb(head))):
        yield f"{text} {first[0].lower()}{first[1:]}"
    yield rest


def _with_time(time: str, said: str) -> Iterator[str]:
    """Yield a clause with its time behind the verb ("Presentamos el jueves el poemario")."""
    words = said.split()
    folded = [word.casefold().strip(",.:") for word in words]
    verb = next((at for at in range(len(words)) if is_finite(folded, at)), len(words))
    verb += verb + 1 < len(words) and folded[verb] in {"hemos", "he", "han", "ha"}
    if verb + 1 < len(words) and "," not in " ".join(words[: verb + 1]):
        start, end = " ".join(words[: verb + 1]), " ".join(words[verb + 1 :])
        for tail in (end, *(head for head, _ in reversed(cuts(end)))):
            yield f"{start} {time[0].lower()}{time[1:]} {tail}"


def _given(body: str) -> Iterator[str]:
    """Yield whom something is given to in front ("Al robot de la tienda le pusimos Ramón")."""
    given = regex.fullmatch(r"(?i)(les?) ([^,]+?) (al|a (?:la|las|los|una?|mi|nuestr[oa]s?)) ([^,]+)", body)
    if given and not has_verb(given[4].split(" que ")[0]):
        yield f"{capitalized(given[3])} {given[4]} {given[1].lower()} {given[2]}"


def _inverted(body: str) -> Iterator[str]:
    """Yield time or place, verb, subject for subject, verb, time or place ("En mayo sale mi libro")."""
    words = body.split()
    folded = [word.casefold().strip(",.:") for word in words]
    verb = next((at for at in range(2, len(words) - 1) if is_finite(folded, at)), 0)
    start = verb
    while start and folded[start - 1] in CLITICS:
        start -= 1
    subject, rest = " ".join(words[:start]), " ".join(words[verb + 1 :])
    if (
        start < 2
        or folded[0] not in es.DETERMINERS
        or folded[start - 1] in HANGING
        or regex.search(r"[,:;]|(?:^| )(?:que|quien|no) ", " ".join(words[:verb]))
        or folded[verb] in {"es", "son", "hay", "tiene", "tienen", "ha", "han", "era", "puede", "pueden", "permite"}
    ):
        return
    said = " ".join(words[start : verb + 1])
    if es.TIME.fullmatch(rest) or regex.fullmatch(r"(?:en|desde|hasta) (?:\p{L}+|\d+)", rest):
        yield f"{capitalized(rest)} {said} {lowered(subject)}"
    for tail in sorted((rest, *(head for head, _ in cuts(rest))), key=len):
        if len(tail.split()) < MAX_TAIL and not has_verb(tail) and not regex.search(r"[,:;]| y ", tail):
            yield f"{said} {tail} {lowered(subject)}"
