"""How many units an experiment needs, what it can see, and how long that takes; two-sided tests of two rates.

A plan for `comparisons` tests that share one alpha divides it by their number (Bonferroni, safe for Holm too).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from scipy.optimize import brentq
from scipy.stats import norm

from pipelines.experiments.sequential import boundary

MAX_UNITS: Final = 10**12


def power_of(rate: float, mde: float, n: float, critical: float, *, ratio: float = 1.0) -> float:
    """Return the probability that abs(z) is at least `critical` with n units of control and n * ratio of the variant.

    `mde` is the absolute difference, rate + mde the variant's rate. z has the variance of no difference at the pooled
    rate, as the score test and G*Power's "z tests: two independent proportions" have it. Both tails count. Fleiss,
    Levin, Paik 2003, eq 4.14 (before solving for n).
    """
    other = rate + mde
    pooled = (rate + ratio * other) / (1 + ratio)
    null_error = math.sqrt(pooled * (1 - pooled) * (1 + 1 / ratio) / n)
    error = math.sqrt((rate * (1 - rate) + other * (1 - other) / ratio) / n)
    if not error:
        return float(abs(mde) >= critical * null_error)
    return float(norm.cdf((mde - critical * null_error) / error) + norm.cdf((-mde - critical * null_error) / error))


def sample_size(
    rate: float,
    mde: float,
    alpha: float,
    power: float,
    *,
    comparisons: int = 1,
    ratio: float = 1.0,
    sequential: bool = False,
) -> int:
    """Return the units of control that a test needs; the variant needs `ratio` times as many.

    `mde` is the smallest effect worth seeing, relative to `rate`, of either sign. A fixed test is read once, at the
    size that G*Power says; a sequential one reaches `power` at its planned end, to which its boundary is tuned, where
    that depends on alpha alone. What crosses earlier counts too in practice, so the power over all looks is above
    `power`.

    Raises:
        ValueError: a rate not in (0, 1), a variant's rate not in [0, 1], no effect, alpha or power not in (0, 1), power
            not above alpha, or more units than 10^12.
    """
    critical = _critical(alpha / comparisons, power, sequential=sequential)
    difference = _checked(rate, rate * mde)

    def shortfall(log_n: float) -> float:
        return power_of(rate, difference, math.exp(log_n), critical, ratio=ratio) - power

    if shortfall(math.log(MAX_UNITS)) < 0:
        raise ValueError("the effect is too small to be seen")
    if shortfall(0.0) >= 0:
        return 1
    n = math.exp(_root(shortfall, 0.0, math.log(MAX_UNITS)))
    # What a root is off by must not cost a unit.
    return max(math.ceil(n * (1 - 1e-12)), 1)


def minimum_detectable_effect(
    rate: float,
    n_per_arm: float,
    alpha: float,
    power: float,
    *,
    comparisons: int = 1,
    sequential: bool = False,
) -> float | None:
    """Return the smallest increase that n_per_arm units an arm show with `power`: the inverse of the sample size.

    Relative to `rate`; None where not even a rate of 1 would be seen. Errors are those of `sample_size`.
    """
    critical = _critical(alpha / comparisons, power, sequential=sequential)
    _checked(rate, 1 - rate)
    if n_per_arm <= 0 or power_of(rate, 1 - rate, n_per_arm, critical) < power:
        return None
    return _root(lambda mde: power_of(rate, mde, n_per_arm, critical) - power, 0.0, 1 - rate) / rate


def expected_days(units_needed: float, units_per_day: float) -> int | None:
    """Return the whole days until `units_needed` units came at `units_per_day`; None where none come."""
    return math.ceil(units_needed / units_per_day) if units_per_day > 0 else None


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    return float(brentq(function, low, high, xtol=1e-14, rtol=1e-14, maxiter=500))


def _critical(alpha: float, power: float, *, sequential: bool) -> float:
    if not 0 < alpha < power < 1:
        raise ValueError("alpha and power must lie in (0, 1), and power above alpha")
    return boundary(1, alpha, tuned_to=1) if sequential else float(norm.isf(alpha / 2))


def _checked(rate: float, difference: float) -> float:
    if not 0 < rate < 1 or not 0 <= rate + difference <= 1 or not difference:
        raise ValueError("rates must lie in (0, 1), the variant's in [0, 1], and the effect must not be 0")
    return difference
