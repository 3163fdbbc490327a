"""The figures of a track record: planted truths are found, noise is called noise, too little is called too little."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from pipelines.outcomes.matching import StoredPrediction
from pipelines.outcomes.posts import StoredPost
from pipelines.outcomes.track_record import (
    FEWEST_MATCHES,
    TrackRecord,
    calibration_error,
    reliability,
    spearman,
    track_record,
    verdict_of,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
RNG_SEED = 7


def world(n: int, rho: float, seed: int = RNG_SEED, *, chance: float | None = None) -> TrackRecord:
    """The track record of n posts whose scores and engagements have that rank correlation, after 30 unrelated posts."""
    rng = np.random.default_rng(seed)
    normal = rng.multivariate_normal([0, 0], [[1, 2 * np.sin(np.pi * rho / 6)], [2 * np.sin(np.pi * rho / 6), 1]], n)
    # Pearson's coefficient that gives Spearman's rho in a normal pair (Pearson 1907).
    posts, predictions = [], []
    engagements = np.exp(5 + np.concatenate([rng.normal(size=30), normal[:, 1]])).astype(int)
    for number, engagement in enumerate(engagements):
        at = START + number * DAY
        text = f"post number {number} about {seed}"
        posts.append(
            StoredPost(
                post_id=str(number), posted_at=at, text=text, kind="post", source="content", likes=int(engagement),
                retweets=0, captured_at=at + 9 * DAY,
            )
        )  # fmt: skip
        if number >= 30:
            p = float(norm.cdf(0.5 * normal[number - 30, 0])) if chance is None else chance
            predictions.append(
                StoredPrediction(
                    text=text, at=at - timedelta(hours=2), version="1", viral_score=100 * p, p_beats_median=p,
                    low=10.0, high=90.0, model_score=100 * p, model_chance=p,
                )
            )  # fmt: skip
    return track_record(posts, predictions, posts)


def test_nothing_is_no_track_record() -> None:
    found = track_record([], [], [])
    assert (found.supported, found.n, found.verdict, found.matches) == (False, 0, None, ())
    assert (found.calibration.used, found.calibration.gain) == (False, None)


def test_from_25_matches_on_there_is_a_verdict_and_below_there_is_none() -> None:
    few, enough = world(FEWEST_MATCHES - 1, 0.6), world(FEWEST_MATCHES, 0.6)
    assert (few.supported, few.verdict, few.spearman, few.brier, few.bins) == (False, None, None, None, ())
    assert str(FEWEST_MATCHES) in few.note
    assert len(few.matches) == FEWEST_MATCHES - 1
    assert enough.supported
    assert enough.verdict is not None


def test_scores_that_never_change_get_no_verdict() -> None:
    found = world(40, 0.5, chance=0.5)
    assert (found.supported, found.verdict, found.spearman, found.spearman_interval) == (True, None, None, None)
    assert found.brier == 0.25


@pytest.mark.parametrize(("rho", "verdict"), [(0.5, "predictive"), (0.0, "none"), (-0.4, "inverted")])
def test_a_planted_correlation_gets_its_verdict(rho: float, verdict: str) -> None:
    found = [world(200, rho, seed).verdict for seed in range(7)]
    assert found.count(verdict) >= 6


@pytest.mark.parametrize(
    ("rho", "interval", "verdict"),
    [
        (0.30, (0.12, 0.46), "predictive"),
        (0.30, (0.11, 0.47), "weak"),
        (0.29, (0.15, 0.40), "weak"),
        (0.12, (0.01, 0.23), "weak"),
        (0.12, (0.0, 0.24), "none"),
        (0.45, (-0.01, 0.75), "none"),
        (0.11, (0.05, 0.17), "none"),
        (-0.12, (-0.23, -0.01), "inverted"),
        (-0.40, (-0.70, 0.01), "none"),
        (-0.11, (-0.17, -0.05), "none"),
    ],
)
def test_a_verdict_heeds_its_threshold_and_its_interval(rho: float, interval: tuple, verdict: str) -> None:
    assert verdict_of(rho, interval) == verdict


def test_the_interval_of_the_rank_correlation_holds_the_truth_19_times_of_20() -> None:
    rng = np.random.default_rng(11)
    rho = 0.5
    r = 2 * np.sin(np.pi * rho / 6)
    held = 0
    for _ in range(600):
        x, y = rng.multivariate_normal([0, 0], [[1, r], [r, 1]], 60).T
        found = spearman(x, y)
        assert found is not None
        held += found[1][0] <= rho <= found[1][1]
    assert 0.925 <= held / 600 <= 0.975


def test_the_interval_is_that_of_bonett_and_wright() -> None:
    x = np.arange(30.0)
    y = np.r_[x[1::2], x[::2]]
    rho, (low, high) = spearman(x, y) or (0.0, (0.0, 0.0))
    error = norm.ppf(0.975) * np.sqrt((1 + rho**2 / 2) / 27)
    assert (low, high) == pytest.approx((np.tanh(np.arctanh(rho) - error), np.tanh(np.arctanh(rho) + error)))


def test_bins_hold_every_post_once_and_their_share_with_its_interval() -> None:
    chances, beats = np.linspace(0.1, 0.9, 47), (np.arange(47) % 3 == 0).astype(float)
    bins = reliability(chances, beats)
    assert [one.n for one in bins] == [12, 12, 12, 11]
    assert sum(one.n * one.observed for one in bins) == pytest.approx(beats.sum(), abs=0.01)
    first = binomtest(int(beats[:12].sum()), 12).proportion_ci(method="wilson")
    assert bins[0].interval == pytest.approx((first.low, first.high), abs=1e-4)
    assert bins[0].high < bins[1].low


def test_the_calibration_error_of_right_chances_is_what_chance_makes_of_them() -> None:
    rng = np.random.default_rng(5)
    chances = rng.uniform(0.1, 0.9, 200)
    right, wrong = (rng.random((300, 200)) < p for p in (chances, 1 - chances))
    assert calibration_error(chances, right.astype(float)).mean() < 0.1
    assert calibration_error(chances, wrong.astype(float)).mean() > 0.3


def test_brier_base_rate_and_coverage_are_sums_over_the_matches() -> None:
    found = world(40, 0.5)
    beats = np.array([match.beats_median for match in found.matches], float)
    chances = np.array([match.p_beats_median for match in found.matches])
    held = sum(10 <= match.outcome <= 90 for match in found.matches)
    assert found.n == found.coverage_n == len(found.matches) == 40
    assert found.brier == pytest.approx(((chances - beats) ** 2).mean(), abs=1e-4)
    assert found.brier_of_base_rate == pytest.approx(beats.mean() * (1 - beats.mean()), abs=1e-4)
    assert found.coverage == pytest.approx(held / 40, abs=1e-4)
    known = binomtest(held, 40).proportion_ci(method="wilson")
    assert found.coverage_interval == pytest.approx((known.low, known.high), abs=1e-4)


def test_the_latest_matches_are_shown_cut_short_the_newest_first() -> None:
    found = world(60, 0.3)
    assert len(found.matches) == 50
    moments = [match.posted_at for match in found.matches]
    assert moments == sorted(moments, reverse=True)
    long = "words and " * 40
    posts = [
        StoredPost(
            post_id=str(n), posted_at=START + n * DAY, text=long if n == 20 else f"{n}", kind="post", source=None,
            likes=n, retweets=0, captured_at=START + 99 * DAY,
        )
        for n in range(21)
    ]  # fmt: skip
    said = StoredPrediction(
        text=long, at=START + 19 * DAY, version=None, viral_score=5.0, p_beats_median=0.2, low=None, high=None,
        model_score=5.0, model_chance=0.2,
    )  # fmt: skip
    (match,) = track_record(posts, [said], posts).matches
    assert len(match.post_text) == len(match.predicted_text) == 80
    assert match.post_text.endswith("words and\u2026")
    assert match.interval is None
