"""The test of a switchback experiment: what is left out, what is exact, and its level in simulated A/A experiments."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.experiments.permutation import Post, permutation_test
from tests.simulations.switchback import feed

POSTS = st.builds(Post, st.integers(0, 7), st.integers(0, 1), st.integers(0, 5000), st.integers(0, 50))


def posts_of(rates: list[list[float]], impressions: int = 100_000) -> list[Post]:
    """One post a slot from rates (blocks, variants)."""
    return [
        Post(block, variant, impressions, round(rate * impressions))
        for block, row in enumerate(rates)
        for variant, rate in enumerate(row)
    ]


def logs_of(posts: list[Post], n_variants: int) -> np.ndarray:
    outcomes = [math.log((post.engagements + 0.5) / (post.impressions + 1)) for post in posts]
    return np.array(outcomes).reshape(-1, n_variants)


@pytest.mark.parametrize(
    "post", [Post(0, 2, 10, 1), Post(0, -1, 10, 1), Post(0, 0, -1, 0), Post(0, 0, 10, -1)], ids=str
)
def test_what_is_no_post_of_the_experiment_is_refused(post: Post) -> None:
    with pytest.raises(ValueError, match="a post needs"):
        permutation_test([post], 2, seed=1)


@pytest.mark.parametrize("wrong", [{"n_variants": 1}, {"control": 2}, {"alpha": 0.0}, {"n_permutations": 0}])
def test_settings_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="at least 2 variants"):
        permutation_test([], **{"n_variants": 2, "seed": 1} | wrong)


def test_no_posts_have_no_p_value() -> None:
    found = permutation_test([], 3, seed=1)
    assert (found.p_value, found.comparisons, found.blocks) == (None, (), 0)


def test_posts_without_impressions_and_blocks_without_a_variant_are_left_out_and_counted() -> None:
    posts = [*posts_of([[0.01, 0.02]] * 3), Post(3, 0, 500, 5), Post(4, 0, 0, 0), Post(4, 1, 900, 9), Post(0, 1, 0, 0)]
    found = permutation_test(posts, 2, seed=1)
    assert (found.blocks, found.incomplete_blocks, found.posts_without_impressions) == (3, 2, 2)


def test_one_block_proves_nothing() -> None:
    found = permutation_test(posts_of([[0.01, 0.5]]), 2, seed=1)
    assert found.p_value == 1.0
    assert found.comparisons[0].low is None
    assert found.comparisons[0].high is None


def test_equal_posts_have_a_p_value_of_1() -> None:
    for n_variants in (2, 3):
        found = permutation_test(posts_of([[0.02] * n_variants] * 9), n_variants, seed=1)
        assert found.p_value == 1.0
        assert all(one.lift == pytest.approx(0) and one.p_value == one.p_adjusted == 1 for one in found.comparisons)


def test_averages_that_differ_by_rounding_alone_are_equal() -> None:
    counts = [(1000, 20), (3000, 50), (7, 1)]
    posts = [
        Post(block, variant, *counts[(variant + place) % 3])
        for block in range(5)
        for variant in range(3)
        for place in range(3)
    ]
    found = permutation_test(posts, 3, seed=1)
    assert found.p_value == 1.0
    assert [one.p_value for one in found.comparisons] == [1.0, 1.0]


def test_few_blocks_agree_with_all_arrangements_by_hand() -> None:
    posts = posts_of([[0.01, 0.013], [0.02, 0.021], [0.005, 0.0042], [0.03, 0.05], [0.011, 0.017], [0.02, 0.024]])
    logs = logs_of(posts, 2)
    differences = logs[:, 1] - logs[:, 0]
    means = [abs(np.mean(differences * signs)) for signs in itertools.product((1, -1), repeat=6)]
    found = permutation_test(posts, 2, seed=1)
    assert found.p_value == pytest.approx(np.mean(np.array(means) >= abs(differences.mean()) - 1e-12))
    assert found.comparisons[0].lift == pytest.approx(math.exp(differences.mean()) - 1)


def test_three_variants_agree_with_all_arrangements_by_hand() -> None:
    posts = posts_of([[0.01, 0.013, 0.02], [0.02, 0.021, 0.01], [0.005, 0.0042, 0.009], [0.03, 0.05, 0.06]])
    logs = logs_of(posts, 3)
    spread = [
        np.var([np.mean([row[order[v]] for row, order in zip(logs, orders, strict=True)]) for v in range(3)])
        for orders in itertools.product(itertools.permutations(range(3)), repeat=4)
    ]
    found = permutation_test(posts, 3, seed=1)
    assert found.p_value == pytest.approx(np.mean(np.array(spread) >= spread[0] * (1 - 1e-9)))


@pytest.mark.parametrize("n_variants", [2, 3])
def test_drawn_arrangements_agree_with_all_of_them(n_variants: int) -> None:
    rng = np.random.default_rng(4)
    blocks = {2: 14, 3: 5}[n_variants]
    rates = 0.02 * np.exp(rng.normal(0, 0.5, (blocks, n_variants)) + 0.25 * np.arange(n_variants))
    exact = permutation_test(posts_of(rates.tolist()), n_variants, seed=1)
    more = permutation_test(posts_of([*rates.tolist(), [0.02] * n_variants]), n_variants, seed=1)
    assert more.p_value == pytest.approx(exact.p_value, abs=0.12)


@settings(max_examples=50, deadline=None)
@given(st.lists(POSTS, max_size=40), st.sampled_from([0.01, 0.05, 0.1, 0.3]))
def test_the_interval_leaves_out_no_difference_exactly_where_the_test_rejects(posts: list[Post], alpha: float) -> None:
    found = permutation_test(posts, 2, seed=1, alpha=alpha, n_permutations=999)
    for one in found.comparisons:
        assert one.low is None or one.low <= one.lift + 1e-9
        assert one.high is None or one.lift - 1e-9 <= one.high
        outside = (one.low is not None and one.low > 0) or (one.high is not None and one.high < 0)
        assert outside == (one.p_value <= alpha)


@settings(max_examples=50, deadline=None)
@given(st.lists(POSTS, max_size=40))
def test_swapping_the_variants_turns_the_lift_and_keeps_the_p_value(posts: list[Post]) -> None:
    there, back = permutation_test(posts, 2, seed=1), permutation_test(posts, 2, seed=1, control=1)
    assert there.p_value == back.p_value
    for one, other in zip(there.comparisons, back.comparisons, strict=True):
        assert (1 + one.lift) * (1 + other.lift) == pytest.approx(1)
        assert one.low is None or (1 + one.low) * (1 + other.high) == pytest.approx(1)


def test_a_true_lift_is_found_and_covered() -> None:
    rng = np.random.default_rng(8)
    covered = []
    for _ in range(200):
        posts = feed(rng, n_variants=2, n_blocks=30, lift=0.3, spread=0.3)
        one = permutation_test(posts, 2, seed=1, n_permutations=999).comparisons[0]
        covered.append(one.low is not None and one.high is not None and one.low <= 0.3 <= one.high)
    assert np.mean(covered) == pytest.approx(0.95, abs=0.045)
    strong = permutation_test(feed(rng, n_variants=3, n_blocks=60, lift=1.5, spread=0.3), 3, seed=1)
    assert strong.p_value is not None
    assert strong.p_value < 0.01
    assert all(one.lift > 0 and one.p_value <= one.p_adjusted < 0.05 for one in strong.comparisons)


def test_the_same_seed_gives_the_same_answer() -> None:
    posts = feed(np.random.default_rng(1), n_variants=3, n_blocks=40)
    assert permutation_test(posts, 3, seed=5) == permutation_test(posts, 3, seed=5)


def test_impressions_are_no_units() -> None:
    few, many = (posts_of([[0.01, 0.03], [0.03, 0.01], [0.01, 0.03], [0.02, 0.03]], n) for n in (10**5, 10**8))
    assert permutation_test(few, 2, seed=1).p_value == permutation_test(many, 2, seed=1).p_value
