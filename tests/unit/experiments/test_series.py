"""The points of a series say what the results say of the same counts, and its boundary is where a test is called."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from pipelines.experiments.analysis import Split, analyze
from pipelines.experiments.arms import Arm
from pipelines.experiments.records import Allocation, Correction, Method, Plan, PostCounts
from pipelines.experiments.series import Series, series_of_posts, series_of_split
from pipelines.experiments.switchback import Alternation, schedule

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
TESTS = [("sequential", "equal"), ("fixed", "equal"), ("sequential", "bandit")]
NAMES = ("control", "b", "c", "d")


def split(*rates: float, units: int = 400, days: int = 4) -> Split:
    """Each variant with its rate of engagement, alike on each day."""
    cells = tuple(tuple(Arm(units, round(units * rate)) for _ in range(days)) for rate in rates)
    return Split(names=NAMES[: len(rates)], control=0, weights=(1 / len(rates),) * len(rates), cells=cells)


def plan(method: Method = "sequential", allocation: Allocation = "equal", correction: Correction = "holm") -> Plan:
    baseline = 0.1 if method == "fixed" else None
    return Plan(control="control", channel="owned", method=method, allocation=allocation, correction=correction,
                baseline_rate=baseline, mde=0.5)  # fmt: skip


def went(of: Plan, *splits: Split) -> Series:
    return series_of_split(of, [(START + timedelta(hours=hour), each) for hour, each in enumerate(splits)])


def test_without_units_there_is_no_point_and_without_a_look_no_series() -> None:
    assert went(plan(), split(0.1, 0.1, units=0)).points == ()
    with pytest.raises(ValueError, match="a series needs a look"):
        series_of_split(plan(), [])


def test_a_handful_of_units_has_no_statistic_and_no_boundary() -> None:
    (point,) = went(plan(), split(0.1, 0.1, units=3)).points

    assert point.variants["b"].statistic is None
    assert point.variants["b"].boundary is None
    assert point.variants["b"].always_valid_interval is None


@pytest.mark.parametrize(
    ("method", "allocation"), [("sequential", "equal"), ("fixed", "equal"), ("sequential", "bandit")]
)
def test_a_point_says_what_the_results_of_its_counts_say(method: Method, allocation: Allocation) -> None:
    looks = [split(0.10, 0.12, 0.15, days=days) for days in (1, 3, 5)]

    for point, counts in zip(went(plan(method, allocation), *looks).points, looks, strict=True):
        results = analyze(plan(method, allocation), counts)
        assert point.srm_p == results.srm_p
        assert point.units == sum(variant.impressions for variant in results.variants)
        for variant in results.variants:
            standing = point.variants[variant.name]
            assert (standing.impressions, standing.engagements) == (variant.impressions, variant.engagements)
            assert (standing.rate, standing.interval) == (variant.rate, variant.interval)
        for name, lift in results.lift.items():
            standing = point.variants[name]
            assert standing.relative == lift.relative
            assert standing.relative_interval == lift.relative_interval
            assert standing.always_valid_interval == lift.always_valid_interval
            assert standing.adjusted_p_value == results.tests[name].adjusted_p_value
            assert standing.adjusted_always_valid_p == results.tests[name].adjusted_always_valid_p


@pytest.mark.parametrize("correction", ["holm", "benjamini_hochberg"])
@pytest.mark.parametrize(
    ("method", "allocation"), [("sequential", "equal"), ("fixed", "equal"), ("sequential", "bandit")]
)
def test_the_boundary_is_crossed_exactly_where_the_adjusted_p_value_calls_a_difference(
    method: Method, allocation: Allocation, correction: Correction
) -> None:
    of = plan(method, allocation, correction)
    crossed = 0
    for rates in product((0.06, 0.1, 0.125, 0.14, 0.19), repeat=3):
        for standing in list(went(of, split(0.1, *rates)).points[0].variants.values())[1:]:
            p = standing.adjusted_p_value if method == "fixed" else standing.adjusted_always_valid_p
            assert standing.statistic is not None
            assert standing.boundary is not None
            assert p is not None
            assert (abs(standing.statistic) >= standing.boundary) == (p <= of.alpha)
            crossed += p <= of.alpha
    assert 50 < crossed < 325


def test_a_fixed_test_has_no_boundary_before_its_size() -> None:
    early, late = went(plan("fixed"), split(0.1, 0.2, units=50, days=1), split(0.1, 0.2, units=1000)).points

    assert early.variants["b"].boundary is None
    assert late.variants["b"].boundary == pytest.approx(1.96, abs=0.001)


def test_the_blocks_of_a_switchback_are_its_slots_with_posts_and_their_mean_rate() -> None:
    slots = schedule(START, 2, slot_minutes=60, washout_minutes=10, n_blocks=6, seed=1)
    first, second = slots[:2]
    posts = [
        PostCounts(post_id="1", posted_at=first.start, impressions=99, likes=9, retweets=0, captured_at=START),
        PostCounts(post_id="2", posted_at=first.start, impressions=99, likes=39, retweets=0, captured_at=START),
        PostCounts(post_id="3", posted_at=second.start, impressions=None, likes=9, retweets=0, captured_at=START),
        PostCounts(post_id="4", posted_at=first.end, impressions=99, likes=9, retweets=0, captured_at=START),
    ]
    names = ("control", "b")
    found = Alternation(names=names, control=0, slots=slots, posts=tuple(posts), seed=1, over=False)

    one, other = series_of_posts(Plan(control="control", design="switchback"), found).blocks

    assert (one.block, one.start, one.variant, one.posts) == (0, first.start, names[first.variant_index], 2)
    assert one.rate == pytest.approx((0.095 * 0.395) ** 0.5)
    # Impressions that nobody knows are no rate of 0.
    assert (other.posts, other.rate) == (1, None)
