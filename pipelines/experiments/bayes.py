"""How sure are we, and what is to be expected? Posterior chances, losses, a bandit's shares, and shrunken lifts.

Chances and losses are from a flat prior: the posterior of an arm is Beta(1 + engaged, 1 + not engaged), of an empty one
uniform. The integrals of two posteriors have closed forms (Evan Miller, Formulas for Bayesian A/B testing, 2015, for
the chance; Chris Stucchio, blog/2014/bayesian_ab_decision_rule, for the loss), but sums of `betaln` lose 4e-8 at ten
million units and the loss is a difference of two nearly equal sums. Quadrature keeps 1e-9 of every chance and takes
fractions of units too.

A lift is shrunk by a prior that knows that most true lifts are small. A variant is called a winner because it looked
large; the mean of its posterior, with the spread of true effects as the prior, is not biased by that choice (Efron
2011, "Tweedie's formula and selection bias").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincc, betainccinv, betaincinv, expit, logit
from scipy.stats import beta, norm

from pipelines.experiments.arms import Arm

Floats = NDArray[np.float64]

WARM_UP_UNITS: Final = 100
FLOOR: Final = 0.05
# The standard deviation of true log odds among the headlines of one test, Upworthy Research Archive (CC BY 4.0), times
# that of a difference of two.
UPWORTHY_PRIOR_SD: Final = math.sqrt(2) * 0.27
# Tail probabilities of each posterior between which the integrands are smooth; what is beyond them counts for nothing.
_TAILS = np.array([1e-15, 1e-12, 1e-9, 1e-7, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 0.3, 0.5])
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(10)
_HERMITE_NODES, _HERMITE_WEIGHTS = np.polynomial.hermite_e.hermegauss(40)


def chance_to_beat(control: Arm, variant: Arm) -> float:
    """The posterior probability, in [0, 1], that the variant's rate is above control's (Miller, 2015)."""
    return chance_to_be_best([control, variant])[1]


def chance_to_be_best(arms: Sequence[Arm]) -> list[float]:
    """For each arm the posterior probability that its rate is the highest, in [0, 1]; they sum to 1.

    The integral of its density times the distribution functions of the others: Scott (2010), A modern Bayesian look at
    the multi-armed bandit, Applied Stochastic Models in Business and Industry 26, 639-658.
    """
    if not arms:
        return []
    at, width, (a, b) = _grid(arms)
    density, below = beta.pdf(at, a, b), betainc(a, b, at)
    chances = [float(width @ (density[i] * np.delete(below, i, axis=0).prod(axis=0))) for i in range(len(arms))]
    # One of them is the best: what the sum misses of 1 is the error of the integral.
    total = math.fsum(chances)
    return [min(1.0, chance / total) for chance in chances]


def expected_loss(control: Arm, variant: Arm) -> tuple[float, float]:
    """What the choice costs on average where it is wrong, as an absolute rate in [0, 1].

    First of choosing the variant, E max(0, p_control - p_variant), then of keeping control, E max(0, p_variant -
    p_control) (Stucchio, 2014). Each is the integral of P(one < x) P(other > x).
    """
    at, width, (a, b) = _grid([control, variant])
    below, above = betainc(a, b, at), betaincc(a, b, at)
    return float(width @ (below[1] * above[0])), float(width @ (below[0] * above[1]))


def allocation(arms: Sequence[Arm], floor: float = FLOOR, warm_up: float = WARM_UP_UNITS) -> tuple[float, ...]:
    """Return the weights of the next units, (arms,) that sum to 1, each at least `floor`.

    floor + (1 - k floor) P(best): Thompson 1933 in expectation, with the floor that keeps every arm measurable. Equal
    weights until each arm has `warm_up` units. While shares adapt, posteriors stay valid, as the likelihood does not
    depend on how units were assigned; naive means are biased, mostly downward (Nie et al. 2018, arXiv:1708.02283), and
    so are tests made of them.

    Raises:
        ValueError: no arms, a floor below 0, or floors that sum to more than 1.
    """
    if not arms or not 0 <= floor <= (1 + 1e-12) / len(arms):
        raise ValueError("the floors of all arms must sum to at most 1")
    if min(arm.n for arm in arms) < warm_up:
        return (1 / len(arms),) * len(arms)
    free = max(0.0, 1 - len(arms) * floor)
    return tuple(floor + free * best for best in chance_to_be_best(arms))


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
        ValueError: a prior_sd not above 0, or a design effect below 1.
    """
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
    log_odds = found.estimate + found.sd * np.append(_HERMITE_NODES, [-edge, edge])
    lifts = expit(logit(base) + log_odds) / base - 1
    return ShrunkLift(float(lifts[:-2] @ _HERMITE_WEIGHTS / _HERMITE_WEIGHTS.sum()), float(lifts[-2]), float(lifts[-1]))


def _grid(arms: Sequence[Arm]) -> tuple[Floats, Floats, tuple[Floats, Floats]]:
    """Gauss-Legendre nodes and weights, each (m,), over all posteriors, and their parameters, each (k, 1)."""
    a = np.array([[1 + arm.total] for arm in arms])
    b = np.array([[1 + arm.n - arm.total] for arm in arms])
    edges = np.unique(np.concatenate([betaincinv(a, b, _TAILS), betainccinv(a, b, _TAILS)], axis=None))
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half + half * _NODES).ravel(), (half * _WEIGHTS).ravel(), (a, b)
