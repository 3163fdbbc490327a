"""Significance: published vectors, brute force, and what holds for any arms."""

from __future__ import annotations

import math
from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, chi2, chisquare, multinomial

from pipelines.experiments.arms import Arm
from pipelines.experiments.decision import SRM_LEVEL
from pipelines.experiments.significance import (
    SMALLEST_EXPECTED_OF_SPLIT,
    benjamini_hochberg,
    fisher_test,
    holm,
    multinomial_test,
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


@pytest.mark.parametrize(
    ("units", "weights", "p_value"),
    [
        ([5, 5], [0.9, 0.1], 0.0016),
        ([10, 4], [0.95, 0.05], 0.0042),
        ([199, 2], [0.999, 0.001], 0.018),
        ([18, 2], [0.99, 0.01], 0.017),
        ([9, 1, 0, 2], [0.97, 0.01, 0.01, 0.01], 0.0038),
        ([1275, 25], [0.99, 0.01], 0.0029),
    ],
)
def test_a_sound_split_is_not_called_where_few_units_are_expected(units, weights, p_value):
    assert srm(units, weights) == pytest.approx(p_value, rel=0.04)
    assert srm(units, weights) >= SRM_LEVEL


@pytest.mark.parametrize(
    ("units", "weights"),
    [([60, 20], [0.5, 0.5]), ([4, 6], [0.9, 0.1]), ([197, 4], [0.999, 0.001]), ([0, 12], [0.5, 0.5]),
     ([1273, 27], [0.99, 0.01]), ([0, 40, 40], [1, 1, 1]), ([8, 100, 10**6], [1e-6, 1e-4, 1]),
     ([30, *[0] * 18, 1], [1] * 20)],
)  # fmt: skip
def test_a_broken_split_is_called_however_few_units_are_expected(units, weights):
    assert srm(units, weights) < SRM_LEVEL


def test_where_the_exact_test_ends_it_agrees_with_pearsons():
    for weights in ([0.5, 0.5], [0.1, 0.9], [0.2, 0.3, 0.5]):
        units = round(SMALLEST_EXPECTED_OF_SPLIT / min(weights)) - 1
        expected = np.array(weights) * units
        for moved in (2, 12, 18):
            seen = np.round(expected).astype(int) + np.array([moved, *[0] * (len(weights) - 2), -moved])
            pearson = chisquare(seen, expected * seen.sum() / expected.sum()).pvalue
            assert srm(seen.tolist(), weights) == pytest.approx(pearson, rel=0.35)


@pytest.mark.parametrize(
    ("weights", "units"),
    [((0.9, 0.1), 10), ((0.95, 0.05), 60), ((0.99, 0.01), 500), ((0.5, 0.5), 8), ((0.9, 0.05, 0.05), 40),
     ((0.96, 0.02, 0.01, 0.01), 100), ((0.9, 0.1), 200)],
)  # fmt: skip
def test_sound_splits_are_called_as_seldom_as_promised(weights, units):
    """A hundred thousand drawn splits; of those with five units expected Pearson's test calls three in a thousand."""
    runs = 100_000
    drawn = Counter(map(tuple, np.random.default_rng(8).multinomial(units, weights, runs).tolist()))
    called = sum(often for split, often in drawn.items() if srm(split, weights) < SRM_LEVEL)

    assert called / runs <= SRM_LEVEL + 3 * math.sqrt(SRM_LEVEL / runs)


def test_a_simulated_p_value_holds_its_level_and_is_the_same_at_each_call_and_in_any_order():
    weights = [1 / 12] * 12
    splits = np.random.default_rng(9).multinomial(30, weights, 60).tolist()
    p_values = [srm(split, weights) for split in splits]

    assert np.mean(np.array(p_values) <= 0.1) <= 0.1 + 3 * math.sqrt(0.09 / 60)
    assert [srm(split[::-1], weights) for split in splits[:3]] == p_values[:3]


def test_a_simulated_p_value_is_the_exact_one_give_or_take_its_error(monkeypatch):
    for counts, shares in (([9, 1, 0, 2], [0.97, 0.01, 0.01, 0.01]), ([3, 9, 2], [0.5, 0.3, 0.2])):
        exact = multinomial_test(counts, shares)
        with monkeypatch.context() as patched:
            patched.setattr("pipelines.experiments.significance.MAX_OUTCOMES", 0)
            simulated = multinomial_test(counts, shares)
        assert simulated != exact
        assert simulated == pytest.approx(exact, abs=4 * math.sqrt(exact / 100_000))


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


@given(st.integers(0, 300), st.integers(0, 300), st.floats(0.001, 0.999))
@settings(deadline=None)
def test_the_exact_split_of_two_arms_is_the_binomial_test(one, other, share):
    assume(0 < (one + other) * min(share, 1 - share) < SMALLEST_EXPECTED_OF_SPLIT)
    exact = binomtest(one, one + other, share).pvalue
    assert srm([one, other], [share, 1 - share]) == pytest.approx(exact, rel=1e-6, abs=1e-9)


@given(st.lists(st.integers(0, 3), min_size=2, max_size=4), st.lists(st.floats(0.01, 1), min_size=4, max_size=4))
@settings(deadline=None)
def test_the_exact_split_adds_up_the_outcomes_that_are_at_most_as_probable(counts, weights):
    shares = np.array(weights[: len(counts)]) / sum(weights[: len(counts)])
    units = sum(counts)
    outcomes = [split for split in product(range(units + 1), repeat=len(counts)) if sum(split) == units]
    probable = multinomial.pmf(outcomes, units, shares)
    seen = multinomial.pmf(counts, units, shares)
    assert multinomial_test(counts, shares) == pytest.approx(probable[probable <= seen * (1 + 1e-7)].sum(), abs=1e-9)


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
