"""Against the winner's curse: what is left of a lift once it is known that most true lifts are small.

A variant is called a winner because it looked large; the mean of its posterior, with the spread of true effects as the
prior, is not biased by that choice (Efron 2011, "Tweedie's formula and selection bias").
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import expit, logit
from scipy.stats import norm

from pipelines.experiments.arms import Arm

# The standard deviation of true log odds among the headlines of one test, Upworthy Research Archive (CC BY 4.0), times
# that of a difference of two.
UPWORTHY_PRIOR_SD: Final = math.sqrt(2) * 0.27
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(40)


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The normal posterior of a log odds ratio, variant against control: its mean and standard deviation."""

    estimate: float
    sd: float


@dataclass(frozen=True, slots=True)
class ShrunkLift:
    """The posterior mean of a relative lift (0.1 is 10 % more) and its central credible interval."""

    estimate: float
    low: float
    high: float


def shrunk_log_odds(
    control: Arm, variant: Arm, prior_sd: float = UPWORTHY_PRIOR_SD, design_effect: float = 1.0
) -> Shrunk | None:
    """Return the posterior of the log odds ratio under a Normal(0, prior_sd^2) prior; Gelman et al. 2013, eq 2.10.

    The likelihood is normal, with half a unit added to each cell so that none is empty (Haldane 1956; Anscombe 1956),
    and its variance is multiplied by the design effect. With some 40 engaged an arm the mean is a hundredth too low.
    None without units of either arm.

    Raises:
        ValueError: arms of another outcome than 0 or 1, a prior_sd not above 0, or a design effect below 1.
    """
    if control.squares is not None or variant.squares is not None:
        raise ValueError("log odds need counts of units engaged")
    if not prior_sd > 0 or not design_effect >= 1:
        raise ValueError("prior_sd must be above 0 and the design effect at least 1")
    if not control.n or not variant.n:
        return None
    cells = [count + 0.5 for arm in (variant, control) for count in (arm.total, arm.n - arm.total)]
    observed = math.log(cells[0] / cells[1]) - math.log(cells[2] / cells[3])
    variance = design_effect * sum(1 / cell for cell in cells)
    kept = prior_sd**2 / (prior_sd**2 + variance)
    return Shrunk(kept * observed, math.sqrt(kept * variance))


def shrunk_relative_lift(
    control: Arm,
    variant: Arm,
    prior_sd: float = UPWORTHY_PRIOR_SD,
    design_effect: float = 1.0,
    alpha: float = 0.05,
) -> ShrunkLift | None:
    """Return what `shrunk_log_odds` says as a relative lift of the rate, above -1.

    The posterior is carried over at control's observed rate (half a unit added), which matters little below a rate of
    about 10 %; the mean is a 40-point Gauss-Hermite sum. Arguments, None and errors are those of `shrunk_log_odds`.
    """
    found = shrunk_log_odds(control, variant, prior_sd, design_effect)
    if found is None:
        return None
    base = (control.total + 0.5) / (control.n + 1)
    edge = float(norm.isf(alpha / 2))
    log_odds = found.estimate + found.sd * np.append(_NODES, [-edge, edge])
    lifts = expit(logit(base) + log_odds) / base - 1
    return ShrunkLift(float(lifts[:-2] @ _WEIGHTS / _WEIGHTS.sum()), float(lifts[-2]), float(lifts[-1]))
