"""Intervals: published vectors, the equations they solve, and what holds for any arms."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from pipelines.experiments.arms import Arm, log_relative, newcombe, wilson

NOBODY = Arm(0, 0)
ALPHAS = st.floats(0.001, 0.3)


@st.composite
def rates(draw, least=1):
    n = draw(st.one_of(st.integers(least, 10**7), st.floats(1e-3, 1e7)))
    return Arm(n, draw(st.one_of(st.sampled_from([0, n]), st.floats(1e-3, 1).map(lambda rate: rate * n))))


@pytest.mark.parametrize(("n", "total"), [(-1, 0), (1, 2), (1, -1), (0, 1), (1, math.nan)])
def test_more_engaged_than_units_or_fewer_than_none_are_refused(n, total):
    with pytest.raises(ValueError, match=r"must"):
        Arm(n, total)


def test_without_units_a_rate_is_anything_and_a_difference_is_unknown():
    assert wilson(NOBODY, 0.05) == (0, 1)
    assert newcombe(NOBODY, Arm(10, 3), 0.05) is newcombe(Arm(10, 3), NOBODY, 0.05) is None


@pytest.mark.parametrize(
    ("control", "variant"),
    [
        (Arm(10, 0), Arm(10, 3)),
        (Arm(10, 3), Arm(10, 0)),
        (Arm(10, 3), Arm(10, 5e-4)),
        (NOBODY, Arm(9, 3)),
        (Arm(8, 8), Arm(9, 9)),
    ],
)
def test_a_ratio_has_no_interval_where_nobody_or_everybody_is_engaged(control, variant):
    assert log_relative(control, variant, 0.05) is None


def test_the_published_intervals_are_reproduced():
    assert wilson(Arm(10, 0), 0.05) == pytest.approx((0, 0.2775), abs=0.00005)
    assert wilson(Arm(148, 15), 0.05) == pytest.approx((0.0624, 0.1605), abs=0.00005)
    assert newcombe(Arm(80, 48), Arm(70, 56), 0.05) == pytest.approx((0.0524, 0.3339), abs=0.00005)


def test_one_arm_without_engagement_still_has_a_difference():
    low, high = newcombe(Arm(100, 0), Arm(100, 20), 0.05)
    assert 0.1 < low < 0.2 < high < 0.3


@given(rates(least=0), ALPHAS)
@settings(deadline=None)
def test_the_limits_of_a_rate_lie_inside_zero_and_one_and_solve_wilsons_equation(arm, alpha):
    low, high = wilson(arm, alpha)
    assert 0 <= low <= arm.mean <= high + 1e-12 <= 1 + 1e-12
    for limit in (low, high):
        error = norm.isf(alpha / 2) ** 2 * limit * (1 - limit)
        assert arm.n * (arm.mean - limit) ** 2 == pytest.approx(error if arm.n else 0, rel=1e-6, abs=1e-9)


@given(rates(), st.integers(2, 10), ALPHAS)
@settings(deadline=None)
def test_more_units_or_a_larger_alpha_narrow_the_limits_of_a_rate(arm, times, alpha):
    def width(found, alpha):
        low, high = wilson(found, alpha)
        return high - low

    assert width(Arm(arm.n * times, arm.total * times), alpha) < width(arm, alpha)
    assert width(arm, min(0.9, 2 * alpha)) < width(arm, alpha)


@given(rates(), rates(), ALPHAS)
@settings(deadline=None)
def test_a_difference_follows_from_the_limits_of_both_rates(control, variant, alpha):
    (low_c, high_c), (low_v, high_v) = wilson(control, alpha), wilson(variant, alpha)
    estimate = variant.mean - control.mean
    low, high = newcombe(control, variant, alpha)
    assert -1 <= low <= estimate + 1e-12
    assert estimate - 1e-12 <= high <= 1
    assert low == pytest.approx(estimate - math.hypot(variant.mean - low_v, high_c - control.mean), abs=1e-9)
    assert high == pytest.approx(estimate + math.hypot(high_v - variant.mean, control.mean - low_c), abs=1e-9)
    assert newcombe(variant, control, alpha) == pytest.approx((-high, -low), abs=1e-9)


@given(rates(), rates(), ALPHAS)
@settings(deadline=None)
def test_a_ratio_is_symmetric_on_the_logarithm_and_inverts_when_the_arms_swap(control, variant, alpha):
    found = log_relative(control, variant, alpha)
    swapped = log_relative(variant, control, alpha)
    assert (found is None) == (swapped is None)
    if found is not None:
        assert -1 <= found[0] <= variant.mean / control.mean - 1 <= found[1]
    if found is not None and min(control.total, variant.total) >= 1:
        low, high = (math.log1p(limit) for limit in found)
        assert (low + high) / 2 == pytest.approx(math.log(variant.mean / control.mean), abs=1e-7)
        variance = 1 / variant.total - 1 / variant.n + 1 / control.total - 1 / control.n
        assert (high - low) / 2 == pytest.approx(norm.isf(alpha / 2) * math.sqrt(variance), rel=1e-6, abs=1e-7)
        assert (1 + swapped[0]) * (1 + found[1]) == pytest.approx(1, abs=1e-6)
