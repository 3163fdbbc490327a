"""Thompson sampling with its floor against an even split: engagements lost to not showing the best variant."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit

from pipelines.experiments.arms import Arm
from pipelines.experiments.bandit import allocation
from tests.simulations.figures import Figure, mean

BATCHES, BATCH, SPREAD = 40, 500, 0.27


def regret(rng: np.random.Generator, scale: float) -> list[Figure]:
    """20,000 units at a rate of about 2 %; log odds of variants spread as in the Upworthy archive."""
    figures = []
    for k in (3, 5):
        lost = np.array([_one_run(rng, k) for _ in range(max(round(500 * scale), 30))])
        even = lost[:, 1].mean()
        figures += [
            mean(
                f"{k} arms: share of runs with less regret than an even split", lost[:, 0] < lost[:, 1], 0.8, None, 0.1
            ),
            mean(f"{k} arms: regret as a share of an even split's", lost[:, 0] / even, None, 0.8, 0.1),
        ]
    return figures


def _one_run(rng: np.random.Generator, k: int) -> tuple[float, float]:
    """Return the expected engagements lost by the bandit and by an even split."""
    rates = expit(logit(0.02) + rng.normal(0, SPREAD, k))
    n, total = np.zeros(k, int), np.zeros(k, int)
    for _ in range(BATCHES):
        weights = np.array(allocation([Arm(*arm) for arm in zip(n.tolist(), total.tolist(), strict=True)]))
        units = rng.multinomial(BATCH, weights / weights.sum())
        n, total = n + units, total + rng.binomial(units, rates)
    gaps = rates.max() - rates
    return float(n @ gaps), float(BATCHES * BATCH * gaps.mean())
