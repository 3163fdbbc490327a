"""What a score means: the chance of beating the median, and the range that holds 80 % of the outcomes.

It sees predictions of models that never saw the author, as a new user's are; it knows no text.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from pipelines.viral_predictor.features import Floats

MISSED = 0.2
# Archives drift within a month or two: what covers this share of the left-out authors covers 80 % later.
COVERED = 0.81
# Width in points over which the pinball loss bends.
BEND = 1.0
# The percentile alone would give `recent` a factor of about 1, pairs 0: a post that did well lifts the record of the
# next, so that two posts of a month compare the worse for it. Up to this factor pairs of left-out authors lose nothing.
RECENT = 0.3


@dataclass(frozen=True)
class Crossed:
    """Predictions for posts of authors that the fit left out, all (posts, ...) but `apart`.

    alone: score of wording and time; author (len(AUTHOR)): raw terms; evidence (4): what the record says; outcome:
    percentile in points among the record; beats: above its median. apart (pairs, 1 + len(AUTHOR)): alone and author of
    the better of two posts less those of the other.
    """

    alone: Floats
    author: Floats
    evidence: Floats
    outcome: Floats
    beats: NDArray[np.bool_]
    apart: Floats


def author_gain(apart: Floats) -> Floats:
    """Return the factor of each author term (len(AUTHOR),): RECENT, and what tells pairs of posts apart best."""
    known = np.column_stack([apart[:, 0] + RECENT * apart[:, 1], apart[:, 2:]]) / 10.0
    better = np.r_[np.ones(len(known)), np.zeros(len(known))]
    solved = LogisticRegression(fit_intercept=False).fit(np.vstack([known, -known]), better).coef_[0]
    return np.array([RECENT, *np.maximum(solved[1:] / solved[0], 0.0)], np.float64)


def calibrate(crossed: Crossed, gain: Floats) -> Floats:
    """Return `calibration` of Weights (2, 3, 6)."""
    calibration = np.zeros((2, 3, 2 + crossed.evidence.shape[1]))
    ones = np.ones(len(crossed.alone))
    for row, score in enumerate((crossed.alone, crossed.alone + crossed.author @ gain)):
        known = np.column_stack([ones, (np.clip(score, 0.0, 100.0) - 50.0) / 10.0])
        if row:
            known = np.column_stack([known, crossed.evidence])
        logistic = LogisticRegression(C=1e4, fit_intercept=False, max_iter=1000).fit(known, crossed.beats)
        bounds = [quantile(known, crossed.outcome, q) for q in (MISSED / 2, 1 - MISSED / 2)]
        low, high = (np.clip(known @ bound, 0.0, 100.0) for bound in bounds)
        # Conformalized quantile regression (Romano, Patterson, Candes 2019, eq. 7): one offset for both bounds.
        beyond = np.sort(np.maximum(low - crossed.outcome, crossed.outcome - high))
        offset = beyond[min(int(np.ceil(COVERED * (len(beyond) + 1))), len(beyond)) - 1]
        bounds[0][0] -= offset
        bounds[1][0] += offset
        calibration[row, :, : known.shape[1]] = [logistic.coef_[0], *bounds]
    return calibration


def quantile(known: Floats, outcome: Floats, q: float) -> Floats:
    """Return coefficients (columns,) of the linear `q` quantile of `outcome`; the first column of `known` is 1.

    Minimizes the pinball loss (Koenker, Bassett 1978) smoothed as in Zheng 2011 (doi 10.1007/s13042-011-0031-2).
    """
    mean, scale = known.mean(0), np.maximum(known.std(0), 1e-9)
    mean[0], scale[0] = 0.0, 1.0
    standard = (known - mean) / scale

    def loss(coefficients: Floats) -> tuple[float, Floats]:
        left = outcome - standard @ coefficients
        slope = q - 0.5 * (1.0 - np.tanh(left / (2.0 * BEND)))
        value = q * left + BEND * np.logaddexp(0.0, -left / BEND)
        return float(value.mean()), -standard.T @ slope / len(outcome)

    start = np.zeros(known.shape[1])
    start[0] = np.quantile(outcome, q)
    solved = minimize(loss, start, jac=True, method="L-BFGS-B").x / scale
    solved[0] -= (solved * mean)[1:].sum()
    return np.asarray(solved, np.float64)
