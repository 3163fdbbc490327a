"""Says what would help a text: edits that can be measured, and what is missing for its goal, field and readers.

An edit touches no fact and comes as the edited text, to be scored. What only the author can add (a price, a link, a
name) comes as advice without a text, and only where the text lacks it. Which advice comes, and in which order, follows
objectives, industry and audience. It is convention, not measurement: no figure here claims an effect.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import regex

from pipelines.editing.edits import calm_capitals, is_opinion, is_sensitive, keep_one_hashtag, single_punctuation
from pipelines.editing.polish import polish
from pipelines.records import Analysis, Language, Objective, Query
from pipelines.text.sentences import WORD, is_prose, sentences
from pipelines.text.tweets import entities

PATH: Final = Path(__file__).with_name("advice.json")
DEFAULT_OBJECTIVES: Final[tuple[Objective, ...]] = ("awareness",)

EASY_READING: Final = 60.0
MAX_ADVICE: Final = 5
# Mean words per sentence up to which sentences are short, and sentences up to which a text has one thing to say.
SHORT_SENTENCES: Final = 14
FEW_SENTENCES: Final = 3
FIGURE = regex.compile(r"\p{Nd}")
FIRST_PERSON = regex.compile(r"\b(?:i|i'm|i've|my|me|yo|mi|mis|me|he|soy|estoy)\b", regex.IGNORECASE)
THANKS = regex.compile(r"\b(?:thanks?|thank you|grateful|gracias|agradec\p{L}+)\b", regex.IGNORECASE)
BENEFIT = regex.compile(
    r"\b(?:free|get|gets|receive|includes?|included|access|learn|save|discount|gratis|recib\p{L}+|inclu\p{L}+|acceso|"
    r"aprende\p{L}*|ahorra\p{L}*|descuento)\b",
    regex.IGNORECASE,
)
PROMISE = regex.compile(
    r"\b(?:guarantee\p{L}*|cures?|heals?|risk[- ]free|proven|double your|profits?|returns of|"
    r"lose \p{Nd}+|no side effects|"
    r"garanti\p{L}+|cura|sin riesgo|comprobado|duplica|ganancias|rentabilidad|sin efectos)\b",
    regex.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Tip:
    """What to do, and the text after it was done; None where it needs a fact that only the author has."""

    action: str
    text: str | None = None


def edits(text: str, language: Language | None = "en") -> list[Tip]:
    """Return each edit that changes the text and leaves something of it; none mends words where `language` is None."""
    named: Language = language or "en"
    known: list[tuple[dict[Language, str], Callable[[str], str]]] = [
        *([(POLISH, lambda text: polish(text, language))] if language else []),
        *EDITS,
    ]
    return [Tip(actions[named], edited) for actions, edit in known if (edited := edit(text)) != text and edited.strip()]


def advice(query: Query, analysis: Analysis | None, language: Language, *, sober: bool = False) -> list[Tip]:
    """Return what is missing: for the objectives in their order, the industry second, the audience third.

    Bad or sober news, a notice, a condolence (`sober`) gets nothing that sells: only whether it is hard to read.
    """
    known = load_advice()
    found = _found(query.query, analysis, language)
    hard = [] if "easy" in found else [known["hard_to_read"]]
    audience = _kind(known["audiences"], query.audience)
    if (audience or {}).get("kind") == "experts":
        hard = []
    if sober or is_sensitive(query.query, language):
        return [Tip(tip[language]) for tip in hard]
    wanted = [tip for objective in query.objectives or DEFAULT_OBJECTIVES for tip in known["objectives"][objective]]
    for place, tip in ((1, _kind(known["industries"], query.industry)), (2, audience)):
        if tip:
            wanted.insert(place, tip)
    lacking = [tip for tip in wanted if not found & set(tip["missing"].split("|"))]
    lacking[1:1] = hard
    return [Tip(text) for text in dict.fromkeys(tip[language] for tip in lacking)][:MAX_ADVICE]


@lru_cache(maxsize=1)
def load_advice() -> dict[str, Any]:
    """Read advice.json: what to do where something is missing, by objective, kind of industry and kind of audience.

    `missing` names labels of entities or what `_found` sees; `words` are beginnings of words as people write them into
    a form, whole words with a `$`. A field or readers of no kind get no advice of their own.
    """
    content: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
    return content


def _found(text: str, analysis: Analysis | None, language: Language) -> set[str]:
    """Return what a text has: labels of its entities, and `question`, `figure`, `opinion` and the like."""
    spoken = [sentence for sentence, _ in sentences(text, hasty=True) if is_prose(sentence)]
    words = sum(len(WORD.findall(sentence)) for sentence in spoken)
    ease = analysis.readability.score if analysis and analysis.readability else EASY_READING
    seen = {
        "question": "?" in text,
        "figure": FIGURE.search(text) is not None,
        "opinion": is_opinion(text, language),
        "thanks": THANKS.search(text) is not None,
        "benefit": BENEFIT.search(text) is not None,
        "harmless": PROMISE.search(text) is None,
        "first_person": FIRST_PERSON.search(text) is not None,
        "short": words <= SHORT_SENTENCES * max(1, len(spoken)),
        "brief": len(spoken) <= FEW_SENTENCES,
        "easy": ease >= EASY_READING,
    }
    labels = {entity.label for entity in [*((analysis.entities or ()) if analysis else ()), *entities(text)]}
    return labels | {name for name, there in seen.items() if there}


def _kind(kinds: list[dict[str, Any]], given: str | None) -> dict[str, Any] | None:
    """Return the first kind one of whose words begins a word of what was given."""
    folded = (given or "").casefold()
    return next((kind for kind in kinds if _pattern(tuple(kind["words"])).search(folded)), None)


@lru_cache(maxsize=64)
def _pattern(words: tuple[str, ...]) -> regex.Pattern[str]:
    return regex.compile(r"\b(?:" + "|".join(regex.escape(word).replace(r"\$", r"\b") for word in words) + ")")


POLISH: Final[dict[Language, str]] = {
    "en": "Mend spelling, capitals and punctuation.",
    "es": "Corrige ortografía, mayúsculas y puntuación.",
}
EDITS: Final[tuple[tuple[dict[Language, str], Callable[[str], str]], ...]] = (
    (
        {"en": "Keep only the first hashtag.", "es": "Deja solo la primera etiqueta."},
        keep_one_hashtag,
    ),
    (
        {"en": "Write in lower case instead of capitals.", "es": "Escribe en minúsculas, no en mayúsculas."},
        calm_capitals,
    ),
    (
        {
            "en": "Use one exclamation or question mark, not several.",
            "es": "Usa un solo signo de exclamación o interrogación.",
        },
        single_punctuation,
    ),
)
