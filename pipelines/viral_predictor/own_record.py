"""What an author's own posts say about a draft: how the last ones did, how similar ones did, what pays off for them.

Everything rests on residuals: the percentile of each post among the others less what the model expected of it, in
points. It knows no weights of the model; it is given what the model expected.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.records import Draft, Post
from pipelines.viral_predictor.features import DRAFT, NEVER_REWARDED, Floats, Grams

# From so many posts on the record counts fully; below, its weight grows with each.
FULL_POSTS: Final = 25
MAX_POSTS: Final = 100
SETTLED: Final = timedelta(hours=24)

# Each gets a factor in training.
AUTHOR: Final[dict[str, str]] = {
    "recent": "residuals averaged with weight 0.95^age in posts, shrunk towards 0 by 5 posts; points",
    "similar": "centered residuals averaged with weight cosine^2 of character 4-grams, shrunk by 0.1; points",
    "habits": "ridge regression of the centered residuals on counts and expected points (penalty 100); points",
}
_RECENT_DECAY, _RECENT_SHRINKAGE, _SIMILAR_SHRINKAGE, _HABITS_PENALTY = 0.95, 5.0, 0.1, 100.0
# Points of the wording per unit of the habits' regression: about their standard deviation.
_POINTS = 8.0
# Points that one habit may add or cost, whatever a hundred posts seem to say of it.
_MOST_OF_A_HABIT = 8.0
# Nothing that must not be rewarded may be rewarded by way of a habit.
REWARDED: Final = np.array([name not in NEVER_REWARDED for name in DRAFT])


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept of an author's usable posts, oldest first.

    centered (posts,) residuals less their mean; lengths (posts,) of the posts' vectors of grams; habits
    (REWARDED.sum() + 1,) points per unit, the last for the points of the wording, whose mean is `wording_mean`.
    recent, spread (standard deviation of the residuals) in points; `above` in [0, 1]: share of posts strictly above
    their median, below one half where many tie.
    """

    centered: Floats
    grams: Grams
    lengths: Floats
    habits: Floats
    wording_mean: float
    recent: float
    spread: float
    above: float

    @property
    def weight(self) -> float:
        """How much the record counts, in (0, 1]."""
        return min(len(self.centered) / FULL_POSTS, 1.0)

    @property
    def evidence(self) -> tuple[float, ...]:
        """Return the numbers of the calibration that come from the record; see `calibration` of Weights."""
        share = math.log((self.above + 0.02) / (1.02 - self.above))
        return self.recent / 10.0, self.spread / 10.0, len(self.centered) / 100.0, share


def usable_posts(draft: Draft) -> list[Post]:
    """Return the author's last 100 posts older than 24 h at `posted_at` (all ages without it), oldest first."""
    before = None if draft.posted_at is None else draft.posted_at - SETTLED
    settled = [post for post in draft.own_posts if before is None or post.created_at <= before]
    return sorted(settled, key=lambda post: post.created_at)[-MAX_POSTS:]


def record_of(
    posts: Sequence[Post], *, expected: Floats, counts: Floats, points: Floats, grams: Grams, importance: Floats
) -> Record:
    """Return the record of `posts`.

    expected, points (posts,): score and points of the wording that the model gives them; counts (posts,
    REWARDED.sum()) standardized; importance (gram buckets + 1,) the square of the weight of each gram, 0 for none.
    """
    engagement = np.array([post.engagement for post in posts], np.float64)
    residuals = 100.0 * percentiles(engagement, engagement) - expected
    centered = residuals - residuals.mean()
    decay = _RECENT_DECAY ** np.arange(len(posts))[::-1]
    wording_mean = float(points.mean())
    columns = np.column_stack([counts, (points - wording_mean) / _POINTS])
    gram = columns.T @ columns
    gram.flat[:: len(gram) + 1] += _HABITS_PENALTY
    return Record(
        centered=centered,
        grams=grams,
        lengths=np.sqrt(np.add.reduceat(importance[grams.buckets], grams.starts[:-1])),
        habits=np.linalg.solve(gram, columns.T @ centered),
        wording_mean=wording_mean,
        recent=float((decay * residuals).sum() / (_RECENT_SHRINKAGE + decay.sum())),
        spread=float(residuals.std()),
        above=float((engagement > np.median(engagement)).mean()),
    )


def author_terms(record: Record, counts: Floats, points: float, own: NDArray[np.int64], importance: Floats) -> Floats:
    """Return AUTHOR (3,) for a draft with those standardized `counts`, `points` and buckets of grams `own`."""
    member = np.zeros(len(importance))
    member[own] = importance[own]
    shared = np.add.reduceat(member[record.grams.buckets], record.grams.starts[:-1])
    closeness = np.minimum(shared / np.maximum(record.lengths * math.sqrt(member.sum()), 1e-9), 1.0) ** 2
    similar = (closeness * record.centered).sum() / (_SIMILAR_SHRINKAGE + closeness.sum())
    each = np.append(counts, (points - record.wording_mean) / _POINTS) * record.habits
    habits = np.clip(each, -_MOST_OF_A_HABIT, _MOST_OF_A_HABIT).sum()
    return np.array([record.recent, similar, habits])


def percentiles(values: Floats, among: Floats) -> Floats:
    """Return the mid-rank percentile of each of `values` among `among`, (values,) in [0, 1]; ties count half."""
    ordered = np.sort(among)
    below, up_to = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    return (below + up_to) / (2.0 * len(ordered))
