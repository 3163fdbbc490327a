"""What the scores have meant for one account: corrections learned from its own outcomes, where they help.

Two maps of two numbers each: the logit of the chance (Platt 1999) and the score, both shrunk to what all accounts get.
They never turn an order round: where a score said the contrary of what came, the map becomes flat.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from pipelines.outcomes.matching import Match
from pipelines.results import Prediction, Uncalibrated
from pipelines.viral_predictor.features import Floats

# Half of them fit, half of them judge.
FEWEST_MATCHES: Final = 50
# Standard deviations of what is expected of an account: shift and slope of the logit; shift in points, slope of the
# score. A shift of half a logit is 12 points of chance.
CHANCE_PRIOR: Final = (0.5, 0.5)
SCORE_PRIOR: Final = (10.0, 0.5)
# Of a percentile about its expectation at most: that of a uniform distribution.
NOISE: Final = 100.0 / math.sqrt(12.0)
# One-sided 5 %: 1.64 standard errors.
BEYOND_NOISE: Final = 1.6449


@dataclass(frozen=True, slots=True)
class Maps:
    """logit P becomes chance[0] + chance[1] * logit P, the score 50 + score[0] + score[1] * (score - 50)."""

    chance: tuple[float, float]
    score: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Calibration:
    """The maps of an account for one version of the model, and how many outcomes taught them."""

    maps: Maps
    version: str | None
    n: int


@dataclass(frozen=True, kw_only=True)
class Judged:
    """How a calibration fitted on the earlier half of `n` outcomes did on the later half, and whether it is `used`.

    The Brier score is the mean square of P minus what came: best 0, 0.25 for always one half. `gain` is without minus
    with, `gain_interval` its 90 % interval: the lower end above 0 is what it takes. `score_error` is the root of the
    mean square of score minus percentile, in points, and must not grow. None where there are too few.
    """

    used: bool
    n: int
    note: str
    brier_without: float | None = None
    brier_with: float | None = None
    gain: float | None = None
    gain_interval: tuple[float, float] | None = None
    score_error_without: float | None = None
    score_error_with: float | None = None


def personal(matches: Sequence[Match]) -> tuple[Calibration | None, Judged]:
    """Return the calibration of an account, None where it is not surely better, and how it was judged.

    `matches` in order of time; only those of the newest version of the model that is among them count. The map that is
    used is fitted on all of them.
    """
    version = matches[-1].prediction.version if matches else None
    matches = [match for match in matches if match.prediction.version == version]
    n = len(matches)
    if n < FEWEST_MATCHES:
        return None, Judged(used=False, n=n, note=f"{n} of {FEWEST_MATCHES} outcomes of this version of the model.")
    chances, scores, beats, outcomes = columns(matches)
    half = n // 2
    maps = fit(chances[:half], scores[:half], beats[:half], outcomes[:half])
    p, score, came, outcome = chances[half:], scores[half:], beats[half:], outcomes[half:]
    without, with_it = (p - came) ** 2, (map_chance(p, maps) - came) ** 2
    gained = without - with_it
    error = BEYOND_NOISE * float(gained.std(ddof=1)) / math.sqrt(len(gained))
    gain = float(gained.mean())
    errors = [float(np.sqrt(((s - outcome) ** 2).mean())) for s in (score, map_score(score, maps))]
    used = gain - error > 0.0 and errors[1] <= errors[0]
    note = (
        "Better on the later half by more than noise: it is used."
        if used
        else "Not better on the later half by more than noise: scores stay as every account's are."
    )
    judged = Judged(
        used=used,
        n=n,
        note=note,
        brier_without=round(float(without.mean()), 4),
        brier_with=round(float(with_it.mean()), 4),
        gain=round(gain, 4),
        gain_interval=(round(gain - error, 4), round(gain + error, 4)),
        score_error_without=round(errors[0], 2),
        score_error_with=round(errors[1], 2),
    )
    return (Calibration(fit(chances, scores, beats, outcomes), version, n) if used else None), judged


def columns(matches: Sequence[Match]) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the model's own chance and score, whether the median was beaten (0 or 1) and the percentile in points."""
    table = [
        (match.prediction.model_chance, match.prediction.model_score, match.beats, match.outcome) for match in matches
    ]
    chances, scores, beats, outcomes = np.array(table, np.float64).reshape(-1, 4).T
    return chances, scores, beats, outcomes


def fit(chances: Floats, scores: Floats, beats: Floats, outcomes: Floats) -> Maps:
    """Return the most probable maps, all arguments (n,): the fewer outcomes, the nearer to no change."""
    logits = logit(np.clip(chances, 0.001, 0.999))

    def unlikely(change: Floats) -> float:
        at = change[0] + change[1] * logits
        prior = (change[0] / CHANCE_PRIOR[0]) ** 2 + ((change[1] - 1.0) / CHANCE_PRIOR[1]) ** 2
        return float((np.logaddexp(0.0, at) - beats * at).sum() + prior / 2.0)

    found = minimize(unlikely, np.array([0.0, 1.0]), method="L-BFGS-B", bounds=[(None, None), (0.0, None)]).x
    # The same for the score, where it is a ridge regression of what the score missed.
    at = np.column_stack([np.ones(len(scores)), scores - 50.0])
    missed = outcomes - scores
    precision = at.T @ at / NOISE**2 + np.diag(1.0 / np.square(SCORE_PRIOR))
    shift, slope = np.linalg.solve(precision, at.T @ missed / NOISE**2)
    if slope < -1.0:
        slope = -1.0
        shift = ((missed - slope * at[:, 1]).sum() / NOISE**2) / precision[0, 0]
    return Maps((float(found[0]), float(found[1])), (float(shift), float(1.0 + slope)))


def map_chance(chances: Floats, maps: Maps) -> Floats:
    """Return calibrated chances of any shape, in (0, 1)."""
    mapped: Floats = expit(maps.chance[0] + maps.chance[1] * logit(np.clip(chances, 0.001, 0.999)))
    return mapped


def map_score(scores: Floats, maps: Maps) -> Floats:
    """Return calibrated scores of any shape, in [0, 100]."""
    mapped: Floats = np.clip(50.0 + maps.score[0] + maps.score[1] * (scores - 50.0), 0.0, 100.0)
    return mapped


def calibrated(prediction: Prediction, calibration: Calibration | None) -> Prediction:
    """Return a prediction as the account's own outcomes correct it; one without a score stays as it is.

    The points that the score moves by are the contribution `calibration`, so that the sum stays the score. The range
    moves with the score; its width was not learned. What the model said is kept as `uncalibrated`.
    """
    said, chance, interval = prediction.viral_score, prediction.p_beats_median, prediction.interval
    if calibration is None or said is None or chance is None or interval is None:
        return prediction
    score = round(float(map_score(np.array(said), calibration.maps)), 1)
    moved = round(score - said, 1)
    low, high = math.floor(interval[0] + moved), math.ceil(interval[1] + moved)
    return replace(
        prediction,
        viral_score=score,
        p_beats_median=round(float(map_chance(np.array(chance), calibration.maps)), 3),
        interval=(float(min(max(low, 0), math.floor(score))), float(max(min(high, 100), math.ceil(score)))),
        contributions={**prediction.contributions, "calibration": moved},
        evidence=replace(prediction.evidence, outcomes=calibration.n),
        uncalibrated=Uncalibrated(said, chance, interval),
    )
