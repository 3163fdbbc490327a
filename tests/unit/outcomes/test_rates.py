"""Rates of posts: unknown stays unknown, and intervals hold as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.outcomes.rates import RatioSums, difference


@pytest.mark.parametrize("pairs", [[], [(0, 0)], [(0, 5), (0, 1)]])
def test_without_impressions_there_is_no_rate(pairs: list[tuple[int, int]]) -> None:
    sums = RatioSums.of(pairs)

    assert (sums.rate, sums.interval()) == (None, None)
    assert difference(sums, RatioSums.of([(10, 1), (20, 3)])) is None


def test_one_post_has_a_rate_and_no_interval() -> None:
    one, many = RatioSums.of([(100, 7)]), RatioSums.of([(100, 5), (300, 10)])

    assert (one.rate, one.interval()) == (0.07, None)
    assert difference(one, many) == (pytest.approx(0.07 - 0.0375), None)


def test_posts_that_all_did_the_same_show_no_spread() -> None:
    same = RatioSums.of([(100, 5), (200, 10)])

    assert difference(same, same) == (0.0, None)


def test_intervals_of_the_difference_hold_for_posts_that_differ_among_themselves() -> None:
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(400):
        sides = []
        for n in (25, 40):
            seen = rng.integers(200, 3000, n)
            sides.append(RatioSums.of(zip(seen.tolist(), rng.binomial(seen, rng.beta(3, 97, n)).tolist(), strict=True)))
        _, interval = difference(*sides) or (0, None)
        assert interval is not None
        held += interval[0] <= 0 <= interval[1]

    assert 0.92 <= held / 400 <= 0.98
