"""Posteriors: published chances, closed forms, sampling, and what holds for any arms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betaln

from pipelines.experiments.arms import Arm
from pipelines.experiments.bayes import chance_to_be_best, chance_to_beat, expected_loss
from tests.arms import rates

NOBODY = Arm(0, 0)


@st.composite
def fractions(draw):
    n = draw(st.floats(0, 1e5))
    return Arm(n, n * draw(st.floats(0, 1)))


def miller(control, variant):
    """Miller (2015), eq. 6: the sum over the units engaged of the variant."""
    a, b = 1 + control.total, 1 + control.n - control.total
    not_engaged = 1 + variant.n - variant.total
    i = np.arange(1 + variant.total)
    terms = betaln(a + i, not_engaged + b) - np.log(not_engaged + i) - betaln(1 + i, not_engaged) - betaln(a, b)
    return float(np.exp(terms).sum())


def drawn_first(control, variant):
    """The chance that of two order statistics of uniform draws, which the posteriors are, control's is the first.

    A hypergeometric tail, from the ratios of its terms around the mode: log gamma functions lose too many digits.
    """
    good, bad, drawn = int(control.n) + 1, int(variant.n) + 1, int(control.total + variant.total) + 1
    mode = (drawn + 1) * (good + 1) // (good + bad + 2)
    k = np.arange(max(0, drawn - bad, mode - 20_000), min(drawn, good, mode + 20_000) + 1, dtype=float)
    below = k[:-1]
    steps = np.log((good - below) * (drawn - below)) - np.log((below + 1) * (bad - drawn + below + 1))
    logs = np.concatenate([[0], steps.cumsum()])
    terms = np.exp(logs - logs.max())
    return terms[k > control.total].sum() / terms.sum()


def posterior_mean(arm):
    return (1 + arm.total) / (2 + arm.n)


def test_without_arms_or_units_nothing_is_known():
    assert chance_to_be_best([]) == []
    assert chance_to_be_best([Arm(10, 3)]) == pytest.approx([1], abs=1e-12)
    assert chance_to_beat(NOBODY, NOBODY) == pytest.approx(0.5, abs=1e-12)
    assert expected_loss(NOBODY, NOBODY) == pytest.approx((1 / 6, 1 / 6), abs=1e-12)


def test_everybody_beats_nobody_and_an_empty_arm_may_be_anything():
    assert chance_to_beat(Arm(10**7, 0), Arm(10**7, 10**7)) == pytest.approx(1, abs=1e-12)
    assert chance_to_beat(NOBODY, Arm(8, 8)) == pytest.approx(0.9, abs=1e-12)
    assert expected_loss(Arm(10**7, 0), Arm(10**7, 10**7)) == pytest.approx((0, 1 - 2 / (10**7 + 2)), abs=1e-12)


def test_the_published_chances_are_reproduced():
    control, variant = Arm(100, 49), Arm(100, 51)
    assert chance_to_beat(control, variant) == pytest.approx(0.61077, abs=0.5e-5)
    assert chance_to_beat(Arm(1000, 100), Arm(1000, 120)) == pytest.approx(0.92318, abs=0.5e-5)


def test_the_chances_and_losses_of_many_arms_are_those_of_draws_from_the_posteriors():
    arms = [Arm(200, 20), Arm(150, 20), Arm(300, 33.5), NOBODY, Arm(40, 8)]
    a, b = (np.array([1 + f(arm) for arm in arms]) for f in (lambda arm: arm.total, lambda arm: arm.n - arm.total))
    draws = np.random.default_rng(3).beta(a, b, (400_000, 5))
    assert chance_to_be_best(arms) == pytest.approx(np.bincount(draws.argmax(axis=1)) / 400_000, abs=0.004)
    gap = draws[:, 1] - draws[:, 0]
    assert expected_loss(arms[0], arms[1]) == pytest.approx((-gap.clip(max=0).mean(), gap.clip(min=0).mean()), abs=3e-4)


@given(rates(most=3000), rates(most=3000))
@settings(deadline=None)
def test_the_chance_is_millers_closed_form(control, variant):
    assert chance_to_beat(control, variant) == pytest.approx(miller(control, variant), abs=1e-9)


@given(rates(), rates())
@settings(max_examples=200, deadline=None)
def test_the_chance_is_that_of_the_order_in_which_units_are_drawn_up_to_ten_million(control, variant):
    assert chance_to_beat(control, variant) == pytest.approx(drawn_first(control, variant), abs=1e-9)


@given(st.one_of(st.tuples(rates(), rates()), st.tuples(fractions(), fractions())))
@settings(deadline=None)
def test_one_of_two_is_the_better_and_the_losses_differ_by_the_means(arms):
    control, variant = arms
    chance, (choosing, keeping) = chance_to_beat(control, variant), expected_loss(control, variant)
    assert 0 <= chance <= 1
    assert chance + chance_to_beat(variant, control) == pytest.approx(1, abs=1e-9)
    assert min(choosing, keeping) >= 0
    assert keeping - choosing == pytest.approx(posterior_mean(variant) - posterior_mean(control), abs=1e-11)
    assert expected_loss(variant, control) == pytest.approx((keeping, choosing), rel=1e-6, abs=1e-12)


@given(st.lists(rates(), min_size=1, max_size=8), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_chances_to_be_best_add_up_to_one_in_any_order(arms, random):
    chances = chance_to_be_best(arms)
    assert all(0 <= chance <= 1 for chance in chances)
    assert math.fsum(chances) == pytest.approx(1, abs=1e-9)
    order = random.sample(range(len(arms)), len(arms))
    shuffled = chance_to_be_best([arms[i] for i in order])
    assert shuffled == pytest.approx([chances[i] for i in order], abs=1e-9)


@given(rates(most=10**5), st.integers(1, 10**5), st.data())
@settings(deadline=None)
def test_each_further_unit_engaged_raises_the_chance(control, n, data):
    engaged = data.draw(st.integers(0, n - 1))
    lower, higher = (chance_to_beat(control, Arm(n, engaged + more)) for more in (0, 1))
    assert higher >= lower - 1e-12
