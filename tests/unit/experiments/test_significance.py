"""Significance: published vectors, brute force, and what holds for any arms."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from pipelines.experiments.arms import Arm
from pipelines.experiments.significance import (
    benjamini_hochberg,
    fisher_test,
    holm,
    needs_exact,
    omnibus,
    pooled_z,
    score_test,
    srm,
)
from tests.arms import rates

NOBODY = Arm(0, 0)


@st.composite
def fractions(draw):
    n = draw(st.one_of(st.just(0.0), st.floats(1e-3, 1e7)))
    return Arm(n, n * draw(st.one_of(st.sampled_from([0, 1]), st.floats(1e-6, 1))))


@pytest.mark.parametrize(
    ("control", "variant"),
    [
        (NOBODY, NOBODY),
        (NOBODY, Arm(10, 3)),
        (Arm(10, 3), NOBODY),
        (Arm(10, 0), Arm(20, 0)),
        (Arm(10, 10), Arm(20, 20)),
    ],
)
def test_arms_that_cannot_differ_have_a_p_value_of_one(control, variant):
    assert score_test(control, variant) == fisher_test(control, variant) == omnibus([control, variant]) == 1


def test_everybody_against_nobody_is_told_apart():
    assert score_test(Arm(50, 0), Arm(50, 50)) == pytest.approx(math.erfc(math.sqrt(50)), rel=1e-9)


@pytest.mark.parametrize(("units", "weights"), [([1, 2], [1]), ([1, 2], [1, -1]), ([1, 2], [0, 0]), ([], [])])
def test_a_split_without_a_weight_for_each_arm_is_refused(units, weights):
    with pytest.raises(ValueError, match="weight"):
        srm(units, weights)


def test_a_split_that_cannot_be_judged_has_a_p_value_of_one_and_an_impossible_one_of_zero():
    assert srm([0, 0], [1, 1]) == srm([7], [1]) == srm([7, 0], [1, 0]) == 1
    assert srm([7, 1], [1, 0]) == 0


def test_no_p_values_stay_none():
    assert holm([]) == benjamini_hochberg([]) == []


def test_the_published_splits_have_their_p_values():
    assert srm([821588, 815482], [0.5, 0.5]) == pytest.approx(1.8e-6, abs=0.05e-6)
    assert srm([5000, 5200], [1, 1]) == pytest.approx(0.0477, abs=0.00005)


def test_the_published_p_values_are_adjusted_as_published():
    assert sorted(holm([0.01, 0.04, 0.03, 0.005, 0.55, 0.6])) == pytest.approx(
        [0.03, 0.05, 0.12, 0.12, 1, 1], abs=1e-12
    )
    assert benjamini_hochberg([0.898, 0.138, 0.007, 0.964, 0.538, 0.006, 0.138]) == pytest.approx(
        [0.964, 0.2415, 0.0245, 0.964, 0.7532, 0.0245, 0.2415], abs=1e-12
    )


def test_five_expected_are_enough_for_the_normal_distribution_and_fewer_are_not():
    assert not needs_exact([Arm(100, 5), Arm(100, 5)])
    assert needs_exact([Arm(100, 5), Arm(99, 4)])
    assert needs_exact([Arm(100, 95), Arm(99, 95)])
    assert needs_exact([NOBODY, NOBODY])


def test_the_tail_of_a_certain_difference_is_small_and_not_zero():
    assert 0 < score_test(Arm(10**6, 100_000), Arm(10**6, 110_000)) < 1e-100


@given(rates(), rates())
@settings(deadline=None)
def test_swapping_the_arms_or_what_counts_as_engaged_changes_no_p_value(control, variant):
    mirrored = [Arm(arm.n, arm.n - arm.total) for arm in (control, variant)]
    p_value = score_test(control, variant)
    assert 0 <= p_value <= 1
    assert score_test(variant, control) == p_value == omnibus([variant, control])
    assert score_test(*mirrored) == pytest.approx(p_value, rel=1e-6, abs=1e-12)
    assert pooled_z(variant, control) == -pooled_z(control, variant)


@given(st.lists(fractions(), min_size=2, max_size=2))
@settings(deadline=None)
def test_fractions_of_units_have_p_values_too(arms):
    for p_value in (score_test(*arms), fisher_test(*arms), omnibus(arms), omnibus([*arms, *arms])):
        assert 0 <= p_value <= 1 + 1e-12


@given(rates(most=25), rates(most=25))
@settings(deadline=None)
def test_fisher_adds_up_the_tables_that_are_at_most_as_probable(control, variant):
    engaged = int(control.total + variant.total)
    ways = {
        x: math.comb(int(control.n), x) * math.comb(int(variant.n), engaged - x)
        for x in range(max(0, engaged - int(variant.n)), min(engaged, int(control.n)) + 1)
    }
    tables = sum(w for w in ways.values() if w <= ways[int(control.total)])
    p_value = fisher_test(control, variant)
    assert p_value == pytest.approx(tables / sum(ways.values()), rel=1e-9)
    assert fisher_test(variant, control) == pytest.approx(p_value, rel=1e-9)


@given(st.lists(rates(), min_size=1, max_size=6))
@settings(deadline=None)
def test_the_omnibus_is_pearsons_sum_in_any_order_and_ignores_empty_arms(arms):
    seen = [arm for arm in arms if arm.n > 0]
    units, engaged = sum(arm.n for arm in seen), sum(arm.total for arm in seen)
    assume(0 < engaged < units and len(seen) > 1)
    rate = engaged / units
    statistic = sum(arm.n * (arm.mean - rate) ** 2 for arm in seen) / (rate * (1 - rate))
    p_value = omnibus(arms)
    assert p_value == pytest.approx(chi2.sf(statistic, len(seen) - 1), rel=1e-6, abs=1e-12)
    assert omnibus([NOBODY, *reversed(arms)]) == pytest.approx(p_value, rel=1e-9, abs=1e-15)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@settings(deadline=None)
def test_adjusted_p_values_follow_their_definitions_and_keep_the_order(p_values):
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    k = len(p_values)
    for rank, i in enumerate(order):
        stepped_down = max((k - r) * p_values[order[r]] for r in range(rank + 1))
        stepped_up = min(p_values[order[r]] * k / (r + 1) for r in range(rank, k))
        assert holm(p_values)[i] == pytest.approx(min(1, stepped_down), rel=1e-9)
        assert benjamini_hochberg(p_values)[i] == pytest.approx(min(1, stepped_up), rel=1e-9)


@given(st.lists(st.tuples(st.integers(0, 10**7), st.floats(0.01, 1)), min_size=2, max_size=6), st.floats(0.1, 10))
@settings(deadline=None)
def test_the_check_of_the_split_is_free_of_order_and_of_the_scale_of_weights(arms, scale):
    units, weights = [n for n, _ in arms], [weight for _, weight in arms]
    p_value = srm(units, weights)
    assert 0 <= p_value <= 1
    assert srm(units[::-1], [scale * weight for weight in weights[::-1]]) == pytest.approx(p_value, rel=1e-6, abs=1e-12)
