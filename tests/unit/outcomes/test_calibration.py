"""An account's own correction of its scores: refused on noise and little, taken where it helps, never a reversal."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy.special import expit, logit

from pipelines.outcomes.calibration import (
    FEWEST_MATCHES,
    Calibration,
    Maps,
    calibrated,
    columns,
    fit,
    map_chance,
    map_score,
    personal,
)
from pipelines.outcomes.matching import Match, StoredPrediction
from pipelines.outcomes.posts import StoredPost
from pipelines.results import OwnRecord, Prediction, Subscores, Uncalibrated

START = datetime(2026, 1, 1, tzinfo=UTC)
PREDICTION = Prediction(
    viral_score=62.5,
    p_beats_median=0.7,
    interval=(20.0, 95.0),
    base=50.0,
    contributions={"words": 10.25, "time": 2.25},
    subscores=Subscores(wording=10.25, author=None, time=2.25),
    evidence=OwnRecord(30),
    method="sum",
)
NO_CHANGE = Maps(chance=(0.0, 1.0), score=(0.0, 1.0))


def matches(n: int, shift: float, slope: float, seed: int, version: str = "1") -> list[Match]:
    """Matches whose true chance has the logit shift + slope x that of what was said."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 0.6, n)
    beats = rng.random(n) < expit(shift + slope * logits)
    outcomes = np.where(beats, 50.0, 0.0) + 50.0 * rng.random(n)
    found = []
    for number in range(n):
        at = START + timedelta(days=number)
        p = float(expit(logits[number]))
        found.append(
            Match(
                post=StoredPost(post_id=f"{number}", posted_at=at, text="", kind="post", source=None, captured_at=at),
                prediction=StoredPrediction(
                    text="", at=at, version=version, viral_score=1.0, p_beats_median=0.01, low=None, high=None,
                    model_score=25 + 50 * p, model_chance=p,
                ),
                similarity=1.0,
                outcome=float(outcomes[number]),
                beats=bool(beats[number]),
            )
        )  # fmt: skip
    return found


def test_too_few_outcomes_calibrate_nothing() -> None:
    for n in (0, 1, FEWEST_MATCHES - 1):
        calibration, judged = personal(matches(n, 3.0, 1.0, seed=1))
        assert calibration is None
        assert (judged.used, judged.n, judged.gain) == (False, n, None)


def test_outcomes_of_an_older_model_do_not_count() -> None:
    both = [*matches(200, 1.5, 1.0, seed=1, version="old"), *matches(10, 1.5, 1.0, seed=2, version="new")]
    calibration, judged = personal(both)
    assert (calibration, judged.n) == (None, 10)


def test_noise_is_refused() -> None:
    taken = [personal(matches(n, 0.0, 1.0, seed))[0] for n in (50, 200) for seed in range(25)]
    assert sum(calibration is not None for calibration in taken) <= 4


@pytest.mark.parametrize(("shift", "slope"), [(1.0, 1.0), (-1.0, 1.0), (0.0, -1.0), (-0.6, 0.0)])
def test_a_planted_distortion_is_found_and_helps_on_posts_that_were_not_seen(shift: float, slope: float) -> None:
    taken = 0
    for seed in range(8):
        calibration, judged = personal(matches(500, shift, slope, seed))
        if calibration is None:
            continue
        taken += 1
        assert judged.used
        assert judged.gain_interval is not None
        assert judged.gain_interval[0] > 0
        assert (calibration.n, calibration.version) == (500, "1")
        chances, scores, beats, outcomes = columns(matches(400, shift, slope, seed + 1000))
        assert ((map_chance(chances, calibration.maps) - beats) ** 2).mean() < ((chances - beats) ** 2).mean()
        assert abs(map_score(scores, calibration.maps) - outcomes).mean() < abs(scores - outcomes).mean()
    assert taken >= 6


def test_the_fewer_outcomes_the_nearer_to_no_change() -> None:
    maps = [fit(*columns(matches(n, 1.0, 1.0, seed=3))) for n in (1, 10, 100, 3000)]
    shifts = [one.chance[0] for one in maps]
    assert abs(shifts[0]) < 0.2 < abs(shifts[2])
    assert shifts[3] == pytest.approx(1.0, abs=0.1)
    assert abs(maps[0].score[0]) < 4.0
    assert maps[3].score[0] > 8.0


def test_an_account_where_higher_scores_did_worse_is_told_nothing_by_them_but_never_the_contrary() -> None:
    maps = fit(*columns(matches(3000, 0.0, -2.0, seed=4)))
    low, high = map_chance(np.array([0.2, 0.8]), maps)
    assert 0.0 <= high - low < 0.02
    low, high = map_score(np.array([10.0, 90.0]), maps)
    assert high == pytest.approx(low)


def test_without_a_calibration_and_without_a_score_a_prediction_stays_as_it_is() -> None:
    unscored = replace(PREDICTION, viral_score=None, p_beats_median=None, interval=None, supported=False)
    assert calibrated(PREDICTION, None) is PREDICTION
    assert calibrated(unscored, Calibration(Maps((1.0, 1.0), (9.0, 1.0)), "1", 60)) is unscored


@pytest.mark.parametrize(
    "maps",
    [NO_CHANGE, Maps((0.5, 0.4), (8.3, 0.31)), Maps((-3.0, 1.2), (-90.0, 1.7)), Maps((9.0, 0.0), (99.0, 0.0))],
)
@pytest.mark.parametrize("score", [0.0, 3.1, 50.0, 62.5, 99.9, 100.0])
def test_contributions_still_sum_to_the_score_and_everything_stays_in_range(maps: Maps, score: float) -> None:
    said = replace(PREDICTION, viral_score=score, contributions={"words": score - 50.0}, interval=(0.0, 100.0))
    found = calibrated(said, Calibration(maps, "1", 77))
    assert found.viral_score is not None
    assert found.interval is not None
    assert found.base + sum(found.contributions.values()) == pytest.approx(found.viral_score, abs=1e-6)
    assert 0.0 <= found.interval[0] <= found.viral_score <= found.interval[1] <= 100.0
    assert 0.0 < (found.p_beats_median or 0.0) <= 1.0
    assert found.evidence == OwnRecord(30, outcomes=77)
    assert found.uncalibrated == Uncalibrated(score, 0.7, (0.0, 100.0))


def test_a_calibration_moves_chance_score_and_range_as_its_maps_say() -> None:
    found = calibrated(PREDICTION, Calibration(Maps((0.25, 0.5), (-4.0, 0.8)), "1", 60))
    assert found.viral_score == 50 - 4 + 0.8 * 12.5
    assert found.p_beats_median == pytest.approx(expit(0.25 + 0.5 * logit(0.7)), abs=5e-4)
    assert found.contributions["calibration"] == pytest.approx(-6.5)
    assert found.interval == (math.floor(20 - 6.5), math.ceil(95 - 6.5))
    assert calibrated(PREDICTION, Calibration(NO_CHANGE, "1", 60)).viral_score == 62.5
