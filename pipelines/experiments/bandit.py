"""Thompson sampling with a floor: which share of the next units each variant should get.

What remains valid of the inference while shares adapt: Bayesian posteriors do (the likelihood does not depend on how
units were assigned). Naive means are biased, mostly downward (Nie et al. 2018, arXiv:1708.02283), and so are tests and
intervals made of them; always-valid p-values of naive counts are not given either, as they would have to weigh each
unit by its own probability of assignment. Shares that were meant to change make a sample ratio test against fixed
weights meaningless.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from pipelines.experiments.arms import Arm

WARM_UP_UNITS: Final = 100
FLOOR: Final = 0.05
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
# Standard deviations from each mean where the integrand bends.
_BREAKS = np.array([-12.0, -6.0, -3.0, -1.5, 0.0, 1.5, 3.0, 6.0, 12.0])


def allocation(arms: Sequence[Arm], floor: float = FLOOR, warm_up: float = WARM_UP_UNITS) -> tuple[float, ...]:
    """Return the weights of the next units, (arms,) that sum to 1, each at least `floor`.

    floor + (1 - k floor) P(best): Thompson 1933 in expectation, with the floor that keeps every arm measurable. Equal
    weights until each arm has `warm_up` units.

    Raises:
        ValueError: no arms, arms of another outcome than 0 or 1, a floor below 0, or floors that sum to more than 1.
    """
    if not arms or not 0 <= floor <= (1 + 1e-12) / len(arms):
        raise ValueError("the floors of all arms must sum to at most 1")
    best = _chance_to_be_best(arms)
    if min(arm.n for arm in arms) < warm_up:
        return (1 / len(arms),) * len(arms)
    free = max(0.0, 1 - len(arms) * floor)
    return tuple((floor + free * best).tolist())


def _chance_to_be_best(arms: Sequence[Arm]) -> NDArray[np.float64]:
    """Return the posterior probability of each arm to have the highest rate, (arms,) that sum to 1; Beta(1, 1) priors.

    The integral of f_i times the product of the other F_j (Chapelle & Li 2011, section 2), by Gauss-Legendre sums
    between points that follow the means of all arms.
    """
    if any(arm.squares is not None for arm in arms):
        raise ValueError("a bandit needs counts of units engaged")
    posterior = beta(np.array([[1 + arm.total] for arm in arms]), np.array([[1 + arm.n - arm.total] for arm in arms]))
    points = np.unique(np.clip(posterior.mean() + posterior.std() * _BREAKS, 0, 1))
    points = np.unique(np.concatenate([[0.0], points, [1.0]]))
    half = np.diff(points)[:, None] / 2
    x = (points[:-1, None] + half + half * _NODES).ravel()
    # Below the smallest cdf another arm is almost surely better; its logarithm must still be finite.
    below = np.log(np.maximum(posterior.cdf(x), 1e-300))
    density = np.exp(posterior.logpdf(x) + below.sum(0) - below)
    best: NDArray[np.float64] = density @ (half * _WEIGHTS).ravel()
    return best / best.sum()
