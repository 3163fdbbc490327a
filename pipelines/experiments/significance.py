"""Is there a difference? Tests of two and of many arms, corrections for many tests, and the check of the split."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr
from scipy.stats import chi2_contingency, chisquare, false_discovery_control, fisher_exact

from pipelines.experiments.arms import Arm

SMALLEST_EXPECTED = 5  # the customary bound of the chi-squared approximation: Cochran (1954), Biometrics 10, 417-451


def pooled_z(control: Arm, variant: Arm) -> float:
    """The score statistic of two rates, variant minus control over its standard error if both were equal.

    Pearson (1900), as in Agresti, Categorical Data Analysis (2013), section 3.2.1: the pooled rate, no continuity
    correction. 0 where the data cannot differ: an empty arm, nobody engaged, everybody engaged.
    """
    units, engaged = control.n + variant.n, control.total + variant.total
    if min(control.n, variant.n) <= 0 or not 0 < engaged < units:
        return 0.0
    pooled = engaged / units
    return (variant.mean - control.mean) / math.sqrt(pooled * (1 - pooled) * (1 / control.n + 1 / variant.n))


def score_test(control: Arm, variant: Arm) -> float:
    """The two-sided p-value of `pooled_z`, in [0, 1]; 1 where the data cannot differ."""
    return float(2 * ndtr(-abs(pooled_z(control, variant))))


def fisher_test(control: Arm, variant: Arm) -> float:
    """Fisher's exact two-sided p-value, in (0, 1]: the tables that are at most as probable as the one seen.

    Fisher (1935), JRSS 98, 39-82. Fractions of units are rounded to whole ones; 1 for an empty arm.
    """
    table = [[round(arm.total), round(arm.n) - round(arm.total)] for arm in (control, variant)]
    return min(1.0, float(fisher_exact(table).pvalue))


def needs_exact(arms: Sequence[Arm]) -> bool:
    """Whether some arm is expected to have under five units engaged, or under five not engaged, if all were equal.

    Then the normal distribution is no good approximation (Cochran, 1954). True without units.
    """
    units = sum(arm.n for arm in arms)
    if units <= 0:
        return True
    engaged = sum(arm.total for arm in arms)
    return min(arm.n for arm in arms) * min(engaged, units - engaged) / units < SMALLEST_EXPECTED


def omnibus(arms: Sequence[Arm]) -> float:
    """Pearson's chi-squared p-value, in [0, 1], that k arms share one rate; for two arms `score_test`.

    Agresti (2013), section 3.2.1, with k - 1 degrees of freedom. Arms without units do not count; 1 where the data
    cannot differ: fewer than two arms with units, nobody engaged, everybody engaged.
    """
    seen = [arm for arm in arms if arm.n > 0]
    if len(seen) == 2:
        return score_test(*seen)
    if len(seen) < 2 or not 0 < sum(arm.total for arm in seen) < sum(arm.n for arm in seen):
        return 1.0
    table = [[arm.total, arm.n - arm.total] for arm in seen]
    return float(chi2_contingency(table, correction=False).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted so that the chance of any false positive is held, in the order given.

    Holm (1979), Scandinavian Journal of Statistics 6, 65-70. Each is compared with alpha itself.
    """
    # statsmodels has it too, but runs the garbage collector at each call: 45 ms.
    p = np.asarray(p_values, dtype=float)
    order = p.argsort()
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)))
    return [float(value) for value in adjusted]


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted so that the expected share of false positives is held, in the order given.

    Benjamini and Hochberg (1995), JRSS B 57, 289-300. Each is compared with alpha itself.
    """
    return [float(p) for p in false_discovery_control(p_values)] if p_values else []


def srm(n_units: Sequence[float], weights: Sequence[float]) -> float:
    """The p-value of the split: how probable these counts are if units were drawn by the `weights`, in [0, 1].

    Pearson's chi-squared with k - 1 degrees of freedom; Fabijan et al. (2019), Diagnosing sample ratio mismatch in
    online controlled experiments, KDD: where it is tiny, nothing else in the data may be trusted. Weights of any
    positive sum. An arm of weight 0 must be empty and does not count: with units in it the answer is 0. 1 without units
    or with one arm.

    Raises:
        ValueError: not one weight for each count, a negative weight, or no weight above 0.
    """
    if len(n_units) != len(weights) or min(weights, default=0) < 0 or sum(weights) <= 0:
        raise ValueError("each arm needs one weight, none negative and not all 0")
    if any(n > 0 for n, weight in zip(n_units, weights, strict=True) if weight == 0):
        return 0.0
    arms = [(n, weight) for n, weight in zip(n_units, weights, strict=True) if weight > 0]
    units = sum(n for n, _ in arms)
    if units <= 0 or len(arms) < 2:
        return 1.0
    total = sum(weight for _, weight in arms)
    return float(chisquare([n for n, _ in arms], [weight / total * units for _, weight in arms]).pvalue)
