"""Is there a difference? Tests of two and of many arms, corrections for many tests, and the check of the split."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr
from scipy.stats import binom, chi2_contingency, chisquare, false_discovery_control, fisher_exact, multinomial

from pipelines.experiments.arms import Arm

SMALLEST_EXPECTED = 5  # the customary bound of the chi-squared approximation: Cochran (1954), Biometrics 10, 417-451
# At .001, where a split is judged, the approximation needs more: of sound splits with 5 expected in the smaller of two
# arms it calls up to .0032, with 15 up to .0017, with 50 and more at most .0012.
SMALLEST_EXPECTED_OF_SPLIT = 50
# An exact test that would look at more outcomes is simulated: at .001 with a standard error of .0001.
MAX_OUTCOMES, SIMULATED, SEED = 1_000_000, 100_000, 20_261_128
# Outside of what is looked at lies less than this probability, an arm and side.
LEFT_OUT = 1e-13
# Outcomes that are equally probable differ by rounding.
SAME = 1e-7


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

    Pearson's chi-squared with k - 1 degrees of freedom, or `multinomial_test` where an arm is expected to have few
    units; Fabijan et al. (2019), Diagnosing sample ratio mismatch in online controlled experiments, KDD: where it is
    tiny, nothing else in the data may be trusted. Weights of any positive sum. An arm of weight 0 must be empty and
    does not count: with units in it the answer is 0. 1 without units or with one arm.

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
    total = math.fsum(weight for _, weight in arms)
    shares = [weight / total for _, weight in arms]
    if units * min(shares) < SMALLEST_EXPECTED_OF_SPLIT:
        return multinomial_test([round(n) for n, _ in arms], shares)
    return float(chisquare([n for n, _ in arms], [share * units for share in shares]).pvalue)


def multinomial_test(counts: Sequence[int], shares: Sequence[float]) -> float:
    """The exact p-value of counts of units drawn by `shares`, in [0, 1]: outcomes at most as probable as the one seen.

    Freeman and Halton (1951), Biometrika 38, 141-149; for two arms it is the binomial test. Where there are too many
    outcomes it is simulated, the same at each call: one more than the draws that are at most as probable, over one
    more than all (Hope 1968, JRSS B 30, 582-598). Shares are above 0 and sum to 1.
    """
    # In one order, so that no order of the arms is drawn otherwise; the largest arm takes the units that are left.
    order = np.lexsort((counts, shares))
    seen, p = np.asarray(counts)[order], np.asarray(shares, dtype=float)[order]
    units = int(seen.sum())
    log_seen = float(multinomial.logpmf(seen, units, p))
    lows, highs = binom.ppf(LEFT_OUT, units, p[:-1]), binom.isf(LEFT_OUT, units, p[:-1])
    if math.prod(highs - lows + 1) > MAX_OUTCOMES:
        drawn = np.random.default_rng(SEED).multinomial(units, p, SIMULATED)
        rarer = int((multinomial.logpmf(drawn, units, p) <= log_seen + SAME).sum())
        return (rarer + 1) / (SIMULATED + 1)
    ranges = [np.arange(low, high + 1, dtype=np.int64) for low, high in zip(lows, highs, strict=True)]
    others = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, len(ranges))
    log_p = multinomial.logpmf(np.column_stack([others, units - others.sum(1)]), units, p)
    commoner = float(np.exp(log_p[log_p > log_seen + SAME]).sum())
    return min(1.0, max(math.exp(log_seen), 1 - commoner))
