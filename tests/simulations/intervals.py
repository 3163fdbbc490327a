"""Experiments of a fixed length: coverage of the intervals, plain and guarded, and the winner's curse."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import expit, logit
from scipy.stats import norm
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from pipelines.experiments.arms import Arm, log_relative, newcombe, wilson
from pipelines.experiments.bayes import UPWORTHY_PRIOR_SD, shrunk_relative_lift
from pipelines.experiments.dispersion import dispersion_of_days, effective, intraclass_correlation
from tests.simulations.figures import Figure, agree, mean
from tests.simulations.looks import scores

ALPHA, ROWS = 0.05, 50


def coverage(rng: np.random.Generator, scale: float) -> list[Figure]:
    """How often the intervals hold the truth: rates .5 to 30 %, lifts of a third about 0, arms of 2,000 to 50,000."""
    runs = round(40_000 * scale)
    rate = np.exp(rng.uniform(math.log(0.005), math.log(0.3), runs))
    other = expit(logit(rate) + rng.normal(0, 0.3, runs))
    n, m = (np.exp(rng.uniform(math.log(2000), math.log(50_000), runs)).astype(int) for _ in range(2))
    x, y = rng.binomial(n, rate), rng.binomial(m, other)
    arms = [(Arm(int(a), int(b)), Arm(int(c), int(d))) for a, b, c, d in zip(n[:ROWS], x, m, y, strict=False)]
    single = proportion_confint(x, n, alpha=ALPHA, method="wilson")
    absolute = confint_proportions_2indep(y, m, x, n, method="newcomb", compare="diff", alpha=ALPHA)
    some = (x > 0) & (y > 0)
    ratio = confint_proportions_2indep(y[some], m[some], x[some], n[some], method="log", compare="ratio", alpha=ALPHA)
    for side in (0, 1):
        agree(single[side], [wilson(control, ALPHA)[side] for control, _ in arms])
        agree(absolute[side], [newcombe(*pair, ALPHA)[side] for pair in arms])
        known = [found[side] for pair in arms if (found := log_relative(*pair, ALPHA))]
        agree(ratio[side] - 1, known)
    true = (other / rate)[some]
    return [
        mean("Wilson, one rate", (single[0] <= rate) & (rate <= single[1]), 0.94, 0.96),
        mean("Newcombe, difference", (absolute[0] <= other - rate) & (other - rate <= absolute[1]), 0.94, 0.96),
        mean("log-relative, lift", (ratio[0] <= true) & (true <= ratio[1]), 0.94, 0.96),
    ]


def guarded_days(rng: np.random.Generator, scale: float) -> list[Figure]:
    """Coverage of the difference where each day of each variant has a rate of its own (beta-binomial, shared days)."""
    figures = []
    for days, uneven, slack in ((7, 0.15, 0.01), (14, 0.15, 0.01), (28, 0.15, 0.01), (14, 0.5, 0.02)):
        runs, correlation = round(12_000 * scale), 0.002
        n = np.repeat(rng.lognormal(7.5, uneven, (runs, 1, days)).astype(int) + 50, 2, 1)
        common = 0.03 * np.exp(rng.normal(0, 0.3, (runs, 1, days)))
        spread = (1 - correlation) / correlation
        totals = rng.binomial(n, rng.beta(common * spread, (1 - common) * spread, (runs, 2, days)))
        held = np.empty((runs, 2))
        for run in range(runs):
            cells = [
                [Arm(*cell) for cell in zip(*row, strict=True)]
                for row in zip(n[run].tolist(), totals[run].tolist(), strict=True)
            ]
            arms = [Arm(math.fsum(a.n for a in row), math.fsum(a.total for a in row)) for row in cells]
            held[run] = [_holds_0(arms), _holds_0([effective(arm, dispersion_of_days(cells) or 1.0) for arm in arms])]
        name = f"{days} days that move variants apart, sizes spread by {uneven:.0%}"
        figures += [
            mean(f"{name}: Newcombe", held[:, 0]),
            mean(f"{name}: Newcombe, guarded", held[:, 1], 0.95 - slack, 0.95 + slack),
        ]
    return figures


def guarded_clusters(rng: np.random.Generator, scale: float) -> list[Figure]:
    """Coverage of the difference where units come in clusters of 5 to 50 with a correlation of .05."""
    runs, clusters = round(12_000 * scale), 200
    held = np.empty((runs, 2))
    for run in range(runs):
        sizes = rng.integers(5, 51, (2, clusters))
        totals = rng.binomial(sizes, rng.beta(1.9, 17.1, (2, clusters)))
        groups = [
            [Arm(*cell) for cell in zip(*row, strict=True)] for row in zip(sizes.tolist(), totals.tolist(), strict=True)
        ]
        arms = [Arm(int(n), int(total)) for n, total in zip(sizes.sum(1), totals.sum(1), strict=True)]
        # Donner & Klar 2000, eq 6.3, with the mean size of a unit's own cluster (Kish 1965).
        guard = max(1.0, 1 + ((sizes**2).sum() / sizes.sum() - 1) * (intraclass_correlation(groups) or 0.0))
        held[run] = [_holds_0(arms), _holds_0([effective(arm, guard) for arm in arms])]
    return [
        mean("units in clusters: Newcombe", held[:, 0]),
        mean("units in clusters: Newcombe, guarded", held[:, 1], 0.94, 0.96),
    ]


def winners_curse(rng: np.random.Generator, scale: float) -> list[Figure]:
    """Lift less true lift among variants called better, true effects as in the Upworthy archive."""
    figures = []
    for n, slack in ((3000, 0.04), (10_000, 0.012), (30_000, 0.012)):
        runs = round(50_000 * scale)
        base = rng.beta(1.79, 137.7, runs).clip(0.004, 0.1)
        rates = base, expit(logit(base) + rng.normal(0, UPWORTHY_PRIOR_SD, runs))
        control, variant = rng.binomial(n, rates[0]), rng.binomial(n, rates[1])
        won = (scores(control, variant, n) > norm.isf(ALPHA / 2)) & (control > 0)
        pairs = zip(control[won].tolist(), variant[won].tolist(), strict=True)
        shrunk = [shrunk_relative_lift(Arm(n, x), Arm(n, y)).estimate for x, y in pairs]
        true = (rates[1] / rates[0] - 1)[won]
        figures += [
            mean(f"{n:,} units an arm: true lift of winners", true),
            mean(f"{n:,} units an arm: bias of the raw lift of winners", variant[won] / control[won] - 1 - true),
            mean(f"{n:,} units an arm: bias of the shrunk lift of winners", np.array(shrunk) - true, -slack, slack),
        ]
    return figures


def _holds_0(arms: list[Arm]) -> bool:
    """Return whether Newcombe's interval holds no difference, which is the truth here."""
    found = newcombe(*arms, ALPHA)
    return found is not None and found[0] <= 0 <= found[1]
