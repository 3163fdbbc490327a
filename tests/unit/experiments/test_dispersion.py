"""The overdispersion guard: correlation of clusters, dispersion of days, and that guarded intervals hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import norm, t
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM

from pipelines.experiments.arms import Arm
from pipelines.experiments.dispersion import (
    dispersion_of_days,
    effective,
    intraclass_correlation,
)

COUNTS = st.integers(0, 500).flatmap(lambda n: st.integers(0, n).map(lambda total: Arm(n, total)))
Cells = list[list[Arm]]


def cells_of(n: np.ndarray, total: np.ndarray) -> Cells:
    return [[Arm(*cell) for cell in zip(*rows, strict=True)] for rows in zip(n.tolist(), total.tolist(), strict=True)]


def test_a_design_effect_below_1_is_refused() -> None:
    for wrong in (0.99, 0.0, math.nan):
        with pytest.raises(ValueError, match="at least 1"):
            effective(Arm(10, 1), wrong)


@pytest.mark.parametrize(
    "clusters",
    [
        [],
        [[]],
        [[Arm(5, 1)], [Arm(9, 3)]],
        [[Arm(1, 1), Arm(1, 0)]],
        [[Arm(0, 0), Arm(0, 0), Arm(5, 1)]],
        [[Arm(5, 0), Arm(9, 0)]],
        [[Arm(5, 5), Arm(9, 9)]],
    ],
)
def test_what_tells_no_correlation_gives_none(clusters: Cells) -> None:
    assert intraclass_correlation(clusters) is None


@pytest.mark.parametrize(
    "cells",
    [
        [],
        [[], []],
        [[Arm(100, 5)] * 9],
        [[Arm(100, 5)] * 2] * 2,
        [[Arm(100, 0)] * 9] * 2,
        [[Arm(100, 100)] * 9] * 2,
        [[Arm(100, 0)] * 9, [Arm(100, 5)] * 9],
        [[Arm(0, 0)] * 9, [Arm(100, 5)] * 9],
        [[Arm(100, 5)] * 2 + [Arm(100, 0)] * 5] * 2,
        [[Arm(100, 5), Arm(0, 0)] * 5, [Arm(0, 0), Arm(100, 5)] * 5],
    ],
)
def test_too_few_days_that_tell_something_give_none(cells: Cells) -> None:
    assert dispersion_of_days(cells) is None


@settings(deadline=None)
@given(st.lists(st.lists(COUNTS, min_size=4, max_size=4), min_size=2, max_size=4))
def test_any_counts_have_a_dispersion_of_at_least_1_or_none(cells: Cells) -> None:
    found = dispersion_of_days(cells)
    assert found is None or 1 <= found < math.inf


@settings(deadline=None)
@example([[Arm(1, 0), Arm(1, 0), Arm(2, 1)]])
@given(st.lists(st.lists(COUNTS, min_size=2, max_size=6), min_size=1, max_size=4))
def test_correlation_lies_within_its_range_and_ignores_order(clusters: Cells) -> None:
    found = intraclass_correlation(clusters)
    if found is None:
        return
    assert -1 - 1e-9 <= found <= 1 + 1e-9
    assert intraclass_correlation([group[::-1] for group in clusters[::-1]]) == pytest.approx(found, abs=1e-9)


def test_units_that_copy_their_cluster_are_worth_one_each() -> None:
    clusters = [[Arm(8, 8), Arm(8, 0), Arm(8, 0), Arm(8, 8)]]
    assert intraclass_correlation(clusters) == pytest.approx(1)
    assert effective(Arm(32, 16), 8) == Arm(4, 2)


def test_correlation_agrees_with_the_analysis_of_variance_of_single_units() -> None:
    units = [np.array([1, 1, 0, 1.0]), np.array([0, 0, 1.0]), np.array([0, 0, 0, 0, 1.0])]
    pooled = np.concatenate(units)
    between = sum(len(cluster) * (cluster.mean() - pooled.mean()) ** 2 for cluster in units) / 2
    within = sum(((cluster - cluster.mean()) ** 2).sum() for cluster in units) / 9
    size = (12 - (16 + 9 + 25) / 12) / 2
    expected = (between - within) / (between + (size - 1) * within)
    assert intraclass_correlation([[Arm(len(c), c.sum()) for c in units]]) == pytest.approx(expected)


def test_the_correlation_of_a_beta_binomial_is_found() -> None:
    rng = np.random.default_rng(5)
    sizes = rng.integers(2, 40, (2, 4000))
    rates = np.array([rng.beta(1.8, 7.2, 4000), rng.beta(4.5, 4.5, 4000)])
    assert intraclass_correlation(cells_of(sizes, rng.binomial(sizes, rates))) == pytest.approx(0.1, abs=0.01)


def test_effective_counts_keep_the_rate_and_widen_the_error() -> None:
    found = effective(Arm(1000, 100), 1.36**2)
    assert found.mean == pytest.approx(0.1)
    assert math.sqrt(found.variance / found.n) == pytest.approx(1.36 * math.sqrt(0.09 / 1000))


def test_what_moves_all_variants_of_a_day_alike_is_no_dispersion() -> None:
    days = [Arm(1000, 10), Arm(1000, 400), Arm(1000, 90), Arm(1000, 700)]
    assert dispersion_of_days([days, days]) == 1


def test_guarded_intervals_cover_where_plain_ones_do_not() -> None:
    rng = np.random.default_rng(9)
    runs, days, n, rate, correlation = 1500, 14, 2000, 0.03, 0.002
    spread = (1 - correlation) / correlation
    common = rate * np.exp(rng.normal(0, 0.3, (runs, 1, days)))
    rates = rng.beta(common * spread, (1 - common) * spread, (runs, 2, days))
    totals = rng.binomial(n, rates)
    sums = totals.sum(2) / (n * days)
    error = np.sqrt((sums * (1 - sums)).sum(1) / (n * days))
    difference = np.abs(sums[:, 0] - sums[:, 1])
    guard = np.array([dispersion_of_days(cells_of(np.full((2, days), n), total)) for total in totals], float)
    assert (difference <= norm.isf(0.025) * error).mean() < 0.8
    assert 0.93 <= (difference <= norm.isf(0.025) * error * np.sqrt(guard)).mean() <= 0.97


def test_the_fit_is_the_maximum_likelihood_of_statsmodels() -> None:
    rng = np.random.default_rng(2)
    n = np.full((3, 8), 700)
    total = rng.binomial(n, rng.uniform(0.02, 0.3, (3, 8)))
    design = np.column_stack([np.tile(np.eye(8), (3, 1)), np.repeat(np.eye(3), 8, 0)[:, 1:]])
    counts = np.column_stack([total.ravel(), (n - total).ravel()])
    pearson = GLM(counts, design, family=Binomial()).fit().pearson_chi2
    assert dispersion_of_days(cells_of(n, total)) == pytest.approx(
        pearson / 14 * (t.isf(0.025, 14) / norm.isf(0.025)) ** 2, rel=1e-6
    )


def test_what_is_beyond_binomial_counts_more_where_a_large_day_has_it() -> None:
    rng = np.random.default_rng(6)
    n = np.array([[300, 400, 500, 4000]] * 2)
    total = rng.binomial(n, rng.uniform(0.02, 0.1, (2, 4)))
    pearson = GLM(
        np.column_stack([total.ravel(), (n - total).ravel()]),
        np.column_stack([np.tile(np.eye(4), (2, 1)), [0] * 4 + [1] * 4]),
        family=Binomial(),
    ).fit()
    beyond = pearson.pearson_chi2 / 3 - 1
    own_day, mean_day = (n[0] ** 2).sum() / n[0].sum(), n[0].mean()
    expected = (1 + beyond * own_day / mean_day) * (t.isf(0.025, 3) / norm.isf(0.025)) ** 2
    assert beyond > 1
    assert dispersion_of_days(cells_of(n, total)) == pytest.approx(expected, rel=1e-6)
