"""Says what would help a text: edits that can be measured, and what is missing for its goal, field and readers.

An edit touches no fact and comes as the edited text, to be scored. What only the author can add (a price, a link, a
name) comes as advice without a text. Which advice comes, and in which order, follows objectives, industry and audience.
It is convention, not measurement: no figure here claims an effect.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from pipelines.editing.edits import calm_capitals, keep_one_hashtag, single_punctuation
from pipelines.records import Analysis, Language, Objective, Query

PATH: Final = Path(__file__).with_name("advice.json")
DEFAULT_OBJECTIVES: Final[tuple[Objective, ...]] = ("awareness",)

EASY_READING: Final = 60.0
MAX_ADVICE: Final = 6


@dataclass(frozen=True, slots=True)
class Tip:
    """What to do, and the text after it was done; None where it needs a fact that only the author has."""

    action: str
    text: str | None = None


def edits(text: str, language: Language = "en") -> list[Tip]:
    """Return each edit that changes the text and leaves something of it."""
    return [
        Tip(actions[language], edited) for actions, edit in EDITS if (edited := edit(text)) != text and edited.strip()
    ]


def advice(query: Query, analysis: Analysis | None, language: Language) -> list[Tip]:
    """Return what is missing: for the objectives in their order, the industry second, the audience third."""
    known = load_advice()
    found = {entity.label for entity in (analysis.entities or ())} if analysis else set()
    if "?" in query.query:
        found.add("question")
    wanted = [
        tip
        for objective in query.objectives or DEFAULT_OBJECTIVES
        for tip in known["objectives"][objective]
        if not found & set(tip["missing"].split("|"))
    ]
    audience = _kind(known["audiences"], query.audience)
    ease = analysis.readability.score if analysis and analysis.readability else EASY_READING
    if ease < EASY_READING and (audience or {}).get("kind") != "experts":
        wanted.insert(1, known["hard_to_read"])
    for place, tip in ((1, _kind(known["industries"], query.industry)), (2, audience)):
        if tip:
            wanted.insert(place, tip)
    return [Tip(text) for text in dict.fromkeys(tip[language] for tip in wanted)][:MAX_ADVICE]


@lru_cache(maxsize=1)
def load_advice() -> dict[str, Any]:
    """Read advice.json: what to do where something is missing, by objective, kind of industry and kind of audience.

    `missing` names labels of entities, `question`, or `none` for what is always worth saying; `words` are beginnings of
    words as people write them into a form, whole words with a `$`.
    """
    content: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
    return content


def _kind(kinds: list[dict[str, Any]], given: str | None) -> dict[str, Any] | None:
    """Return the first kind one of whose words begins a word of what was given; the last kind fits anything."""
    if given is None:
        return None
    folded = given.casefold()
    return next((kind for kind in kinds[:-1] if _pattern(tuple(kind["words"])).search(folded)), kinds[-1])


@lru_cache(maxsize=64)
def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(r"\b(?:" + "|".join(re.escape(word).replace(r"\$", r"\b") for word in words) + ")")


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
