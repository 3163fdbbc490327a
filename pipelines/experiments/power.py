"""How many units an experiment needs, what it can see, and how long that takes; two-sided tests of two rates.

A plan for `comparisons` tests that share one alpha divides it by their number (Bonferroni, safe for Holm too).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Literal

from scipy.optimize import brentq
from scipy.stats import norm

from pipelines.experiments.sequential import boundary

MAX_UNITS: Final = 10**12
Null = Literal["pooled", "control"]


def power_of(rate: float, mde: float, n: float, critical: float, *, ratio: float = 1.0, null: Null = "pooled") -> float:
    """Return the probability that abs(z) is at least `critical` with n units of control and n * ratio of the variant.

    `mde` is the absolute difference, rate + mde the variant's rate. z has the variance of no difference: at the pooled
    rate, as the score test and G*Power's "z tests: two independent proportions" have it, or at control's rate, as
    Evan Miller's calculator has it. Both tails count. Fleiss, Levin, Paik 2003, eq 4.14 (before solving for n).
    """
    other = rate + mde
    middle = rate if null == "control" else (rate + ratio * other) / (1 + ratio)
    null_error = math.sqrt(middle * (1 - middle) * (1 + 1 / ratio) / n)
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
    relative: bool = True,
    comparisons: int = 1,
    ratio: float = 1.0,
    null: Null = "pooled",
) -> int:
    """Return the units of control that a fixed-horizon test needs; the variant needs `ratio` times as many.

    `mde` is the smallest effect worth seeing, relative to `rate` or absolute, of either sign. "pooled" is what
    G*Power says, rounded up; "control" is what evanmiller.org/ab-testing/sample-size.html says, rounded to the nearest.

    Raises:
        ValueError: a rate not in (0, 1), a variant's rate not in [0, 1], no effect, alpha or power not in (0, 1), power
            not above alpha, or more units than 10^12.
    """
    critical = float(norm.isf(_checked(alpha / comparisons, power) / 2))
    absolute = _absolute(rate, mde, relative=relative)
    return _smallest(rate, absolute, power, critical, ratio=ratio, null=null)


def sequential_sample_size(
    rate: float,
    mde: float,
    alpha: float,
    power: float,
    *,
    relative: bool = True,
    comparisons: int = 1,
    ratio: float = 1.0,
) -> int:
    """Return the units of control with which the always-valid test reaches `power` at its planned end.

    The boundary is tuned to that same end, where it depends on alpha alone. What crosses earlier counts too in
    practice, so the power over all looks is above `power`. Arguments and errors are those of `sample_size`.
    """
    critical = boundary(1, _checked(alpha / comparisons, power), tuned_to=1)
    absolute = _absolute(rate, mde, relative=relative)
    return _smallest(rate, absolute, power, critical, ratio=ratio, null="pooled")


def minimum_detectable_effect(
    rate: float,
    n_per_arm: float,
    alpha: float,
    power: float,
    *,
    relative: bool = True,
    comparisons: int = 1,
    sequential: bool = False,
) -> float | None:
    """Return the smallest increase that n_per_arm units an arm show with `power`: the inverse of the sample size.

    Relative to `rate` or absolute; None where not even a rate of 1 would be seen. Errors are those of `sample_size`.
    """
    level = _checked(alpha / comparisons, power)
    _absolute(rate, 1 - rate, relative=False)
    critical = boundary(1, level, tuned_to=1) if sequential else float(norm.isf(level / 2))
    if n_per_arm <= 0 or power_of(rate, 1 - rate, n_per_arm, critical) < power:
        return None
    found = _root(lambda mde: power_of(rate, mde, n_per_arm, critical) - power, 0.0, 1 - rate)
    return found / rate if relative else found


def expected_days(units_needed: float, units_per_day: float) -> int | None:
    """Return the whole days until `units_needed` units came at `units_per_day`; None where none come."""
    return math.ceil(units_needed / units_per_day) if units_per_day > 0 else None


def _smallest(rate: float, mde: float, power: float, critical: float, *, ratio: float, null: Null) -> int:
    def shortfall(log_n: float) -> float:
        return power_of(rate, mde, math.exp(log_n), critical, ratio=ratio, null=null) - power

    if shortfall(math.log(MAX_UNITS)) < 0:
        raise ValueError("the effect is too small to be seen")
    if shortfall(0.0) >= 0:
        return 1
    n = math.exp(_root(shortfall, 0.0, math.log(MAX_UNITS)))
    # What a root is off by must not cost a unit.
    return max(round(n) if null == "control" else math.ceil(n * (1 - 1e-12)), 1)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    return float(brentq(function, low, high, xtol=1e-14, rtol=1e-14, maxiter=500))


def _absolute(rate: float, mde: float, *, relative: bool) -> float:
    absolute = rate * mde if relative else mde
    if not 0 < rate < 1 or not 0 <= rate + absolute <= 1 or not absolute:
        raise ValueError("rates must lie in (0, 1), the variant's in [0, 1], and the effect must not be 0")
    return absolute


def _checked(alpha: float, power: float) -> float:
    if not 0 < alpha < power < 1:
        raise ValueError("alpha and power must lie in (0, 1), and power above alpha")
    return alpha
