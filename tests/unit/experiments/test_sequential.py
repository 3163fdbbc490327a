"""Confidence sequences: the boundary, and the promise itself in a simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import lambertw

from pipelines.experiments.arms import Arm
from pipelines.experiments.sequential import (
    TUNED_TO,
    adaptive_lift,
    adaptive_p,
    always_valid_lift,
    always_valid_p,
    always_valid_rate,
    always_valid_score_test,
    boundary,
    half_width,
)
from pipelines.experiments.significance import pooled_z, score_test
from tests.arms import rates

ALPHAS = st.floats(0.001, 0.1)
UNITS = st.floats(1, 1e8)
ZS = st.floats(-40, 40)


def test_before_the_first_unit_nothing_is_claimed():
    assert boundary(0, 0.05) == half_width(0, 0, 0.05) == math.inf
    assert always_valid_p(50, 0, 0.05) == 1
    assert always_valid_score_test(Arm(0, 0), Arm(0, 0), 0.05) == 1


@pytest.mark.parametrize(
    ("few", "enough"),
    [
        ((Arm(1000, 0), Arm(1000, 9)), (Arm(1000, 0), Arm(1000, 10))),
        ((Arm(1000, 1000), Arm(1000, 991)), (Arm(1000, 1000), Arm(1000, 990))),
        ((Arm(4, 4), Arm(1000, 0)), (Arm(1000, 900), Arm(1000, 0))),
    ],
)
def test_no_claim_is_made_before_five_engaged_and_five_not_engaged_are_expected_in_each_arm(few, enough):
    assert always_valid_score_test(*few, 0.05) == 1
    assert always_valid_score_test(*enough, 0.05) < 1


def test_a_huge_z_has_a_p_value_of_zero_and_no_overflow():
    assert always_valid_p(1e200, 1e9, 0.05) == always_valid_p(-1e200, 1, 0.05) == 0


@given(ZS, UNITS, ALPHAS, UNITS)
@settings(deadline=None)
def test_the_p_value_reaches_alpha_exactly_at_the_boundary(z, n, alpha, tuned_to):
    reach, p_value = boundary(n, alpha, tuned_to), always_valid_p(z, n, alpha, tuned_to)
    assert 0 <= p_value <= 1
    assert always_valid_p(-z, n, alpha, tuned_to) == p_value
    assert always_valid_p(reach, n, alpha, tuned_to) == pytest.approx(alpha, rel=1e-9)
    assume(abs(abs(z) / reach - 1) > 1e-9)
    assert (p_value <= alpha) == (abs(z) >= reach)


@given(ALPHAS, UNITS, UNITS)
@settings(deadline=None)
def test_the_boundary_is_above_that_of_a_single_look_and_lowest_near_the_planned_total(alpha, n, tuned_to):
    single_look = -2 * math.log(alpha)
    assert boundary(n, alpha, tuned_to) > math.sqrt(single_look)
    lowest = min(boundary(n, alpha, tuned_to * times) for times in np.geomspace(0.01, 100, 401))
    assert boundary(n, alpha, n) <= lowest * 1.0001


@given(ALPHAS, UNITS)
@settings(deadline=None)
def test_the_exact_optimum_of_the_tuning_would_narrow_the_sequence_by_under_a_hundredth_of_a_percent(alpha, tuned_to):
    optimum = math.sqrt(-lambertw(-(alpha**2) / math.e, -1).real)  # what minimizes eq. 9, and the minimum
    assert 1 - 1e-12 <= boundary(tuned_to, alpha, tuned_to) / optimum < 1.0001


@given(rates(), rates(), ALPHAS)
@settings(deadline=None)
def test_the_test_of_every_look_is_symmetric_and_never_claims_what_a_single_look_does_not(control, variant, alpha):
    p_value = always_valid_score_test(control, variant, alpha)
    assert always_valid_score_test(variant, control, alpha) == p_value
    if p_value <= alpha:
        assert score_test(control, variant) < alpha
        assert abs(pooled_z(control, variant)) >= boundary(control.n + variant.n, alpha) * (1 - 1e-9)


@pytest.mark.parametrize("rate", [0.02, 0.3])
def test_twenty_looks_at_equal_arms_err_no_more_often_than_alpha_where_a_plain_test_errs_four_times_as_often(rate):
    engaged = np.random.default_rng(7).binomial(250, rate, (2000, 20, 2)).cumsum(axis=1)
    plain = always_valid = 0
    for looks in engaged:
        arms = [[Arm(250 * (look + 1), x) for x in pair] for look, pair in enumerate(looks.tolist())]
        plain += any(score_test(*pair) <= 0.05 for pair in arms)
        always_valid += any(always_valid_score_test(*pair, 0.05, 10_000) <= 0.05 for pair in arms)
    assert plain / 2000 > 0.2
    assert always_valid / 2000 <= 0.05


LIVELY = st.builds(lambda n, share: Arm(n, round(n * share)), st.integers(200, 10**6), st.floats(0.05, 0.95))


@given(LIVELY, LIVELY, ALPHAS)
@settings(deadline=None)
def test_the_p_value_of_a_bandit_is_that_of_the_common_rate_that_both_martingales_speak_against_least(a, b, alpha):
    """Against a numeric search over all rates, each arm with the mixture martingale of its own mean (eq. 155)."""

    def evidence(rate: float) -> float:
        logs = []
        for arm in (a, b):
            error = math.sqrt(arm.variance / arm.n)
            # The p-value of one arm is the inverse of its martingale; as a log it does not underflow.
            x = arm.n / (TUNED_TO / 2) * (-2 * math.log(alpha) + math.log1p(-2 * math.log(alpha)))
            logs.append(((arm.mean - rate) / error) ** 2 * x / (2 * (x + 1)) - math.log1p(x) / 2)
        return sum(logs)

    low, high = sorted((a.mean, b.mean))
    least = min(
        evidence(low), evidence(high), minimize_scalar(evidence, bounds=(low, high + 1e-9), method="bounded").fun
    )
    assert adaptive_p(a, b, alpha) == pytest.approx(math.exp(min(0.0, -least)), rel=1e-3, abs=1e-12)


@given(LIVELY, LIVELY, ALPHAS)
@settings(deadline=None)
def test_swapping_the_arms_of_a_bandit_changes_nothing_and_no_difference_is_no_evidence(a, b, alpha):
    assert adaptive_p(a, b, alpha) == pytest.approx(adaptive_p(b, a, alpha))
    assert adaptive_p(a, a, alpha) == 1


def test_a_bandit_claims_nothing_of_few_units_and_has_no_interval_then():
    few = (Arm(1000, 0), Arm(1000, 9))

    assert adaptive_p(*few, 0.05) == 1
    assert adaptive_lift(*few, 0.05) is always_valid_lift(*few, 0.05) is None
    assert adaptive_p(Arm(0, 0), Arm(0, 0), 0.05) == 1


def test_what_moving_units_costs_is_a_wider_interval():
    pair = Arm(5000, 500), Arm(5000, 600)
    fixed, moved = always_valid_lift(*pair, 0.05), adaptive_lift(*pair, 0.05)

    assert moved[0] < fixed[0] < 0.2 < fixed[1] < moved[1]
    assert math.sqrt((1 + moved[0]) * (1 + moved[1])) == pytest.approx(1.2)
    assert adaptive_p(*pair, 0.05) > always_valid_score_test(*pair, 0.05)


@given(LIVELY, LIVELY, ALPHAS)
@settings(deadline=None)
def test_the_sequence_of_the_lift_stays_above_minus_one_and_mirrors_when_the_arms_are_swapped(a, b, alpha):
    assume(always_valid_lift(a, b, alpha) is not None)
    for sequence in (always_valid_lift, adaptive_lift):
        low, high = sequence(a, b, alpha)
        back = sequence(b, a, alpha)

        assert -1 <= low <= b.mean / a.mean - 1 <= high
        assert 1 / (1 + back[1]) - 1 == pytest.approx(low, abs=1e-9)


def test_a_rate_has_a_sequence_that_narrows_and_stays_within_zero_and_one():
    widths = [high - low for low, high in (always_valid_rate(Arm(n, n // 10), 0.05) for n in (100, 1000, 10_000))]

    assert widths == sorted(widths, reverse=True)
    assert always_valid_rate(Arm(100, 4), 0.05) is None
    assert always_valid_rate(Arm(0, 0), 0.05) is None
    assert always_valid_rate(Arm(60, 54), 0.001)[1] == 1.0
