"""The figures of a viral predictor on posts whose outcome is known.

Intervals are 95 % bootstrap intervals over authors: posts of one author are no independent witnesses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score

from pipelines.results import Prediction
from pipelines.viral_predictor.features import Floats

RESAMPLES = 200
SHARES = (0.1, 0.25, 0.35, 0.5)
CONSTANT = (10.0, 90.0)
Rows = NDArray[np.int64]
Interval = tuple[float, float, float]

# figure: how to read it
FIGURES = {
    "auc": "AUC of beating the author's own median; 0.5 is a coin, 1 is perfect",
    "top25": "AUC of ending in the author's top quarter",
    "top10": "AUC of ending in the author's top tenth",
    "precision": "average precision of beating the median; the base rate knows nothing, 1 is perfect",
    "spearman": "rank correlation of score and percentile; 0 knows nothing, 1 is perfect",
    "pairs": "which of two posts of one author within 30 days did better, where (sum + 1) differs by more than 25 %",
}
SCORES = {
    "score": "**the prediction**",
    "chance": "its P(beats median)",
    "no_record": "the prediction without history",
    "text": "its wording alone",
    "majority": "always the same",
    "length": "number of characters",
    "time": "hour and weekday",
    "author": "mean engagement of the author's last posts",
    "weights": "the specification's weights",
    "forest": "the specification's forest",
}
# Those whose every figure gets an interval.
WITH_INTERVALS = ("score", "no_record")


@dataclass(frozen=True)
class Sample:
    """Predictions with outcomes, all (posts,); `author` numbers the authors.

    `random` (drawn posts,) and `pairs` (pairs, 2) index posts: pairs alone are no sample of what people post.

    `outcome` is the percentile in points; `scores` holds what each of SCORES ranks by.
    """

    predictions: list[Prediction]
    outcome: Floats
    beats: NDArray[np.bool_]
    engagement: Floats
    author: Rows
    random: Rows
    pairs: Rows
    scores: dict[str, Floats]


def figures(sample: Sample, rng: np.random.Generator) -> dict[str, Any]:
    """Return each figure as (value, low, high), or as a value where no interval is asked for.

    `auc` to `pairs` are by SCORES; `shares` gives pair accuracy on the most confident SHARES of the pairs. All but
    those two rest on the posts `random`.
    """
    chosen = sample.random
    p = np.array([sample.predictions[post].p_beats_median for post in chosen])
    low, high = np.array([sample.predictions[post].interval for post in chosen]).T
    beats, outcome, author = sample.beats[chosen], sample.outcome[chosen], sample.author[chosen]
    inside = (low <= outcome) & (outcome <= high)
    brier = (p - beats) ** 2
    loss = winkler(outcome, low, high)
    fixed = winkler(outcome, *(np.full(len(outcome), bound) for bound in CONSTANT))
    first = sample.author[sample.pairs[:, 0]]

    measures: dict[str, Callable[[Floats, Rows], float]] = {
        "auc": lambda score, rows: auc(beats[rows], score[rows]),
        "top25": lambda score, rows: auc(outcome[rows] >= 75.0, score[rows]),
        "top10": lambda score, rows: auc(outcome[rows] >= 90.0, score[rows]),
        "precision": lambda score, rows: float(average_precision_score(beats[rows], score[rows])),
        "spearman": lambda score, rows: spearman(outcome[rows], score[rows]),
    }

    def by_score(measure: Callable[[Floats, Rows], float], cluster: Rows, scores: dict[str, Floats]) -> dict[str, Any]:
        return {
            name: _bootstrap(partial(measure, score), cluster, rng)
            if name in WITH_INTERVALS
            else round(measure(score, np.arange(len(cluster))), 4)
            for name, score in scores.items()
        }

    def right(share: float, score: Floats, rows: Rows) -> float:
        return pair_accuracy(score, sample.engagement, sample.pairs[rows], share)

    def over_posts(measure: Callable[[Rows], float]) -> Interval:
        return _bootstrap(measure, author, rng)

    every = sample.scores
    of_posts = {name: score[chosen] for name, score in every.items()}
    return {
        "posts": len(p),
        "authors": len(np.unique(author)),
        "base_rate": round(float(beats.mean()), 4),
        **{name: by_score(measure, author, of_posts) for name, measure in measures.items()},
        "pairs": by_score(partial(right, 1.0), first, every),
        "shares": {str(share): by_score(partial(right, share), first, every) for share in SHARES},
        "gain_auc": over_posts(
            lambda rows: measures["auc"](of_posts["score"], rows) - measures["auc"](of_posts["no_record"], rows)
        ),
        "gain_pairs": _bootstrap(
            lambda rows: right(1.0, every["score"], rows) - right(1.0, every["no_record"], rows), first, rng
        ),
        "brier": over_posts(lambda rows: float(brier[rows].mean())),
        "brier_skill": over_posts(lambda rows: 1.0 - float(brier[rows].mean() / max(beats[rows].var(), 1e-9))),
        "ece": over_posts(lambda rows: calibration_error(beats[rows], p[rows])),
        "coverage": over_posts(lambda rows: float(inside[rows].mean())),
        "width": over_posts(lambda rows: float((high - low)[rows].mean())),
        "winkler": over_posts(lambda rows: float(loss[rows].mean())),
        "winkler_constant": over_posts(lambda rows: float(fixed[rows].mean())),
    }


def auc(positive: NDArray[np.bool_], score: Floats) -> float:
    """Return the probability that a positive outranks a negative, ties half (Mann-Whitney U); NaN without both."""
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if not n_positive or not n_negative:
        return float("nan")
    ranks = rankdata(score)
    return float((ranks[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def spearman(outcome: Floats, score: Floats) -> float:
    """Return the correlation of ranks; NaN where one side is constant."""
    a, b = rankdata(outcome), rankdata(score)
    return float(np.corrcoef(a, b)[0, 1]) if a.std() and b.std() else float("nan")


def pair_accuracy(score: Floats, engagement: Floats, pairs: Rows, share: float = 1.0) -> float:
    """Return how often the better post of a pair has the higher score, ties half; 0.5 is a coin, 1 is perfect.

    `share` keeps those pairs alone whose scores lie farthest apart.
    """
    apart = score[pairs[:, 0]] - score[pairs[:, 1]]
    sign = np.sign(apart) * np.sign(engagement[pairs[:, 0]] - engagement[pairs[:, 1]])
    surest = np.argsort(-np.abs(apart), kind="stable")[: max(int(share * len(pairs)), 1)]
    return float((1.0 + sign[surest]).mean() / 2.0)


def calibration_error(happened: NDArray[np.bool_], p: Floats) -> float:
    """Return the mean distance of predicted and observed share over ten bins of equal size."""
    bins = np.array_split(np.argsort(p, kind="stable"), 10)
    return float(sum(abs(p[rows].mean() - happened[rows].mean()) * len(rows) for rows in bins if len(rows)) / len(p))


def winkler(outcome: Floats, low: Floats, high: Floats) -> Floats:
    """Return the interval score of 80 % intervals (posts,), lower is better.

    Gneiting, Raftery 2007, eq. 43: the width, and ten points for every point that the outcome lies outside.
    """
    missed = np.maximum(low - outcome, 0.0) + np.maximum(outcome - high, 0.0)
    return np.asarray(high - low + 10.0 * missed)


def _bootstrap(measure: Callable[[Rows], float], cluster: Rows, rng: np.random.Generator) -> Interval:
    members = [np.flatnonzero(cluster == name) for name in np.unique(cluster)]
    drawn = [
        measure(np.concatenate([members[index] for index in rng.integers(0, len(members), len(members))]))
        for _ in range(RESAMPLES)
    ]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    value = measure(np.arange(len(cluster)))
    return round(value, 4), round(float(low), 4), round(float(high), 4)
