"""What an account's scores were worth: predictions beside what came of them, with what chance alone could do.

Every figure is of what was said, calibrated or not. A rank correlation of 0 says nothing of the next post.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

import numpy as np
from scipy.stats import norm, spearmanr
from statsmodels.stats.proportion import proportion_confint

from pipelines.outcomes.calibration import Judged, personal
from pipelines.outcomes.matching import Match, StoredPrediction, matched
from pipelines.outcomes.posts import StoredPost
from pipelines.viral_predictor.features import Floats

Verdict = Literal["predictive", "weak", "none", "inverted"]
Basis = Literal["stored", "backtest"]
BACKTEST = "A backtest: scores made now from each post and those before it; what could not be scored is left out."
LEANING = 0.05
FEWEST_MATCHES: Final = 25
# Of Spearman's rho; the customs of besc-engagement-checker, and what its interval must keep clear of.
PREDICTIVE, WEAK = 0.30, 0.12
ALPHA: Final = 0.05
COVERED: Final = 0.8
# A bin of fewer posts says nothing.
POSTS_A_BIN, MOST_BINS = 10, 10
SHOWN, SHOWN_CHARACTERS = 50, 80
DRAWS, SEED = 400, 20_261_130


@dataclass(frozen=True, kw_only=True)
class ShownMatch:
    """One post beside its prediction; texts are cut short. `similarity` is 1 for the same text, links and case aside.

    `outcome` is the percentile in [0, 100] of its engagement among the account's last 100 posts, `beats_median` whether
    it is above their median.
    """

    post_id: str
    posted_at: datetime
    post_text: str
    predicted_at: datetime
    predicted_text: str
    similarity: float
    viral_score: float
    p_beats_median: float
    interval: tuple[float, float] | None
    outcome: float
    beats_median: bool
    engagement: int


@dataclass(frozen=True, kw_only=True)
class Bin:
    """Posts with about the same chance, from `low` to `high`: its mean, the share that beat the median and its range.

    `interval` is the 95 % Wilson interval of `observed`: a good chance lies in it.
    """

    low: float
    high: float
    n: int
    predicted: float
    observed: float
    interval: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class TrackRecord:
    """How well the scores of an account told what its posts did.

    `basis` says whose predictions these are: those that were stored with queries, or of a backtest, made now for each
    post from those before it. `n` matches of `posts` and `predictions` that were looked at, `near` of them by a text
    that was edited. From 25 on it is `supported`; below, and where nothing varies, a figure is None.

    `spearman` of score and percentile: 1 is perfect, 0 knows nothing, below 0 is inverted; its 95 % interval is that of
    Fisher's z with the standard error of Bonett and Wright. `brier` is the mean square of chance minus what came: 0 is
    perfect; `brier_of_base_rate` is that of saying `base_rate`, the share that beat the median, of every post, which is
    known only afterwards. `calibration_error` is the mean distance of chance and share over the bins, beside what it
    would be by chance if every chance were right. `coverage` is the share of the `coverage_n` ranges that held, which
    should be 0.8, with its Wilson interval. `calibration` says whether the account's outcomes correct its scores.
    """

    basis: Basis
    supported: bool
    note: str
    n: int
    near: int
    posts: int
    predictions: int
    verdict: Verdict | None = None
    spearman: float | None = None
    spearman_interval: tuple[float, float] | None = None
    base_rate: float | None = None
    brier: float | None = None
    brier_of_base_rate: float | None = None
    bins: tuple[Bin, ...] = ()
    calibration_error: float | None = None
    calibration_error_by_chance: float | None = None
    coverage: float | None = None
    coverage_interval: tuple[float, float] | None = None
    coverage_n: int = 0
    calibration: Judged
    matches: tuple[ShownMatch, ...]


def track_record(
    posts: Sequence[StoredPost],
    predictions: Sequence[StoredPrediction],
    learnable: Sequence[StoredPost],
    basis: Basis = "stored",
) -> TrackRecord:
    """Return the track record of an account's posts and predictions, in any order.

    `learnable` are those of the posts that a calibration may learn from.
    """
    matches = matched(posts, predictions)
    taught = matches if len(learnable) == len(posts) else matched(learnable, predictions)
    n = len(matches)
    found = TrackRecord(
        basis=basis,
        supported=n >= FEWEST_MATCHES,
        note=f"{n} of {FEWEST_MATCHES} posts that came of a prediction and have an outcome: too few to judge.",
        n=n,
        near=sum(match.similarity < 1.0 for match in matches),
        posts=len(posts),
        predictions=len(predictions),
        calibration=personal(taught)[1],
        matches=tuple(_shown(match) for match in reversed(matches[-SHOWN:])),
    )
    if found.supported:
        found = _with_figures(found, matches)
    return replace(found, note=f"{BACKTEST} {found.note}") if basis == "backtest" else found


def verdict_of(rho: float, interval: tuple[float, float]) -> Verdict:
    """Call a rank correlation: what its interval does not keep clear of 0, or predictive of WEAK, is called less."""
    low, high = interval
    if rho >= PREDICTIVE and low >= WEAK:
        return "predictive"
    if rho >= WEAK and low > 0.0:
        return "weak"
    return "inverted" if rho <= -WEAK and high < 0.0 else "none"


def spearman(scores: Floats, outcomes: Floats) -> tuple[float, tuple[float, float]] | None:
    """Return Spearman's rho with its 95 % interval; None where either never changes.

    Bonett and Wright (2000), Psychometrika 65, 23-28: tanh(artanh rho -+ z sqrt((1 + rho^2 / 2) / (n - 3))).
    """
    if np.ptp(scores) == 0 or np.ptp(outcomes) == 0:
        return None
    rho = float(spearmanr(scores, outcomes).statistic)
    center = math.atanh(min(max(rho, -0.9999), 0.9999))
    error = float(norm.ppf(1 - ALPHA / 2)) * math.sqrt((1 + rho**2 / 2) / (len(scores) - 3))
    return rho, (math.tanh(center - error), math.tanh(center + error))


def wilson(successes: int, n: int) -> tuple[float, float]:
    """The 95 % Wilson interval of a share of n > 0, rounded."""
    low, high = proportion_confint(successes, n, alpha=ALPHA, method="wilson")
    return round(float(low), 4), round(float(high), 4)


def reliability(chances: Floats, beats: Floats) -> tuple[Bin, ...]:
    """Return bins of as many posts each as can be, by ascending chance; both arguments (n,)."""
    order = np.argsort(chances, kind="stable")
    bins = []
    for part in np.array_split(order, _n_bins(len(chances))):
        p, came = chances[part], int(beats[part].sum())
        bins.append(
            Bin(
                low=float(p.min()),
                high=float(p.max()),
                n=len(part),
                predicted=round(float(p.mean()), 4),
                observed=round(came / len(part), 4),
                interval=wilson(came, len(part)),
            )
        )
    return tuple(bins)


def calibration_error(chances: Floats, beats: Floats) -> Floats:
    """Return the expected calibration error over the bins of `reliability`: chances (n,), beats (..., n) -> (...)."""
    order = np.argsort(chances, kind="stable")
    gaps = chances[order] - beats[..., order]
    parts = np.array_split(gaps, _n_bins(len(chances)), axis=-1)
    error: Floats = np.sum([np.abs(part.sum(-1)) for part in parts], axis=0) / len(chances)
    return error


def _n_bins(n: int) -> int:
    return min(max(n // POSTS_A_BIN, 1), MOST_BINS)


def _with_figures(found: TrackRecord, matches: Sequence[Match]) -> TrackRecord:
    said = [match.prediction for match in matches]
    scores = np.array([prediction.viral_score for prediction in said], np.float64)
    chances = np.array([prediction.p_beats_median for prediction in said], np.float64)
    outcomes = np.array([match.outcome for match in matches], np.float64)
    beats = np.array([match.beats for match in matches], np.float64)
    related = spearman(scores, outcomes)
    verdict = None if related is None else verdict_of(*related)
    base_rate = float(beats.mean())
    by_chance = (np.random.default_rng(SEED).random((DRAWS, len(chances))) < chances).astype(np.float64)
    held = [
        match.prediction.low <= match.outcome <= match.prediction.high
        for match in matches
        if match.prediction.low is not None and match.prediction.high is not None
    ]
    figures = {
        "note": " ".join([_note(verdict, related), *_leaning(float(chances.mean()), base_rate)]),
        "verdict": verdict,
        "spearman": None if related is None else round(related[0], 4),
        "spearman_interval": None if related is None else (round(related[1][0], 4), round(related[1][1], 4)),
        "base_rate": round(base_rate, 4),
        "brier": round(float(((chances - beats) ** 2).mean()), 4),
        "brier_of_base_rate": round(base_rate * (1.0 - base_rate), 4),
        "bins": reliability(chances, beats),
        "calibration_error": round(float(calibration_error(chances, beats)), 4),
        "calibration_error_by_chance": round(float(calibration_error(chances, by_chance).mean()), 4),
        "coverage": round(sum(held) / len(held), 4) if held else None,
        "coverage_interval": wilson(sum(held), len(held)) if held else None,
        "coverage_n": len(held),
    }
    return TrackRecord(**{**vars(found), **figures})


def _leaning(chance: float, base_rate: float) -> list[str]:
    """Say that chances were too high or too low on the whole, where they were by more than five points of a hundred."""
    if abs(chance - base_rate) <= LEANING:
        return []
    said = f"{chance:.0%} on average, {base_rate:.0%} did"
    return [f"The chances were too {'high' if chance > base_rate else 'low'}: {said}."]


def _note(verdict: Verdict | None, related: tuple[float, tuple[float, float]] | None) -> str:
    if verdict is None or related is None:
        return "Every score, or every outcome, was the same: nothing can be told."
    rho, (low, high) = related
    told = {
        "predictive": "The scores tell which of your posts do better.",
        "weak": "The scores tell a little of which posts do better: trust a test more.",
        "none": "Nothing shows yet that the scores tell which of your posts do better.",
        "inverted": "Posts with higher scores did worse: do not go by the scores here.",
    }[verdict]
    return f"{told} Rank correlation {rho:.2f}, 95 % interval {low:.2f} to {high:.2f}."


def _shown(match: Match) -> ShownMatch:
    post, said = match.post, match.prediction
    return ShownMatch(
        post_id=post.post_id,
        posted_at=post.posted_at,
        post_text=_shortened(post.text or ""),
        predicted_at=said.at,
        predicted_text=_shortened(said.text),
        similarity=match.similarity,
        viral_score=said.viral_score,
        p_beats_median=said.p_beats_median,
        interval=None if said.low is None or said.high is None else (said.low, said.high),
        outcome=match.outcome,
        beats_median=match.beats,
        engagement=post.engagement or 0,
    )


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1].rstrip() + "\u2026"
