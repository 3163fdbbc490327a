import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from pipelines.records import Draft, Post
from training.specification import WEIGHTS, features, fixed, forest

NOON = datetime(2024, 3, 5, 12, tzinfo=UTC)
NAMES = list(WEIGHTS)


def history(n, first_day=2):
    """Posts about tea, of which those of the last week are about chess and did better."""
    return tuple(
        Post(
            text="chess #club" if first_day + i < 7 else "tea today",
            created_at=NOON - timedelta(days=first_day + i),
            likes=n - i,
            retweets=0,
        )
        for i in range(n)
    )


def known(text, **context):
    return dict(zip(NAMES, features([Draft(text=text, **context)])[0], strict=True))


def test_the_weights_sum_to_one():
    assert sum(WEIGHTS.values()) == pytest.approx(1.0)


def test_without_history_only_the_text_is_known():
    found = known("Great news #club", posted_at=NOON)
    assert {name for name, value in found.items() if not math.isnan(value)} == {"sentiment_score", "content_quality"}
    assert found["sentiment_score"] > 0.5 > known("Terrible news")["sentiment_score"]


def test_with_history_everything_is_known_and_in_range():
    found = known("chess #club #other", posted_at=NOON, history=history(40))
    assert all(0.0 <= value <= 1.0 for value in found.values())
    assert found["hashtag_relevance"] == 0.5
    assert found["audience_engagement"] > 0.5
    assert found["trend_alignment"] > known("tea today", posted_at=NOON, history=history(40))["trend_alignment"]


def test_a_trend_needs_posts_of_the_last_week_and_of_before():
    assert math.isnan(known("chess", posted_at=NOON, history=history(40, first_day=9))["trend_alignment"])
    assert math.isnan(known("chess", posted_at=NOON, history=history(4))["trend_alignment"])


def test_what_is_missing_weighs_nothing():
    row = np.full((1, 6), np.nan)
    row[0, NAMES.index("timing_score")] = 0.5
    assert fixed(row)[0] == pytest.approx(50.0)


def test_the_forest_learns_from_what_is_known_and_may_leave_a_feature_out():
    draw = np.random.default_rng(0)
    rows = draw.random((400, 6))
    rows[draw.random((400, 6)) < 0.2] = np.nan
    outcome = 100.0 * np.nan_to_num(rows[:, 0], nan=0.5)
    errors = [float(np.abs(forest(rows, outcome, kept)(rows) - outcome).mean()) for kept in (None, np.arange(6) != 0)]
    assert errors[0] < 3.0 < errors[1]
