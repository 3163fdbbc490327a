"""Takes out of a Spanish draft what it states, each sentence whole; what cannot be said whole is not said."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice, product
from typing import TYPE_CHECKING

import regex

from pipelines import spanish_words as es
from pipelines.spanish_clauses import MORE_VERBS, NEEDED, QUESTION_START, has_verb, read_sentences, says_again
from pipelines.spanish_grammar import is_verb
from pipelines.spanish_wording import rewordings
from pipelines.text.facts import EMAIL
from pipelines.text.sentences import capitalized, is_balanced, refers_back

if TYPE_CHECKING:
    from pipelines.records import Brief

MIN_SENTENCES, MAX_SENTENCES, MAX_TRIED, MIN_WORDS, MAX_CALL_WORDS = 2, 6, 250, 4, 10
PREFIX = regex.compile(
    r"(?i)^(?:(?:estimad|querid)[oa]s [^:,]+[:,] )?(?:(?:(?:os |les |te )?"
    r"(?:recorda(?:d|mos)|recuerd[ae]n?|comunicamos|anunciamos|informamos"
    r"|avisamos"
    r"|(?:se informa|lamentamos informar)(?: a [^,]+?)? de|(?:informamos|avisamos)(?: a [^,]+?)? de)) que )?"
)
LINKED = regex.compile(r"[:,]?\s*(?:(?:aquí|en)\s)?https?://\S+\s*[.!]*")
FRAMING = es.PREPOSITIONS | es.word_set("el esta este un una pero")
NO_START = es.word_set("que porque cuando si como y e o u ni pero además así eso esto ese esa")
LEANING = es.word_set("lo la los las se me te nos aquí ya hay da va también le les suena ha han estamos llama no ayer")
STANDING = es.word_set(
    "quedan queda empezamos salimos hemos vuelven abrimos tenemos regalamos trae tráenos llama apúntate"
)


@dataclass(frozen=True)
class Said:
    """A sentence of the draft in its wordings, the least changed first.

    `states` says whether it has a verb of its own, `stands` whether it is understood without the one before.
    """

    wordings: tuple[str, ...]
    states: bool
    stands: bool


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
                and len(said.split()) <= MAX_CALL_WORDS
                and not any(mark in said for mark in "@?¿")
                and opens not in NEEDED | es.word_set("y e o que en a")
                and (said.endswith(":") or said.split()[-1] in {"en", "aquí"})
                and is_balanced(said)
            ):
                return f"{capitalized(said)} {url}"
    return None


def find_statements(brief: Brief) -> list[str]:
    """Return what the draft states in up to two wordings, as much of it as can be said whole; empty where nothing can.

    All of it, else its first sentence that stands alone with the one behind it, else that sentence.
    """
    call = (find_link_call(brief) or "").casefold()
    told = [text for text in read_sentences(brief) if text.casefold().strip() != call and not LINKED.fullmatch(text)]
    draft = [_said(sentence, brief, opens=place == 0) for place, sentence in enumerate(told)]
    if not any(said.states for said in draft) and len(draft) < MIN_SENTENCES:
        return []
    if len(draft) <= MAX_SENTENCES and draft[0].stands:
        found = _together(draft, brief)
        if found:
            return found
    for place, said in enumerate(draft):
        if not (said.stands and said.wordings):
            continue
        following = draft[place + 1 : place + 2]
        pair = _together([said, *following], brief) if following else []
        alone = [text for text in said.wordings if len(text.split()) >= MIN_WORDS or len(draft) == 1]
        alone = (
            alone if said.states or (len(draft) > 1 and alone and alone[0].split()[0].casefold() not in FRAMING) else []
        )
        if pair or alone:
            return pair or alone[:2]
    return []


def _together(draft: list[Said], brief: Brief) -> list[str]:
    """Return up to two texts of all these sentences that repeat no long run of the query."""
    tried = islice(product(*(said.wordings for said in draft)), MAX_TRIED)
    return list(islice((text for one in tried if says_again(text := " ".join(one), brief)), 2))


def _said(sentence: str, brief: Brief, *, opens: bool) -> Said:
    sentence = LINKED.sub("", sentence)
    body = PREFIX.sub("", sentence.strip("¡!.… ").removesuffix(":"))
    words = body.casefold().split() or ["que"]
    first = words[0].strip(",:")
    states = has_verb(body) and len(words) > 1
    if (
        regex.search(r"http|[?¿#]|___|^[^:]*:$", sentence)
        or EMAIL.search(sentence)
        or not is_balanced(body)
        or words[-1] in es.PREPOSITIONS
        or (states and (QUESTION_START.match(body.casefold()) or regex.match(r"(?i)(?:a quien|lo que) ", body)))
    ):
        return Said((), states=False, stands=False)
    mark = "!" if sentence.endswith("!") and "¡" in sentence else "."
    told = list(dict.fromkeys(rewordings(body, brief)))
    behind = body.partition(": ")[2]
    if not told and regex.match(r"(?:el|la|los|las) ", behind) and has_verb(behind):
        told = list(rewordings(behind, brief))
    wordings = tuple(f"{'¡' * (mark == '!')}{capitalized(text)}{mark}" for text in told)
    noun = first in {"la", "las", "los"} and len(words) > 1 and not (is_verb(words[1]) or words[1] in MORE_VERBS)
    leans = first in NO_START - {"si", "cuando"} or refers_back(body)
    leans = leans or (first in LEANING and not noun) or (is_verb(first) and first not in STANDING)
    return Said(wordings, states=states, stands=first not in NO_START - {"si", "cuando"} and (opens or not leans))
