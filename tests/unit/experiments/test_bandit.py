"""The bandit: its weights, its floor, and the probability of being best that they come from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.experiments.arms import Arm
from pipelines.experiments.bayes import allocation

COUNTS = st.integers(0, 5000).flatmap(lambda n: st.integers(0, n).map(lambda total: Arm(n, total)))


def test_floors_above_1_in_sum_and_no_arms_at_all_are_refused() -> None:
    with pytest.raises(ValueError, match="floors"):
        allocation([Arm(500, 5)] * 21)
    with pytest.raises(ValueError, match="floors"):
        allocation([Arm(500, 5)] * 2, floor=-0.1)
    with pytest.raises(ValueError, match="floors"):
        allocation([])


def test_weights_are_equal_until_every_arm_is_warm() -> None:
    assert allocation([Arm(99, 1), Arm(5000, 500)]) == (0.5, 0.5)
    assert allocation([Arm(0, 0), Arm(0, 0), Arm(0, 0)]) == (1 / 3,) * 3
    assert allocation([Arm(100, 1), Arm(5000, 500)])[1] > 0.9


def test_twenty_arms_at_the_largest_floor_stay_equal() -> None:
    assert allocation([Arm(500, index) for index in range(20)]) == pytest.approx((0.05,) * 20)


@settings(deadline=None)
@given(st.lists(COUNTS, min_size=1, max_size=8), st.floats(0, 0.125))
def test_weights_sum_to_1_and_keep_the_floor(arms: list[Arm], floor: float) -> None:
    weights = allocation(arms, floor)
    assert sum(weights) == pytest.approx(1)
    assert min(weights) >= floor - 1e-12


@settings(deadline=None)
@given(st.lists(COUNTS, min_size=2, max_size=5))
def test_the_order_of_arms_does_not_matter(arms: list[Arm]) -> None:
    assert allocation(arms[::-1], warm_up=0) == pytest.approx(allocation(arms, warm_up=0)[::-1], abs=1e-9)


@settings(deadline=None)
@given(COUNTS, COUNTS, COUNTS)
def test_weights_are_the_floor_and_a_share_of_the_chance_to_be_best(first: Arm, second: Arm, third: Arm) -> None:
    arms = [first, second, third]
    rng = np.random.default_rng(3)
    draws = np.array([rng.beta(1 + arm.total, 1 + arm.n - arm.total, 20_000) for arm in arms])
    shares = np.bincount(draws.argmax(0), minlength=3) / 20_000
    assert allocation(arms, floor=0.1, warm_up=0) == pytest.approx(0.1 + 0.7 * shares, abs=0.02)
