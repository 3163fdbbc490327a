"""The figures of a viral predictor on posts whose outcome is known, and the card that states them.

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

from pipelines.features import Floats
from pipelines.records import Prediction

RESAMPLES = 300
Rows = NDArray[np.int64]

# figure: how to read it
FIGURES = {
    "auc": "AUC of beating the author's own median; 0.5 is a coin, 1 is perfect",
    "spearman": "rank correlation of score and percentile; 0 knows nothing, 1 is perfect",
    "pairs": "which of two posts of one author within 30 days did better, where (sum + 1) differs by more than 25 %",
    "brier": "mean squared error of P(beats median); lower is better",
    "ece": "expected calibration error in ten equal-sized bins; 0 is perfect",
    "coverage": "share of outcomes inside the 80 % interval",
}
SCORES = {
    "score": "the prediction",
    "no_record": "the same without the author's record",
    "text": "its wording alone",
    "length": "baseline: number of characters",
    "time": "baseline: hour and weekday",
    "recent": "baseline: how the author's last posts did",
}


@dataclass(frozen=True)
class Sample:
    """Predictions with outcomes, all (posts,); `author` numbers the authors, `pairs` (pairs, 2) index posts."""

    predictions: list[Prediction]
    percentile: Floats
    engagement: Floats
    author: Rows
    length: Floats
    pairs: Rows


Interval = tuple[float, float, float]


def figures(sample: Sample, rng: np.random.Generator) -> dict[str, Any]:
    """Return each figure as (value, low, high): `auc`, `spearman` and `pairs` by SCORES, the rest of the prediction."""
    scores = _scores(sample)
    beats = sample.percentile > 0.5
    p = np.array([prediction.p_beats_median for prediction in sample.predictions])
    inside = np.array(
        [q.interval[0] <= 100 * y <= q.interval[1] for q, y in zip(sample.predictions, sample.percentile, strict=True)]
    )

    def over_posts(measure: Callable[[Rows], float]) -> Interval:
        return _bootstrap(measure, sample.author, rng)

    def by_score(measure: Callable[[Floats, Rows], float]) -> dict[str, Interval]:
        return {name: over_posts(partial(measure, score)) for name, score in scores.items()}

    def won(score: Floats, rows: Rows) -> float:
        return float(_wins(score, sample)[rows].mean())

    first = sample.author[sample.pairs[:, 0]]
    return {
        "posts": len(p),
        "authors": len(np.unique(sample.author)),
        "auc": by_score(lambda score, rows: auc(beats[rows], score[rows])),
        "spearman": by_score(lambda score, rows: spearman(sample.percentile[rows], score[rows])),
        "pairs": {name: _bootstrap(partial(won, score), first, rng) for name, score in scores.items()},
        "brier": over_posts(lambda rows: float(((p[rows] - beats[rows]) ** 2).mean())),
        "brier_majority": over_posts(lambda rows: float(min(beats[rows].mean(), 1 - beats[rows].mean()))),
        "brier_share": over_posts(lambda rows: float(beats[rows].mean() * (1 - beats[rows].mean()))),
        "ece": over_posts(lambda rows: calibration_error(beats[rows], p[rows])),
        "coverage": over_posts(lambda rows: float(inside[rows].mean())),
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


def calibration_error(happened: NDArray[np.bool_], p: Floats) -> float:
    """Return the mean distance of predicted and observed share over ten bins of equal size."""
    bins = np.array_split(np.argsort(p, kind="stable"), 10)
    return float(sum(abs(p[rows].mean() - happened[rows].mean()) * len(rows) for rows in bins if len(rows)) / len(p))


def _scores(sample: Sample) -> dict[str, Floats]:
    parts = [(q, q.subscores.wording or 0.0, q.subscores.time or 0.0) for q in sample.predictions]
    return {
        "score": np.array([q.viral_score for q, _, _ in parts]),
        "no_record": np.array([text + time for _, text, time in parts]),
        "text": np.array([text for _, text, _ in parts]),
        "length": sample.length,
        "time": np.array([time for _, _, time in parts]),
        "recent": np.array([q.contributions["recent"] for q, _, _ in parts]),
    }


def _wins(score: Floats, sample: Sample) -> Floats:
    a, b = sample.pairs.T
    sign = np.sign(score[a] - score[b]) * np.sign(sample.engagement[a] - sample.engagement[b])
    won: Floats = (1.0 + sign) / 2.0
    return won


def _bootstrap(measure: Callable[[Rows], float], cluster: Rows, rng: np.random.Generator) -> Interval:
    members = [np.flatnonzero(cluster == name) for name in np.unique(cluster)]
    drawn = [
        measure(np.concatenate([members[index] for index in rng.integers(0, len(members), len(members))]))
        for _ in range(RESAMPLES)
    ]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    value = measure(np.arange(len(cluster)))
    return round(value, 4), round(float(low), 4), round(float(high), 4)


SPLITS = {"time": "later posts of known authors", "authors": "unseen authors"}
SOURCES = {
    "congress2022": "aferrero23/twitter-category-nlp, none stated",
    "tweety": "sxywu/tweety, none stated",
    "fin2021": "sarveshbhatnagar/recent_tweets, none stated",
}
LIMITS = (
    "- The penalty, the balance of the sets and the form of the author terms were chosen with a look at these same",
    "  authors and times, so the figures are a little flattering until posts that nobody looked at confirm them.",
    "- Correlations in archives, not effects: an edit that raises the score has not been shown to raise engagement.",
    "- English almost throughout, 2010 to 2022; politicians, celebrities, finance. Other fields and today do worse.",
    "- No media, followers, replies or topic of the day; a link is a link, whatever stands behind it.",
    "- Times are UTC: the author's own time zone is unknown.",
    "- The range is wide because most of the outcome is not in the text.",
)


def card(metadata: dict[str, Any]) -> str:
    """Return the model card in Markdown."""
    lines = [
        f"# Viral predictor {metadata['version']}",
        "",
        "Expected percentile (0 to 100) of a post's engagement, likes plus retweets, among its author's last 100 posts",
        "older than 24 h, with the probability of beating their median and an 80 % range. It is a ridge regression on",
        f"2^{metadata['bits']} hashed words and word pairs, counts of the wording and the time of posting, plus three",
        "terms from the author's own posts where at least 25 are given: how the last ones did, how similar ones did,",
        "and what pays off for this author among the counts. The score is their sum, so the contributions are exact.",
        "More hashtags and more shouting may only lower the score, and hashtags at the end are no words.",
        "",
        "## Data",
        "",
        "| set | posts | fitted on | calibrated on | source and licence |",
        "|---|---|---|---|---|",
    ]
    for name, rows in metadata["data"].items():
        calibrated = min(rows["calibrate"], metadata["calibration_posts"])
        lines += [f"| {name} | {rows['posts']:,} | {rows['train']:,} | {calibrated:,} | {SOURCES[name]} |"]
    lines += [
        "",
        "15 % of the authors are only tested on, 15 % only calibrate, and the last 15 % of each set's time are only",
        "tested on. Posts with fewer than 25 predecessors have no percentile. The intervals are calibrated on the same",
        "authors as the three author terms. The weights are those that were measured, not refitted on everything.",
        "",
        "## Figures",
        "",
        "On random pairs of posts; in brackets 95 % intervals over authors. Chance and the majority answer have AUC",
        "and pair accuracy 0.5 and rank correlation 0.",
        "",
        *(f"- **{name}**: {meaning}." for name, meaning in FIGURES.items()),
    ]
    for name, by_split in metadata["scores"].items():
        for split, meaning in SPLITS.items():
            lines += ["", f"### {name}, {meaning}", "", *_table(by_split[split])]
    return "\n".join([*lines, "", "## Limits", "", *LIMITS, ""])


def _table(measured: dict[str, Any]) -> list[str]:
    """Return the Markdown lines of one set and split."""
    lines = [f"{measured['posts']:,} posts of {measured['authors']} authors.", ""]
    lines += ["| ranked by | auc | spearman | pairs |", "|---|---|---|---|"]
    for name, meaning in SCORES.items():
        cells = [_cell(measured[figure][name]) for figure in ("auc", "spearman", "pairs")]
        lines.append(f"| {meaning} | {' | '.join(cells)} |")
    return [
        *lines,
        "",
        f"Brier {_cell(measured['brier'])}; always the observed share {_cell(measured['brier_share'])}, always the",
        f"majority {_cell(measured['brier_majority'])}. ECE {_cell(measured['ece'])}. Coverage of the 80 % interval",
        f"{_cell(measured['coverage'])}.",
    ]


def _cell(interval: Interval) -> str:
    value, low, high = interval
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"
