"""How sure are we? Posterior chances and expected losses, from a flat prior.

Rates (units engaged, `squares` None) have a uniform prior, so the posterior of an arm is Beta(1 + engaged, 1 + not
engaged), of an empty one uniform. The integrals of two posteriors have closed forms (Evan Miller, Formulas for Bayesian
A/B testing, 2015, for the chance; Chris Stucchio, blog/2014/bayesian_ab_decision_rule, for the loss), but sums of
`betaln` lose 4e-8 at ten million units and the loss is a difference of two nearly equal sums. Quadrature keeps 1e-9 of
every chance and takes fractions of units too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincc, betainccinv, betaincinv, ndtr
from scipy.stats import beta, norm

from pipelines.experiments.arms import Arm
from pipelines.experiments.significance import difference

Floats = NDArray[np.float64]

# Tail probabilities of each posterior between which the integrands are smooth; what is beyond them counts for nothing.
_TAILS = np.array([1e-15, 1e-12, 1e-9, 1e-7, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 0.3, 0.5])
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(10)


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
    return [min(1.0, float(width @ (density[i] * np.delete(below, i, axis=0).prod(axis=0)))) for i in range(len(arms))]


def expected_loss(control: Arm, variant: Arm) -> tuple[float, float]:
    """What the choice costs on average where it is wrong, as an absolute rate in [0, 1].

    First of choosing the variant, E max(0, p_control - p_variant), then of keeping control, E max(0, p_variant -
    p_control) (Stucchio, 2014). Each is the integral of P(one < x) P(other > x).
    """
    at, width, (a, b) = _grid([control, variant])
    below, above = betainc(a, b, at), betaincc(a, b, at)
    return float(width @ (below[1] * above[0])), float(width @ (below[0] * above[1]))


def gaussian_chance(control: Arm, variant: Arm, alpha: float = 0.05) -> tuple[float, float, float] | None:
    """The posterior probability that the relative lift is positive, and the 1 - `alpha` interval of that lift.

    The posterior is normal around the estimate (delta method, flat prior); rates or any outcome. None where
    `difference` is. Of rates with few units engaged `chance_to_beat` is the better figure.
    """
    found = difference(control, variant, relative=True)
    if found is None:
        return None
    estimate, error = found
    width = float(norm.isf(alpha / 2)) * error
    return float(ndtr(estimate / error)), estimate - width, estimate + width


def _grid(arms: Sequence[Arm]) -> tuple[Floats, Floats, tuple[Floats, Floats]]:
    """Gauss-Legendre nodes and weights, each (m,), over all posteriors, and their parameters, each (k, 1)."""
    a = np.array([[1 + arm.total] for arm in arms])
    b = np.array([[1 + arm.n - arm.total] for arm in arms])
    edges = np.unique(np.concatenate([betaincinv(a, b, _TAILS), betainccinv(a, b, _TAILS)], axis=None))
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half + half * _NODES).ravel(), (half * _WEIGHTS).ravel(), (a, b)
