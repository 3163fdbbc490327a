"""What somebody asks of the first page, and what is shown of each text that could be posted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal
from urllib.parse import urlencode

from fastapi import Request

from deployments.http.calls import account_of, front_of
from deployments.studio.forms import Form
from deployments.studio.marking import Change, Runs, changes, linked
from pipelines.text.tweets import MAX_WEIGHTED_LENGTH, fitting_length, normalized, weighted_length
from store.errors import StoreUnavailable

# A longer address is not sure to arrive.
MAX_ADDRESS = 12_000
OWN = "own"
# Of a text that fewer strangers would post as it is, nobody is told to post it.
FEW_WOULD_POST = 0.3
# Points of the score below the author's own text that are no rounding.
CLEARLY_LOWER = -1.0
POOR_SCORE = 20.0
# What a thread's posts are counted by.
PLACE = re.compile(r"(?<!\S)\d+/\d+(?!\S)")
Verdict = Literal["none", "yours", "no_difference", "first", "reads_best", "few_would_post", "poor", "lower_score"]


@dataclass(frozen=True)
class Asked:
    """A draft or brief with the options that were chosen; unknown ones are refused by the API."""

    draft: str
    language: str = ""
    tone: str = "neutral"
    objectives: tuple[str, ...] = ()
    n: int = 5
    engine: str = "quick"
    format: str = "post"
    history: str = "stored"

    @classmethod
    def of(cls, form: Form) -> Asked:
        """What a form asked for."""
        n = form.text("n", "5")
        return cls(
            draft=normalized(form.text("draft")),
            language=form.text("language"),
            tone=form.text("tone", "neutral"),
            objectives=tuple(form.all("objectives")),
            n=int(n) if n.isdecimal() else -1,
            engine=form.text("engine", "quick"),
            format=form.text("format", "post"),
            history=form.text("history", "stored"),
        )

    def body(self) -> dict[str, Any]:
        """As the API takes it, without count and engine."""
        asked = {"query": self.draft, "objectives": self.objectives, "tone": self.tone}
        return asked | {"format": self.format, "history": self.history} | self.told_language()

    def told_language(self) -> dict[str, str]:
        """The language where one was chosen."""
        return {"language": self.language} if self.language else {}

    def fields(self) -> list[tuple[str, str]]:
        """As the form sent it."""
        single = {name: str(value) for name, value in asdict(self).items() if name != "objectives"}
        return [*single.items(), *(("objectives", each) for each in self.objectives)]


@dataclass(frozen=True)
class Shown:
    """One post as X shows it: runs of text, each with whether X links it; `folded` runs stand behind "Show more"."""

    runs: Runs
    folded: Runs
    length: int
    limit: int


@dataclass(frozen=True)
class Card:
    """A text that could be posted: the API's candidate, what changed against the draft, and how X would show it."""

    candidate: dict[str, Any]
    changed: tuple[tuple[Change, str], ...]
    posts: tuple[Shown, ...]
    compare: str | None
    findings: tuple[tuple[dict[str, Any], str], ...]

    @property
    def own(self) -> bool:
        """Whether it is the draft itself."""
        return bool(self.candidate["source"] == OWN)

    @property
    def source(self) -> str:
        """Who wrote it; a draft whose words stayed as they were is none that was put right."""
        source = str(self.candidate["source"])
        if source != "edit" or any(kind != "same" and PLACE.sub("", text).strip() for kind, text in self.changed):
            return source
        return "edit_thread" if self.candidate["parts"] else "edit_lines"


def card_of(candidate: dict[str, Any], draft: str, limit: int) -> Card:
    """What is shown of a candidate of the API for a draft; `limit` is how long a post of the account may be."""
    text, parts = candidate["text"], candidate["parts"]
    address = "/studio/compare?" + urlencode({"a": draft, "b": text})
    same = text == draft
    return Card(
        candidate=candidate,
        changed=() if same else changes(draft, " ".join(parts) if parts else text),
        posts=tuple(shown(part, MAX_WEIGHTED_LENGTH if parts else limit) for part in parts or [text]),
        compare=None if same or len(address) > MAX_ADDRESS else address,
        findings=tuple((found, text[found["start"] : found["end"]]) for found in candidate["findings"]),
    )


def own_card(draft: str, prediction: dict[str, Any] | None, limit: int) -> Card:
    """The draft itself, with its score where there is one."""
    scored = prediction or {"viral_score": None, "p_beats_median": None, "interval": None}
    own = {"id": OWN, "text": draft, "source": OWN, "template": None, "delta": None, "p_postable": None, "parts": None}
    length = {"weighted_length": weighted_length(draft), "findings": (), "voice_distance": None}
    return card_of(own | length | scored, draft, limit)


def cards_of(
    candidates: Sequence[dict[str, Any]] | None,
    best: str | None,
    draft: str,
    prediction: dict[str, Any] | None,
    limit: int,
) -> tuple[Card, ...]:
    """All texts that could be posted, best first; the draft is one of them unless it is no text to post."""
    written = [card_of(each, draft, limit) for each in candidates or () if each["text"] != draft]
    own = own_card(draft, prediction, limit)
    if best is None:
        return tuple(written)
    return (own, *written) if best == "yours" else (*written, own)


def verdict_of(best: str | None, cards: Sequence[Card]) -> Verdict:
    """What may be said of the first text: no more than is known of it."""
    candidates = [card.candidate for card in cards if not card.own]
    if best == "yours":
        return "no_difference" if any((each["delta"] or 0.0) > 0 for each in candidates) else "yours"
    if best is None or not candidates:
        return "none"
    first = candidates[0]
    if first["p_postable"] is not None and first["p_postable"] < FEW_WOULD_POST:
        return "few_would_post"
    if first["viral_score"] is not None and first["viral_score"] < POOR_SCORE:
        return "poor"
    if first["viral_score"] is None:
        return "reads_best"
    return "lower_score" if (first["delta"] or 0.0) <= CLEARLY_LOWER else "first"


def silence_of(asked: Asked, cards: Sequence[Card], degraded: Sequence[str], language: str | None) -> str | None:
    """Why the language model added nothing, "english", "thread" or "nothing"; None where it did or was not asked."""
    if asked.engine != "full" or "generator.lm" in degraded or any(card.candidate["source"] == "lm" for card in cards):
        return None
    if (asked.language or language or "en") != "en":
        return "english"
    return "thread" if asked.format == "thread" else "nothing"


def may_be_tested(analysis: dict[str, Any] | None) -> bool:
    """Whether a text is one to try out on people: no news of a misfortune, nothing that harms."""
    sensitivity = analysis and analysis["sensitivity"]
    return not sensitivity or sensitivity["label"] == "none"


async def length_limit(request: Request) -> int:
    """How long X lets the account post; as for everybody where the database does not answer."""
    try:
        return (await front_of(request).answers.own_posts.record(account_of(request))).settings.length_limit
    except StoreUnavailable:
        return MAX_WEIGHTED_LENGTH


def shown(text: str, limit: int) -> Shown:
    """A post as X shows it."""
    fold = fitting_length(text) if weighted_length(text) > MAX_WEIGHTED_LENGTH else len(text)
    return Shown(*linked(text, fold), weighted_length(text), limit)
