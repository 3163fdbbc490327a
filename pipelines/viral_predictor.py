"""How a draft will do against its author's own record: expected percentile of engagement, with the reasons.

The score is a sum: a base, the wording, the moment, and what the author's own posts say. It knows texts, moments and
counts of the author's posts; it knows no followers, media, topics of the day or viewers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.features import NEVER_REWARDED, TIME, WORDING, Floats, Wording, time_of, wording
from pipelines.records import Draft, OwnRecord, Post, Prediction, Subscores
from pipelines.weights import read_arrays, read_weights

FORMAT: Final = 1
METHOD: Final = "exact terms of an additive model, relative to the average training post"
MIN_POSTS: Final = 25
MAX_POSTS: Final = 100
SETTLED: Final = timedelta(hours=24)

# What an author's own posts say, from their residuals: percentile among themselves less what the model expected.
AUTHOR: Final[dict[str, str]] = {
    "recent": "residuals averaged with weight 0.95^age in posts, shrunk towards 0 by 5 posts; score points",
    "similar": "residuals averaged with weight cosine^2 of hashed words, shrunk towards 0 by 0.3; score points",
    "habits": "ridge regression of the residuals on WORDING (penalty 100), applied to the draft; score points",
}
_RECENT_DECAY, _RECENT_SHRINKAGE, _SIMILAR_SHRINKAGE, _HABITS_PENALTY = 0.95, 5.0, 0.3, 100.0
_HABITS = np.array([name not in NEVER_REWARDED for name in WORDING])


@dataclass(frozen=True, slots=True)
class Weights:
    """Trained numbers, in score points.

    words (2**bits,), words_mean (); wording_mean, wording_scale, wording (len(WORDING),) where `wording` applies to
    (count - mean) / scale; time_mean, time (len(TIME),); author (len(AUTHOR),); base (). calibration is (2, 4), first
    row without and second with a record: slope and intercept of logit P(beats median) in (score - 50) / 10, and the
    10 % and 90 % conformal offsets of the outcome from the score.
    """

    words: NDArray[np.float32]
    words_mean: Floats
    wording_mean: Floats
    wording_scale: Floats
    wording: Floats
    time_mean: Floats
    time: Floats
    author: Floats
    base: Floats
    calibration: Floats

    @property
    def bits(self) -> int:
        """Binary logarithm of the number of word buckets."""
        return len(self.words).bit_length() - 1


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept of an author's usable posts: residuals (posts,) in points, oldest first, and their wording."""

    residuals: Floats
    wording: Wording
    habits: Floats


class ViralPredictor:
    """Scores drafts with fixed weights; equal drafts get equal predictions in every process and batch."""

    def __init__(self, weights: Weights, version: str) -> None:
        self.weights = weights
        self.version = version
        # The score rests on none of X's published ranking weights.
        self.weights_version: str | None = None
        self._base = float(weights.base)
        self._calibration: list[list[float]] = weights.calibration.tolist()
        self._wording_names, self._wording_starts = _groups(WORDING)
        self._time_names, self._time_starts = _groups(TIME)

    @classmethod
    def load(cls, folder: Path) -> ViralPredictor:
        """Read weights.npz and metadata.json from `folder`.

        Raises:
            WeightsRefused: a file is missing or unreadable, or the weights are not those of the metadata.
        """
        metadata, files = read_weights(folder, FORMAT)
        arrays = read_arrays(files["weights.npz"])
        numbers = {name: array.astype(np.float64) for name, array in arrays.items() if name != "words"}
        return cls(Weights(words=arrays["words"].astype(np.float32), **numbers), str(metadata["version"]))

    def predict(self, drafts: Sequence[Draft]) -> list[Prediction]:
        """Score drafts in their order; nothing is drawn at random and nothing is read from the clock.

        A post counts as usable if it is older than 24 h at `posted_at`; without `posted_at` all of them are.
        With fewer than 25 usable posts there is no author term, without `posted_at` no term for the time.
        """
        read = wording([draft.text for draft in drafts], self.weights.bits)
        words, counts, time = self._terms(read, [draft.posted_at for draft in drafts])
        author, own_posts = self._author_terms(drafts, read)
        wording_terms = np.add.reduceat(counts, self._wording_starts, axis=1).tolist()
        time_terms = np.add.reduceat(time, self._time_starts, axis=1).tolist()
        predictions = []
        for row, draft in enumerate(drafts):
            contributions = {
                "words": float(words[row]),
                **dict(zip(self._wording_names, wording_terms[row], strict=True)),
            }
            wording_points, time_points, author_points = sum(contributions.values()), None, None
            if draft.posted_at is not None:
                contributions.update(zip(self._time_names, time_terms[row], strict=True))
                time_points = sum(time_terms[row])
            if (terms := author[row]) is not None:
                contributions.update(zip(AUTHOR, terms, strict=True))
                author_points = sum(terms)
            subscores = Subscores(wording=wording_points, author=author_points, time=time_points)
            predictions.append(self._prediction(contributions, subscores, own_posts[row]))
        return predictions

    def _prediction(self, contributions: dict[str, float], subscores: Subscores, own_posts: int) -> Prediction:
        unclipped = self._base + sum(contributions.values())
        score = min(max(unclipped, 0.0), 100.0)
        if score != unclipped:
            contributions["clipped"] = score - unclipped
        slope, intercept, low, high = self._calibration[int(subscores.author is not None)]
        return Prediction(
            viral_score=score,
            p_beats_median=1.0 / (1.0 + math.exp(-(slope * (score - 50.0) / 10.0 + intercept))),
            interval=(min(max(score + low, 0.0), 100.0), min(max(score + high, 0.0), 100.0)),
            base=self._base,
            contributions=contributions,
            subscores=subscores,
            evidence=OwnRecord(own_posts),
            method=METHOD,
        )

    def _terms(self, read: Wording, moments: Sequence[datetime | None]) -> tuple[Floats, Floats, Floats]:
        """Return points of the words (n,), the counts (n, len(WORDING)) and the time (n, len(TIME), may be NaN)."""
        weights = self.weights
        words = np.bincount(read.rows, read.weights * weights.words[read.buckets], minlength=len(read.counts))
        counts = (read.counts - weights.wording_mean) / weights.wording_scale * weights.wording
        return words - weights.words_mean, counts, (time_of(moments) - weights.time_mean) * weights.time

    def _author_terms(self, drafts: Sequence[Draft], read: Wording) -> tuple[list[list[float] | None], list[int]]:
        """Return the author terms of each draft, None where the record is too short, and its usable posts."""
        terms: list[list[float] | None] = []
        own_posts = []
        ends = np.searchsorted(read.rows, np.arange(len(drafts) + 1))
        known: dict[tuple[int, datetime | None], tuple[Record | None, int]] = {}
        for row, draft in enumerate(drafts):
            if not draft.history:
                terms.append(None)
                own_posts.append(0)
                continue
            key = (id(draft.history), draft.posted_at)
            if key not in known:
                posts = usable_posts(draft)
                known[key] = (self._record(posts) if len(posts) >= MIN_POSTS else None, len(posts))
            record, n_posts = known[key]
            entries = slice(ends[row], ends[row + 1])
            own_posts.append(n_posts)
            terms.append(None if record is None else self._compare(record, read, row, entries).tolist())
        return terms, own_posts

    def _record(self, posts: Sequence[Post]) -> Record:
        read = wording([post.text for post in posts], self.weights.bits)
        words, counts, time = self._terms(read, [post.created_at for post in posts])
        engagement = np.array([post.engagement for post in posts], np.float64)
        expected = self.weights.base + words + counts.sum(1) + time.sum(1)
        residuals = 100.0 * percentiles(engagement, engagement) - expected
        wording_of = self._habit_counts(read.counts)
        gram = wording_of.T @ wording_of + _HABITS_PENALTY * np.eye(wording_of.shape[1])
        return Record(residuals, read, np.linalg.solve(gram, wording_of.T @ (residuals - residuals.mean())))

    def _compare(self, record: Record, read: Wording, row: int, entries: slice) -> Floats:
        """Return the author terms (len(AUTHOR),) of one draft."""
        decay = _RECENT_DECAY ** np.arange(len(record.residuals))[::-1]
        recent = (decay * record.residuals).sum() / (_RECENT_SHRINKAGE + decay.sum())
        draft_words = np.zeros(len(self.weights.words), np.float32)
        draft_words[read.buckets[entries]] = read.weights[entries]
        posts = record.wording
        shared = posts.weights * draft_words[posts.buckets]
        closeness = np.bincount(posts.rows, shared, minlength=len(record.residuals)) ** 2
        centered = record.residuals - record.residuals.mean()
        similar = (closeness * centered).sum() / (_SIMILAR_SHRINKAGE + closeness.sum())
        habits = (self._habit_counts(read.counts[row : row + 1])[0] * record.habits).sum()
        return np.array([recent, similar, habits]) * self.weights.author

    def _habit_counts(self, counts: Floats) -> Floats:
        standardized: Floats = ((counts - self.weights.wording_mean) / self.weights.wording_scale)[:, _HABITS]
        return standardized


def usable_posts(draft: Draft) -> list[Post]:
    """Return the author's last 100 posts older than 24 h at `posted_at` (all ages without it), oldest first."""
    before = None if draft.posted_at is None else draft.posted_at - SETTLED
    settled = [post for post in draft.history if before is None or post.created_at <= before]
    return sorted(settled, key=lambda post: post.created_at)[-MAX_POSTS:]


def percentiles(values: Floats, among: Floats) -> Floats:
    """Return the mid-rank percentile of each of `values` among `among`, (values,) in [0, 1]; ties count half."""
    ordered = np.sort(among)
    below, up_to = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    return (below + up_to) / (2.0 * len(ordered))


def _groups(features: dict[str, str]) -> tuple[list[str], list[int]]:
    """Return the contributions that `features` belong to and where each begins."""
    names = [(name.split("_")[0], index) for index, name in enumerate(features)]
    first = {group: next(members)[1] for group, members in groupby(names, key=lambda pair: pair[0])}
    return list(first), list(first.values())
