"""Shrinkage: what is left of a lift, and that choosing winners does not bias it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import norm

from pipelines.experiments.arms import Arm
from pipelines.experiments.bayes import UPWORTHY_PRIOR_SD, shrunk_log_odds, shrunk_relative_lift

COUNTS = st.integers(1, 5000).flatmap(lambda n: st.integers(0, n).map(lambda total: Arm(n, total)))


@pytest.mark.parametrize(("prior_sd", "design_effect"), [(0.0, 1.0), (-1.0, 1.0), (0.4, 0.9), (math.nan, 1.0)])
def test_a_prior_or_design_effect_that_cannot_be_is_refused(prior_sd: float, design_effect: float) -> None:
    with pytest.raises(ValueError, match="prior_sd"):
        shrunk_log_odds(Arm(10, 1), Arm(10, 1), prior_sd, design_effect)


def test_an_empty_arm_has_no_lift() -> None:
    assert shrunk_log_odds(Arm(0, 0), Arm(10, 1)) is None
    assert shrunk_relative_lift(Arm(10, 1), Arm(0, 0)) is None


@given(COUNTS, COUNTS)
def test_every_pair_of_counts_has_a_lift_within_its_interval(control: Arm, variant: Arm) -> None:
    lift = shrunk_relative_lift(control, variant)
    assert lift is not None
    assert -1 < lift.low < lift.high
    assert lift.low < lift.estimate < lift.high


@given(COUNTS, COUNTS)
def test_swapping_the_arms_turns_the_sign(control: Arm, variant: Arm) -> None:
    there, back = shrunk_log_odds(control, variant), shrunk_log_odds(variant, control)
    assert there is not None
    assert back is not None
    assert there.estimate == pytest.approx(-back.estimate)
    assert there.sd == pytest.approx(back.sd)


@given(COUNTS, COUNTS, st.floats(1, 10))
def test_clusters_shrink_more_and_know_less(control: Arm, variant: Arm, effect: float) -> None:
    plain, clustered = shrunk_log_odds(control, variant), shrunk_log_odds(control, variant, design_effect=effect)
    assert plain is not None
    assert clustered is not None
    assert abs(clustered.estimate) <= abs(plain.estimate) + 1e-12
    assert plain.sd - 1e-12 <= clustered.sd <= UPWORTHY_PRIOR_SD


def test_a_wide_prior_keeps_the_observed_ratio() -> None:
    wide = shrunk_log_odds(Arm(1000, 100), Arm(1000, 150), prior_sd=1000.0)
    assert wide is not None
    assert wide.estimate == pytest.approx(math.log(150.5 / 850.5) - math.log(100.5 / 900.5), rel=1e-6)


def test_among_winners_the_shrunk_lift_is_unbiased_and_the_raw_one_is_not() -> None:
    rng = np.random.default_rng(11)
    n, runs = 10_000, 20_000
    base = rng.beta(1.79, 137.7, runs).clip(0.004, 0.1)
    true = rng.normal(0, UPWORTHY_PRIOR_SD, runs)
    rates = base, expit(logit(base) + true)
    control, variant = rng.binomial(n, rates[0]), rng.binomial(n, rates[1])
    pooled = (control + variant) / (2 * n)
    z = (variant - control) / np.sqrt(2 * n * np.maximum(pooled * (1 - pooled), 1e-9))
    winners = np.flatnonzero(z > norm.isf(0.025))
    raw = variant[winners] / np.maximum(control[winners], 0.5) - 1
    lifts = [shrunk_relative_lift(Arm(n, int(control[i])), Arm(n, int(variant[i]))) for i in winners]
    shrunk = np.array([lift.estimate for lift in lifts if lift is not None])
    truth = (rates[1] / rates[0] - 1)[winners]
    error = (shrunk - truth).std() / math.sqrt(len(winners))
    assert abs((shrunk - truth).mean()) < 3 * error
    assert (raw - truth).mean() > 20 * error
