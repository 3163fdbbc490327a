"""Thompson sampling with its floor against an even split: engagements lost to not showing the best variant."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit

from pipelines.experiments.arms import Arm
from pipelines.experiments.bayes import WARM_UP_UNITS, allocation, chance_to_beat
from pipelines.experiments.sequential import adaptive_p
from pipelines.experiments.significance import holm
from tests.simulations.figures import Figure, mean

BATCHES, BATCH, SPREAD, ALPHA = 40, 500, 0.27, 0.05


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


def false_positives(rng: np.random.Generator, scale: float) -> list[Figure]:
    """Three variants alike, looked at after each of 20 reallocations: how often one is told apart from control."""
    called = np.array([_looks(rng) for _ in range(max(round(3000 * scale), 60))])
    return [
        mean("A/A bandit, any of 20 looks, Holm on the always-valid test of bandits", called[:, 0], None, 0.05, 0.01),
        mean("A/A bandit, any of 20 looks, a chance to beat control of 95 % or 5 %", called[:, 1], 0.15, None, 0.1),
    ]


def _looks(rng: np.random.Generator, k: int = 3, rate: float = 0.1, batch: int = 300) -> tuple[bool, bool]:
    """Whether the test called a variant at some look, and whether the posterior chances would have."""
    n, total = np.zeros(k, int), np.zeros(k, int)
    weights, called, sure = np.full(k, 1 / k), False, False
    for _ in range(20):
        units = rng.multinomial(batch, weights / weights.sum())
        n, total = n + units, total + rng.binomial(units, rate)
        arms = [Arm(*arm) for arm in zip(n.tolist(), total.tolist(), strict=True)]
        weights = np.array(allocation(arms))
        called |= min(holm([adaptive_p(arms[0], arm, ALPHA) for arm in arms[1:]])) <= ALPHA
        chances = [chance_to_beat(arms[0], arm) for arm in arms[1:]]
        sure |= min(arm.n for arm in arms) >= WARM_UP_UNITS and not all(ALPHA < c < 1 - ALPHA for c in chances)
    return bool(called), bool(sure)


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
