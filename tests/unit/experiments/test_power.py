"""Power: the rows of G*Power, and that every plan keeps what it promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from pipelines.experiments.power import expected_days, minimum_detectable_effect, power_of, sample_size

RATES = st.floats(0.001, 0.9)
EFFECTS = st.floats(0.01, 0.1)


@pytest.mark.parametrize(
    ("rate", "mde", "alpha", "power"),
    [
        (0.0, 0.1, 0.05, 0.8),
        (1.0, 0.1, 0.05, 0.8),
        (0.5, 1.1, 0.05, 0.8),
        (0.5, -1.1, 0.05, 0.8),
        (0.5, 0.0, 0.05, 0.8),
        (0.5, 0.1, 0.0, 0.8),
        (0.5, 0.1, 0.05, 1.0),
        (0.5, 0.1, 0.5, 0.4),
        (0.5, 1e-7, 0.05, 0.8),
        (float("nan"), 0.1, 0.05, 0.8),
        (0.5, float("nan"), 0.05, 0.8),
    ],
)
def test_a_plan_that_nobody_could_keep_is_refused(rate: float, mde: float, alpha: float, power: float) -> None:
    for sequential in (False, True):
        with pytest.raises(ValueError, match=r"must lie in|too small"):
            sample_size(rate, mde, alpha, power, sequential=sequential)


def test_no_arrivals_never_end() -> None:
    assert expected_days(1000, 0) is None
    assert expected_days(1000, 300) == 4
    assert expected_days(900, 300) == 3


def test_no_units_see_no_effect() -> None:
    assert minimum_detectable_effect(0.1, 0, 0.05, 0.8) is None
    assert minimum_detectable_effect(0.1, 2, 0.05, 0.8) is None


def test_the_rows_of_g_power_are_met() -> None:
    assert 2 * sample_size(0.34, 0.003 / 0.34, 0.05, 0.85) == 897_348
    assert 2 * sample_size(0.34, 0.003 / 0.34, 0.14, 0.85) == 630_710
    three_arms = [sample_size(0.34, 0.003 / 0.34, 0.05, 0.85)] * 3
    assert sum(three_arms) == 448_674 * 3


def test_the_pooled_plan_agrees_with_the_closed_form_where_the_other_tail_is_nothing() -> None:
    p, q = 0.1, 0.12
    middle = (p + q) / 2
    root = norm.isf(0.025) * math.sqrt(2 * middle * (1 - middle)) + norm.isf(0.1) * math.sqrt(p * (1 - p) + q * (1 - q))
    assert sample_size(p, 0.2, 0.05, 0.9) == math.ceil((root / 0.02) ** 2)


@settings(deadline=None)
@given(
    RATES, EFFECTS, st.sampled_from([0.01, 0.05, 0.1]), st.sampled_from([0.8, 0.9]), st.sampled_from([0.5, 1.0, 3.0])
)
def test_a_plan_is_the_smallest_that_has_its_power(
    rate: float, mde: float, alpha: float, power: float, ratio: float
) -> None:
    n, critical = sample_size(rate, mde, alpha, power, ratio=ratio), float(norm.isf(alpha / 2))
    assert power_of(rate, rate * mde, n, critical, ratio=ratio) >= power - 1e-9
    assert power_of(rate, rate * mde, n - 1, critical, ratio=ratio) < power


@settings(deadline=None)
@given(RATES, st.integers(50_000, 10_000_000), st.booleans())
def test_the_effect_that_n_units_see_needs_n_units(rate: float, n: int, sequential: bool) -> None:
    effect = minimum_detectable_effect(rate, n, 0.05, 0.8, sequential=sequential)
    if effect is None:
        return
    assert sample_size(rate, effect, 0.05, 0.8, sequential=sequential) == pytest.approx(n, abs=1)


@settings(deadline=None)
@given(RATES, EFFECTS)
def test_more_to_show_needs_more_units(rate: float, mde: float) -> None:
    n = sample_size(rate, mde, 0.05, 0.8)
    assert n <= sample_size(rate, mde, 0.05, 0.9)
    assert n <= sample_size(rate, mde, 0.05, 0.8, comparisons=4)
    assert n <= sample_size(rate, mde, 0.05, 0.8, sequential=True)
    assert sample_size(rate, 1.05 * mde, 0.05, 0.8) <= n


@settings(deadline=None)
@given(st.floats(0.05, 0.5), st.floats(0.05, 0.5))
def test_the_arms_may_be_swapped(one: float, other: float) -> None:
    if abs(one - other) < 0.01:
        return
    there = sample_size(one, other / one - 1, 0.05, 0.8)
    assert sample_size(other, one / other - 1, 0.05, 0.8) == pytest.approx(there, abs=1)


def test_the_boundary_is_crossed_as_often_as_planned() -> None:
    rate, other, n = 0.1, 0.12, sample_size(0.1, 0.2, 0.05, 0.8, sequential=True)
    rng = np.random.default_rng(7)
    x, y = rng.binomial(n, rate, 40_000), rng.binomial(n, other, 40_000)
    pooled = (x + y) / (2 * n)
    z = (y - x) / n / np.sqrt(2 * pooled * (1 - pooled) / n)
    # Eq 9 of Waudby-Smith et al. at 2 n, tuned to 2 n, as the confidence sequence writes it.
    total = 2 * n
    rho = math.sqrt((-2 * math.log(0.05) + math.log(-2 * math.log(0.05) + 1)) / total)
    grown = total * rho**2 + 1
    width = math.sqrt(2 * grown * math.log(math.sqrt(grown) / 0.05) / (total * rho) ** 2)
    assert (np.abs(z) >= width * math.sqrt(total)).mean() == pytest.approx(0.8, abs=0.01)


def test_a_certain_difference_is_seen_by_few() -> None:
    assert sample_size(0.5, 1.0, 0.05, 0.8) < 15
    assert power_of(0.5, 0.5, 1000, 1.96) == pytest.approx(1.0)
