"""A search over real edits of a draft: each step is one edit that was scored and gained.

It knows what the models answer, not where they run. The score is never lowered, no fact is lost or invented, and
nothing is longer than X takes.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final, NamedTuple, Protocol

from pipelines.editing.edits import EDITS, EditName, Setting
from pipelines.editing.shorten import shorten
from pipelines.records import Draft, EmotionLabel, History, Language, Objective
from pipelines.results import Prediction, Step
from pipelines.text.facts import keeps_facts
from pipelines.text.tweets import MAX_WEIGHTED_LENGTH, is_valid, weighted_length

ROUNDS: Final = 6
BEAM: Final = 2
MIN_GAIN: Final = 1e-9
# A language model that holds a text this much less likely sees a slip in it; mean over its tokens, in nats.
MAX_FLUENCY_LOSS: Final = 0.35
# The fluency model costs far more than the score does, so it reads only what gained most.
MAX_JUDGED: Final = 8
# Cut further only where the longer text does not win back what it lost.
SHARES: Final = (1.0, 0.85, 0.7)


class Critics(Protocol):
    """The models that judge edits; each call raises ModelUnavailable where it cannot answer in time."""

    async def predict(self, drafts: Sequence[Draft]) -> list[Prediction]:
        """Score drafts, in their order."""

    async def fluency(self, texts: Sequence[str], language: Language) -> list[float | None]:
        """Return the mean log-likelihood per token of each text in nats; None where no model judges."""


@dataclass(frozen=True)
class Improved:
    """The best version that was found; the deltas of its steps sum to `viral_score - original_score`.

    `target_reached` is None where nothing asked for a shorter text: no target length, and X takes the draft. Where it
    is False, `shortened` is the text of that length that would cost least, if there is one that keeps the facts.
    """

    text: str
    viral_score: float
    original_score: float
    steps: tuple[Step, ...]
    target_reached: bool | None
    shortened: Step | None = None


class _State(NamedTuple):
    """A text on the way: its score, its fluency once known, and the edits that led to it with the score after each."""

    text: str
    score: float
    fluency: float | None
    path: tuple[tuple[EditName, str, float], ...] = ()


@dataclass(frozen=True)
class _Search:
    """What does not change while one draft is improved."""

    draft: str
    models: Critics
    setting: Setting
    posted_at: datetime | None
    history: History
    permitted: Callable[[str], bool]

    async def scores(self, texts: Sequence[str]) -> list[float]:
        drafts = [Draft(text=text, posted_at=self.posted_at, history=self.history) for text in texts]
        return [prediction.viral_score for prediction in await self.models.predict(drafts)]

    def holds(self, text: str, limit: int) -> bool:
        """Whether an edited text may be posted for the draft: it fits, states the same, and breaks no rule."""
        fits = is_valid(text) and weighted_length(text) <= limit
        return fits and keeps_facts(self.draft, text) and self.permitted(text)

    async def climb(self, start: _State, limit: int) -> _State:
        """Return the best text that rounds of single edits reach; every step gains, each kind comes once."""
        best, beam, seen = start, [start], {self.draft, start.text}
        for _ in range(ROUNDS):
            beam = await self._gaining(beam, seen, limit)
            if not beam:
                break
            best = max([best, *beam], key=lambda state: state.score)
        return best

    async def _gaining(self, beam: list[_State], seen: set[str], limit: int) -> list[_State]:
        tried: list[tuple[_State, EditName, str]] = []
        for state in beam:
            used = {edit for edit, _, _ in state.path}
            for name, edit in EDITS.items():
                for text in edit(state.text, self.setting) if name not in used else ():
                    if text not in seen and self.holds(text, limit):
                        seen.add(text)
                        tried.append((state, name, text))
        scores = await self.scores([text for *_, text in tried]) if tried else []
        gaining = sorted(
            (
                (score, state, name, text)
                for (state, name, text), score in zip(tried, scores, strict=True)
                if score > state.score + MIN_GAIN
            ),
            key=lambda found: -found[0],
        )[:MAX_JUDGED]
        if not gaining:
            return []
        known = {state.text: state.fluency for _, state, _, _ in gaining}
        unknown = [text for text, judged in known.items() if judged is None] + [text for *_, text in gaining]
        judged = await self.models.fluency(unknown, self.setting.language)
        fluency = {**known, **dict(zip(unknown, judged, strict=True))}
        return [
            _State(text, score, fluency[text], (*state.path, (name, text, score)))
            for score, state, name, text in gaining
            if _is_fluent(fluency[state.text], fluency[text])
        ][:BEAM]


async def improve(
    draft: str,
    models: Critics,
    *,
    language: Language,
    target_length: int | None = None,
    objectives: Sequence[Objective] = (),
    emotion: EmotionLabel | None = None,
    keywords: Sequence[str] = (),
    posted_at: datetime | None = None,
    history: History = (),
    permitted: Callable[[str], bool] = lambda _: True,
) -> Improved:
    """Return the best version of a draft that a search over single edits finds; the same every time.

    Each round makes every edit of the best texts, drops what breaks a rule, scores the rest in one call and goes on
    with those that gain and whose fluency holds. A draft that is longer than `target_length` is shortened first and
    keeps that only if the edits after it win back what it cost; otherwise it stays as it is and the target is not
    reached. A draft that X would not take is shortened whatever it costs, to the target where its facts allow, else to
    280: its first step then has a negative delta where it costs points. Where its facts alone are too long it stays.

    Args:
        draft: any text that X could show, see pipelines.text.tweets.clean_text.
        models: who scores and who judges fluency.
        language: the language of the draft.
        target_length: weighted characters that the result should have at most; above 280 it means 280.
        objectives: what the tweet is meant to achieve.
        emotion: what was read from the draft.
        keywords: phrases of the draft, the weightiest first.
        posted_at: when it would go out.
        history: the author's own posts.
        permitted: tells whether a text breaks no rule that the draft does not break already.

    Raises:
        ModelUnavailable: the score or the fluency model does not answer.
    """
    draft = unicodedata.normalize("NFC", draft)
    limit = min(target_length or MAX_WEIGHTED_LENGTH, MAX_WEIGHTED_LENGTH)
    setting = Setting(language, tuple(objectives), emotion, tuple(keywords))
    search = _Search(draft, models, setting, posted_at, history, permitted)
    if weighted_length(draft) <= limit:
        [score] = await search.scores([draft])
        best = await search.climb(_State(draft, score, None), limit)
        return _improved(score, best, None if target_length is None else True)
    postable = weighted_length(draft) <= MAX_WEIGHTED_LENGTH
    shortened: Step | None = None
    targets = [(limit, int(limit * share)) for share in SHARES] if postable else [(limit, limit)]
    for most, target in [*targets, *(() if postable else [(MAX_WEIGHTED_LENGTH, MAX_WEIGHTED_LENGTH)])]:
        shorter = shorten(draft, target, language)
        if not search.holds(shorter, most):
            continue
        score, start = await search.scores([draft, shorter])
        best = await search.climb(_State(shorter, start, None, (("shorten", shorter, start),)), most)
        if not postable or best.score >= score:
            return _improved(score, best, most == limit)
        lost = Step("shorten", best.text, best.score - score)
        shortened = lost if shortened is None or lost.delta > shortened.delta else shortened
    [score] = await search.scores([draft])
    return Improved(draft, score, score, (), target_reached=False, shortened=shortened)


def _improved(original: float, best: _State, target_reached: bool | None) -> Improved:
    scores = [original, *(score for *_, score in best.path)]
    steps = tuple(
        Step(edit, text, after - before)
        for (edit, text, _), (before, after) in zip(best.path, pairwise(scores), strict=True)
    )
    return Improved(best.text, best.score, original, steps, target_reached)


def _is_fluent(before: float | None, after: float | None) -> bool:
    """Whether an edited text is not much less likely than the one before it; what nobody judged counts as fluent."""
    return before is None or after is None or after >= before - MAX_FLUENCY_LOSS
