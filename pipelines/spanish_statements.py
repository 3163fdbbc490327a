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
    bridged,
    cuts,
    has_verb,
    is_finite,
    read_sentences,
    says_again,
)
from pipelines.spanish_grammar import is_infinitive, is_verb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.records import Brief

OPENERS = es.word_set("en para durante desde este esta el antes por")
PREFIX = regex.compile(
    r"(?i)^(?:recorda(?:d|mos)|recuerd[ae]n?|(?:se informa|informamos|avisamos) (?:a [^,]+? )?de|os recordamos) que "
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
    tried = [*turned, *bridged(body), *_put_in(body, brief)]
    for text in turned[-2:]:
        tried += [*_put_in(text, brief), *(head for head, _ in reversed(cuts(text)) if has_verb(head))]
    yield from (text for text in dict.fromkeys(tried) if text.count("¿") < 2 and says_again(text, brief))
    shorter = [text for text, _ in cuts(body) if has_verb(text) and says_again(text, brief)]
    yield from reversed(shorter[-1:])
    owner = regex.match(r"(ya hay \p{L}+) de ", body, regex.IGNORECASE)
    if owner:
        yield owner[1]


def _opens_noun(body: str) -> bool:
    words = body.casefold().split()
    return words[0] in {"la", "las", "los"} and not (is_verb(words[1]) or words[1] in MORE_VERBS)


def _turned(body: str) -> Iterator[str]:
    """Yield the sentence with its last adverbial in front or its first one behind, and what else can change places."""
    for head, rest in cuts(body):
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
        r"|((?:tras|desde|a los|en) \d+(?: años)?|esta mañana|esta tarde|ayer|(?:hoy|mañana) a las \S+(?: h)?|"
        r"a partir del \p{L}+) (.+)",
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
        yield from (f"{capitalized(head)}. {ago[1]}" for head, _ in reversed(cuts(ago[2])))
    equal = regex.fullmatch(
        r"(?i)(?:[^:]*: )?((?:el|la|los|las) [^,]+?) (?:es|son) ((?:el|la|los|las|un|una) [^,]+)", body
    )
    if equal and not has_verb(equal[1]):
        yield f"¿{capitalized(equal[1])}? {capitalized(equal[2])}"
    gone = regex.fullmatch(r"(?i)(se \p{L}+ó) ((?:el|la|los|las) [^,]+)(?:, (.+))?", body)
    if gone:
        yield f"{gone[2]} {gone[1].lower()}." + (f" {capitalized(gone[3])}" if gone[3] else "")


def _put_in(body: str, brief: Brief) -> Iterator[str]:  # noqa: C901  # one rule after the other
    """Yield the sentence with a word put in between subject and verb, or before its last part."""
    words = body.split()
    folded = [word.casefold().strip(",.:") for word in words]
    verb = next(
        (at for at in range(1, len(words)) if is_finite(folded, at) and folded[at - 1] not in HANGING - CLITICS), 0
    )
    while verb and folded[verb - 1] in CLITICS:
        verb -= 1
    subject, said = " ".join(words[:verb]), " ".join(words[verb:])
    if (
        not 0 < verb < 8
        or subject.endswith((",", ":"))
        or regex.search(r"[,:]|(?:^| )(?:que|quien) ", subject)
        or not said
    ):
        said = ""
    formal = brief.tone == "formal"
    tails = [said, *reversed([head for head, _ in cuts(said)])] if said else []
    if folded[0] in {"el", "la", "los", "las", "nuestro", "nuestra", "un", "una", "mi", "unos", "unas"} or (
        body[0].isupper() and folded[0] not in es.FUNCTION_WORDS | {"siempre"}
    ):
        for tail in tails:
            if folded[verb] in {"es", "son", "tiene"}:
                break
            if formal and folded[0] in {"el", "la"} and folded[verb] not in CLITICS - {"no"}:
                yield f"{subject} tiene noticias: {tail}"
            if not formal and folded[0] not in es.PREPOSITIONS and not is_verb(folded[0]):
                yield f"{subject}, atención, {tail}"
            if len(tail.split()) < 8:
                break
    if not formal and has_verb(folded[0] if folded[0] not in {"le", "se", "nos"} else folded[min(1, len(folded) - 1)]):
        for at in range(3, len(words) - 1):
            if folded[at] in {"al", "a", "sino", "mi", "nuestro", "nuestra"} and folded[at - 1] not in HANGING - {"no"}:
                yield f"{' '.join(words[:at])}, atención, {' '.join(words[at:])}"


def _lowered(text: str) -> str:
    first = text.split(maxsplit=1)[0].casefold()
    return text[0].lower() + text[1:] if first in HANGING or is_verb(first) else text
