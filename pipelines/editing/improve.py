"""A search over real edits of a draft: each step is one edit that was scored and gained.

It knows what the models answer, not where they run. Polish comes first; it alone may cost points, since spelling is
not negotiable. No fact is lost or invented, and nothing is longer than X takes.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final, NamedTuple, Protocol

from pipelines.editing.edits import EDITS, EditName, Setting
from pipelines.editing.polish import polish
from pipelines.editing.shorten import shorten
from pipelines.records import Draft, History, Language, Objective
from pipelines.results import Prediction, Step
from pipelines.text.facts import keeps_facts
from pipelines.text.tweets import MAX_WEIGHTED_LENGTH, is_valid, weighted_length

ROUNDS: Final = 6
BEAM: Final = 2
MIN_GAIN: Final = 1e-9
# How much likelier a stranger must be to post an edited text for it to be taken at the same score, and how much less
# likely for it to be refused at a better one.
PREFERRED: Final = 0.05
CLEARLY_WORSE: Final = 0.1
# A judge who reads what a language model made of a draft is that much too sure of it.
REWRITE_CURSE: Final = 0.15
# The judge costs far more than the score does, so it reads only what gained most.
MAX_JUDGED: Final = 8
# Stands for the score of every version where there is none.
UNSCORED: Final = -1.0
# Cut further only where the longer text does not win back what it lost.
SHARES: Final = (1.0, 0.85, 0.7)


class Critics(Protocol):
    """The models that judge edits; each call raises ModelUnavailable where it cannot answer in time."""

    async def predict(self, drafts: Sequence[Draft]) -> list[Prediction]:
        """Score drafts, in their order."""

    async def judge(self, draft: str, texts: Sequence[str], language: Language | None) -> list[float | None]:
        """Return the probability that a stranger would post each text for the draft; None where nobody judges."""


@dataclass(frozen=True)
class Improved:
    """The best version that was found; the deltas of its steps sum to `viral_score - original_score`.

    Where nobody can score the draft both scores and all deltas are None: the judge alone chose.
    `target_reached` is None where nothing asked for a shorter text: no target length, and X takes the draft. Where it
    is False, `shortened` is the text of that length that would cost least, if there is one that keeps the facts.
    """

    text: str
    viral_score: float | None
    original_score: float | None
    steps: tuple[Step, ...]
    target_reached: bool | None
    shortened: Step | None = None


class _State(NamedTuple):
    """A text on the way: its score, how it was judged, and the edits that led to it with the score after each.

    `judged` is None before the judge has read it, and where nobody judges.
    """

    text: str
    score: float
    judged: float | None
    path: tuple[tuple[EditName, str, float], ...] = ()

    def rank(self) -> tuple[float, float, int]:
        return round(self.score, 9), self.judged or 0.0, len(self.path)


@dataclass(frozen=True)
class _Search:
    """What does not change while one draft is improved."""

    draft: str
    polished: str
    models: Critics
    setting: Setting
    posted_at: datetime | None
    history: History
    permitted: Callable[[str], bool]
    rewrites: tuple[str, ...] = ()

    async def scores(self, texts: Sequence[str]) -> list[float]:
        """Return the score of each text; UNSCORED of each version of a draft that nobody can score."""
        drafts = [
            Draft(
                text=text,
                posted_at=self.posted_at,
                history=self.history,
                language=self.setting.language,
                original=self.draft,
            )
            for text in texts
        ]
        scores = [prediction.viral_score for prediction in await self.models.predict(drafts)]
        return [UNSCORED if score is None else score for score in scores]

    def holds(self, text: str, limit: int) -> bool:
        """Whether an edited text may be posted for the draft: it fits, states the same, and breaks no rule.

        What it states may be spelled as in the draft or as in the polished draft: `dont` denies only in the latter.
        """
        fits = is_valid(text, limit)
        same = keeps_facts(self.draft, text) or keeps_facts(self.polished, text)
        return fits and same and self.permitted(text)

    async def climb(self, start: _State, limit: int) -> _State:
        """Return the best text that rounds of single edits reach; no step loses, each kind comes once."""
        best, beam, seen = start, [start], {self.draft, start.text}
        for _ in range(ROUNDS):
            beam = await self._better(beam, seen, limit)
            if not beam:
                break
            best = max([best, *beam], key=_State.rank)
        return best

    async def _better(self, beam: list[_State], seen: set[str], limit: int) -> list[_State]:
        tried: list[tuple[_State, EditName, str]] = []
        for state in beam:
            used = {edit for edit, _, _ in state.path}
            for name, edit in EDITS.items():
                for text in edit(state.text, self.setting) if name not in used else ():
                    if text not in seen and self.holds(text, limit):
                        seen.add(text)
                        tried.append((state, name, text))
            for text in self.rewrites if "rewrite" not in used else ():
                # Whoever wrote it has verified it against the draft.
                if text not in seen and is_valid(text, limit) and self.permitted(text):
                    seen.add(text)
                    tried.append((state, "rewrite", text))
        scores = await self.scores([text for *_, text in tried]) if tried else []
        found = sorted(
            (
                _State(text, score, None, (*state.path, (name, text, score)))
                for (state, name, text), score in zip(tried, scores, strict=True)
                if score >= state.score - MIN_GAIN
            ),
            key=lambda state: -state.score,
        )[:MAX_JUDGED]
        if not found:
            return []
        before = {state.path: state for state in beam}
        judged = await self._judged([*beam, *found])
        better = [
            state._replace(judged=judged[state.text])
            for state in found
            if _is_better(before[state.path[:-1]], judged[before[state.path[:-1]].text], state, judged[state.text])
        ]
        return sorted(better, key=_State.rank, reverse=True)[:BEAM]

    async def _judged(self, states: Sequence[_State]) -> dict[str, float | None]:
        """Return what the judge holds of each text; one call for all that it has not read."""
        known = {state.text: state.judged for state in states}
        unknown = [text for text, judged in known.items() if judged is None]
        judged = await self.models.judge(self.draft, unknown, self.setting.language) if unknown else []
        return {**known, **dict(zip(unknown, judged, strict=True))}

    async def begin(self, limit: int) -> tuple[float, _State]:
        """Return the score of the draft, and the polished draft where it holds, else the draft.

        Neither score nor judge is asked: of 140 readers of pairs 138 would rather post what was put right.
        """
        if self.polished == self.draft or not self.holds(self.polished, limit):
            [score] = await self.scores([self.draft])
            return score, _State(self.draft, score, None)
        score, after = await self.scores([self.draft, self.polished])
        return score, _State(self.polished, after, None, (("polish", self.polished, after),))


async def improve(
    draft: str,
    models: Critics,
    *,
    language: Language | None,
    target_length: int | None = None,
    length_limit: int = MAX_WEIGHTED_LENGTH,
    objectives: Sequence[Objective] = (),
    asks: bool = False,
    sober: bool = False,
    posted_at: datetime | None = None,
    history: History = (),
    permitted: Callable[[str], bool] = lambda _: True,
    rewrites: Sequence[str] = (),
) -> Improved:
    """Return the best version of a draft that a search over single edits finds; the same every time.

    The draft is polished first, whatever that costs. Each round then makes every edit of the best texts,
    drops what breaks a rule, scores the rest in one call and goes on with what gains, or loses nothing and is judged
    better; what is judged clearly worse is left. A draft that is longer than `target_length` is shortened first and
    keeps that only if the edits after it win back what it cost; otherwise it stays as it is and the target is not
    reached. A draft that X would not take is shortened whatever it costs, to the target where its facts allow, else to
    the limit: its first step then has a negative delta where it costs points. Where its facts alone are too long it
    stays.

    Args:
        draft: any text that X could show, see pipelines.text.tweets.clean_text.
        models: who scores and who judges what a stranger would post.
        language: the language of the draft; None where nobody here speaks it, then no word is added or changed.
        target_length: weighted characters that the result should have at most; above `length_limit` it means that.
        length_limit: weighted characters that X takes from this account.
        objectives: what the tweet is meant to achieve.
        asks: whether a question to the readers suits the draft.
        sober: whether it is bad or sober news, under which nothing is added.
        posted_at: when it would go out.
        history: the author's own posts.
        permitted: tells whether a text breaks no rule that the draft does not break already.
        rewrites: versions that somebody else wrote and verified; one is taken as any edit is.

    Raises:
        ModelUnavailable: the score or the judge does not answer.
    """
    draft = unicodedata.normalize("NFC", draft)
    limit = min(target_length or length_limit, length_limit)
    setting = Setting(language, tuple(objectives), asks, sober)
    polished = polish(draft, language) if language else draft
    search = _Search(draft, polished, models, setting, posted_at, history, permitted, tuple(rewrites))
    if weighted_length(draft) <= limit:
        score, first = await search.begin(limit)
        best = await search.climb(first, limit)
        return _improved(score, best, None if target_length is None else True)
    postable = weighted_length(draft) <= length_limit
    shortened: Step | None = None
    targets = [(limit, int(limit * share)) for share in SHARES] if postable else [(limit, limit)]
    for most, target in [*targets, *(() if postable else [(length_limit, length_limit)])]:
        shorter = shorten(draft, target, language)
        if not search.holds(shorter, most):
            continue
        score, start = await search.scores([draft, shorter])
        best = await search.climb(_State(shorter, start, None, (("shorten", shorter, start),)), most)
        if not postable or best.score >= score:
            return _improved(score, best, most == limit)
        lost = Step("shorten", best.text, best.score - score)
        shortened = lost if shortened is None or (lost.delta or 0.0) > (shortened.delta or 0.0) else shortened
    [score] = await search.scores([draft])
    if score == UNSCORED:
        return Improved(draft, None, None, (), target_reached=False)
    return Improved(draft, score, score, (), target_reached=False, shortened=shortened)


def _improved(original: float, best: _State, target_reached: bool | None) -> Improved:
    scored = original != UNSCORED
    scores = [original, *(score for *_, score in best.path)]
    steps = tuple(
        Step(edit, text, round(after - before, 1) if scored else None)
        for (edit, text, _), (before, after) in zip(best.path, pairwise(scores), strict=True)
    )
    return Improved(best.text, best.score if scored else None, original if scored else None, steps, target_reached)


def _is_better(before: _State, judged_before: float | None, after: _State, judged_after: float | None) -> bool:
    """Whether a text is worth a step: it gains and is not judged clearly worse, or it is judged better for nothing."""
    gains = after.score > before.score + MIN_GAIN
    if judged_before is None or judged_after is None:
        return gains or (after.path[-1][0] == "polish" and after.score >= before.score)
    if after.path[-1][0] == "rewrite":
        return after.score >= before.score and judged_after >= judged_before + PREFERRED + REWRITE_CURSE
    preferred = judged_after >= judged_before + PREFERRED
    return (gains and judged_after >= judged_before - CLEARLY_WORSE) or (after.score >= before.score and preferred)
