"""Assignment: the hash of the GrowthBook SDKs, its ranges, and what a fair and sticky split must show."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare

from pipelines.experiments.assignment import assign, assign_all, bucket, ranges

UNITS = [f"user-{number}" for number in range(60_000)]


@pytest.mark.parametrize("weights", [[], [0.5, 0.4], [1.2, -0.2], [float("nan"), 1.0], [float("inf")], [0.0, 0.0]])
def test_weights_that_are_no_shares_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        ranges(weights)


@pytest.mark.parametrize(
    ("seed", "unit", "expected"),
    [
        ("seed", "a", 0.0505),
        ("seed", "b", 0.2696),
        ("foo", "ab", 0.2575),
        ("foo", "def", 0.2019),
        ("89123klj", "8952klfjas09ujkasdf", 0.124),
        ("90850943850283058242805", "123", 0.7516),
        ("()**(%$##$%#$#", '___)((*":&', 0.0128),
    ],
)
def test_the_cases_of_the_sdk_are_met(seed: str, unit: str, expected: float) -> None:
    assert bucket(seed, unit) == expected


@given(st.text(), st.text())
def test_every_text_has_a_bucket(seed: str, unit: str) -> None:
    assert 0 <= bucket(seed, unit) < 1


def test_a_character_beyond_the_basic_plane_counts_as_its_two_code_units() -> None:
    assert bucket("", "\U0001f600") == bucket("", "\ud83d\ude00") != bucket("", "\uf600")


@given(st.text(), st.lists(st.text(st.characters(exclude_categories=[])), max_size=20))
def test_many_units_at_once_are_assigned_as_one_at_a_time(seed: str, units: list[str]) -> None:
    weights = [0.2, 0.0, 0.5, 0.3]
    assert assign_all(seed, units, weights).tolist() == [assign(seed, unit, weights) for unit in units]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20).filter(lambda weights: sum(weights) > 0.01))
def test_ranges_follow_each_other_from_0_to_1(raw: list[float]) -> None:
    total = sum(raw)
    found = ranges([weight / total for weight in raw])
    assert [start for start, _ in found] == [0.0, *(end for _, end in found[:-1])]
    assert found[-1][1] == 1.0
    assert all(
        end - start == pytest.approx(weight / total, abs=1e-9) for (start, end), weight in zip(found, raw, strict=True)
    )


def test_every_unit_gets_a_variant_where_rounding_leaves_the_last_range_short() -> None:
    short = [0.5, 0.4999992]
    last = next(unit for unit in UNITS if bucket("short", unit) == 0.9999)
    assert assign("short", last, short) == 1
    assert assign("short", last, [*short, 0.0]) == 1


def test_a_weight_of_0_gets_nobody() -> None:
    assert set(assign_all("zero", UNITS, [0.0, 0.5, 0.0, 0.5, 0.0])) == {1, 3}


@pytest.mark.parametrize("weights", [[0.5, 0.5], [0.2, 0.8], [0.1, 0.2, 0.3, 0.4], [0.05] * 20])
def test_variants_get_their_shares(weights: list[float]) -> None:
    counts = np.bincount(assign_all("shares", UNITS, weights), minlength=len(weights))
    assert chisquare(counts, np.array(weights) * len(UNITS)).pvalue > 0.001


def test_buckets_are_uniform() -> None:
    counts = np.bincount(assign_all("uniform", UNITS, [0.001] * 1000), minlength=1000)
    assert 0.001 < chisquare(counts).pvalue < 0.999


def test_two_experiments_split_the_same_units_independently() -> None:
    first, second = (assign_all(seed, UNITS, [0.25] * 4) for seed in ("launch-1", "launch-2"))
    table = np.histogram2d(first, second, bins=4)[0]
    assert chi2_contingency(table).pvalue > 0.001


def test_a_unit_keeps_its_variant_whoever_else_is_asked() -> None:
    alone = [assign_all("sticky", [unit], [0.5, 0.5])[0] for unit in UNITS[:50]]
    assert assign_all("sticky", UNITS[::-1], [0.5, 0.5])[::-1][:50].tolist() == alone


def test_no_units_are_no_variants() -> None:
    assert assign_all("none", [], [0.5, 0.5]).tolist() == []
