"""Experiments that are looked at twenty times: false positives, coverage and width of the always-valid tests."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr

from pipelines.experiments.arms import Arm
from pipelines.experiments.power import sample_size
from pipelines.experiments.sequential import (
    TUNED_TO,
    always_valid_lift,
    always_valid_score_test,
    boundary,
    half_width,
)
from pipelines.experiments.significance import holm, pooled_z, score_test
from tests.simulations.figures import Figure, agree, mean

ALPHA, LOOKS, RATE, PER_LOOK = 0.05, 20, 0.05, 1000
PLAN = 2 * LOOKS * PER_LOOK
UNITS = PER_LOOK * np.arange(1, LOOKS + 1)
ROWS = 20


def false_positives(rng: np.random.Generator, scale: float) -> list[Figure]:
    """A/A at 20 looks: how often any look calls a difference, always-valid, uncorrected, and with one look."""
    one, other = (counts(rng, round(100_000 * scale), RATE) for _ in range(2))
    z = scores(one, other, UNITS)
    called = np.abs(z) >= bounds()
    agree(z[:, 3], [pooled_z(Arm(4000, x), Arm(4000, y)) for x, y in zip(one[:ROWS, 3], other[:ROWS, 3], strict=True)])
    for look in (0, LOOKS - 1):
        n, rows = int(UNITS[look]), zip(one[:ROWS, look], other[:ROWS, look], strict=True)
        p_values = [always_valid_score_test(Arm(n, x), Arm(n, y), ALPHA, PLAN) for x, y in rows]
        agree(called[:, look].astype(float), [float(p <= ALPHA) for p in p_values])
    naive = 2 * ndtr(-np.abs(z)) <= ALPHA
    return [
        mean("A/A, any of 20 looks, always-valid", called.any(1), None, 0.05, 0.01),
        mean("A/A, any of 20 looks, uncorrected z", naive.any(1), 0.21, 0.27, 0.03),
        mean("A/A, the last look alone, score test", naive[:, -1], 0.04, 0.06),
    ]


def families(rng: np.random.Generator, scale: float) -> list[Figure]:
    """Five variants: how often Holm lets any of the true nulls through, all alike and with one true winner."""
    runs, figures = round(40_000 * scale), []
    for name, last in (("all five alike", RATE), ("one of five better", 1.3 * RATE)):
        arms = [counts(rng, runs, rate) for rate in (RATE,) * 4 + (last,)]
        nulls = 4 if last == RATE else 3
        z = np.stack([scores(arms[0], arm, UNITS) for arm in arms[1:]])
        fixed = 2 * ndtr(-np.abs(z[:, :, -1]))
        n = int(UNITS[-1])
        agree(
            fixed[0],
            [score_test(Arm(n, x), Arm(n, y)) for x, y in zip(arms[0][:ROWS, -1], arms[1][:ROWS, -1], strict=True)],
        )
        # Each look's p-values are adjusted; a family errs where any look calls any null.
        any_look = (_holm(always_valid(z))[:nulls] <= ALPHA).any((0, 2))
        last_look = (_holm(fixed)[:nulls] <= ALPHA).any(0)
        figures += [
            mean(f"{name}: family-wise error, Holm on always-valid, any of 20 looks", any_look, None, 0.055, 0.005),
            mean(f"{name}: family-wise error, Holm on the score test, one look", last_look, None, 0.055, 0.005),
        ]
    return figures


def sequences(rng: np.random.Generator, scale: float) -> list[Figure]:
    """How often the confidence sequence of the difference holds the truth at all of 20 looks."""
    figures = []
    for lift in (0.0, 0.2):
        true = RATE * lift
        one, other = (counts(rng, round(40_000 * scale), rate) for rate in (RATE, RATE + true))
        rates = one / UNITS, other / UNITS
        errors = np.sqrt(sum(rate * (1 - rate) for rate in rates) / UNITS)
        width = errors * bounds()
        agree(width[:, 3], [half_width(error, 8000, ALPHA, PLAN) for error in errors[:ROWS, 3].tolist()])
        held = (np.abs(rates[1] - rates[0] - true) <= width).all(1)
        logs = np.log(rates[1] / rates[0])
        log_width = np.sqrt(sum((1 - rate) / rate for rate in rates) / UNITS) * bounds()
        rows = zip(one[:ROWS, 3], other[:ROWS, 3], strict=True)
        ends = [always_valid_lift(Arm(4000, x), Arm(4000, y), ALPHA, PLAN) for x, y in rows]
        agree(log_width[:, 3], [math.log((1 + end[1]) / (1 + end[0])) / 2 for end in ends if end is not None])
        log_held = (np.abs(logs - np.log1p(lift)) <= log_width).all(1)
        figures += [
            mean(f"true lift {lift:.0%}: sequence holds the difference at all 20 looks", held, 0.94, None, 0.01),
            mean(f"true lift {lift:.0%}: sequence holds the relative lift at all 20 looks", log_held, 0.94, None, 0.01),
        ]
    return figures


def power(rng: np.random.Generator, scale: float) -> list[Figure]:
    """Whether the planned numbers of units have the planned power of 80 %."""
    runs, figures = round(40_000 * scale), []
    for rate, mde in ((0.05, 0.2), (0.01, 0.3), (0.3, -0.1)):
        name = f"rate {rate}, effect {mde:+.0%}"
        n = sample_size(rate, mde, ALPHA, 0.8)
        one, other = rng.binomial(n, rate, runs), rng.binomial(n, rate * (1 + mde), runs)
        p_values = 2 * ndtr(-np.abs(scores(one, other, n)))
        figures.append(mean(f"{name}: power of the fixed plan", p_values <= ALPHA, 0.78, 0.82))
        n = sample_size(rate, mde, ALPHA, 0.8, sequential=True)
        units = np.diff(np.linspace(0, n, LOOKS + 1).astype(int))
        one, other = (rng.binomial(units, r, (runs, LOOKS)).cumsum(1) for r in (rate, rate * (1 + mde)))
        z = np.abs(scores(one, other, units.cumsum()))
        edges = np.array([boundary(2 * each, ALPHA, 2 * n) for each in units.cumsum().tolist()])
        crossed = z >= edges
        figures += [
            mean(f"{name}: power of the sequential plan at its end", crossed[:, -1], 0.78, 0.82),
            mean(f"{name}: power of the sequential plan, any of 20 looks", crossed.any(1), 0.8, None, 0.02),
            mean(
                f"{name}: share of the sequential plan's units used until called",
                np.where(crossed.any(1), crossed.argmax(1) + 1, LOOKS) / LOOKS,
            ),
        ]
    return figures


def widths(rng: np.random.Generator, scale: float) -> list[Figure]:
    """Width of the sequence tuned to the plan, as a ratio to one tuned to 5000 units, gbstats' default."""
    return [
        Figure(
            f"plan of {plan:,} units, at {share:.0%}: width against tuning to {TUNED_TO:.0f}",
            boundary(plan * share, ALPHA, plan) / boundary(plan * share, ALPHA, TUNED_TO),
            0.0,
            1,
            high=1.0 if share == 1 else None,
        )
        for plan in (2000, 20_000, 200_000, 2_000_000)
        for share in (0.05, 0.25, 0.5, 1.0)
    ]


def counts(rng: np.random.Generator, runs: int, rate: float) -> np.ndarray:
    """Return the units engaged of one arm up to each look, (runs, looks)."""
    return rng.binomial(PER_LOOK, rate, (runs, LOOKS)).cumsum(1)


def scores(one: np.ndarray, other: np.ndarray, n: np.ndarray | int) -> np.ndarray:
    """Return `pooled_z` of arms of n units each."""
    pooled = (one + other) / (2 * n)
    return (other - one) / np.sqrt(np.maximum(2 * n * pooled * (1 - pooled), 1e-12))


def bounds() -> np.ndarray:
    """Return what abs(z) must reach at each look, (looks,)."""
    return np.array([boundary(2 * n, ALPHA, PLAN) for n in UNITS.tolist()])


def always_valid(z: np.ndarray) -> np.ndarray:
    """Return `always_valid_p` of z (..., looks)."""
    surprise = -2 * np.log(ALPHA)
    x = 2 * UNITS * (surprise + np.log1p(surprise)) / PLAN
    return np.exp(np.minimum(0, np.log1p(x) / 2 - z**2 * x / (2 * (x + 1))))


def _holm(p_values: np.ndarray) -> np.ndarray:
    """Return `holm` along the first axis."""
    order = p_values.argsort(0)
    factors = np.arange(len(p_values), 0, -1).reshape(-1, *(1,) * (p_values.ndim - 1))
    stepped = np.minimum(1, np.maximum.accumulate(np.take_along_axis(p_values, order, 0) * factors, 0))
    adjusted = np.empty_like(stepped)
    np.put_along_axis(adjusted, order, stepped, 0)
    flat, raw = adjusted.reshape(len(p_values), -1), p_values.reshape(len(p_values), -1)
    for run in range(min(ROWS, raw.shape[1])):
        agree(flat[:, run], holm(raw[:, run].tolist()))
    return adjusted
