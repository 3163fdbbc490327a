"""An account's posts in a few figures."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from pipelines.outcomes.posts import StoredPost
from pipelines.outcomes.summary import _interval_of_median, summary

FIRST = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")


def post(number: int, likes: int | None, impressions: int | None = 1000, days: int = 0) -> StoredPost:
    return StoredPost(
        post_id=str(number),
        posted_at=FIRST + timedelta(days=days),
        text="hello",
        kind="post",
        source="content",
        captured_at=FIRST + timedelta(days=400),
        likes=likes,
        retweets=0,
        impressions=impressions,
    )


def test_of_no_posts_nothing_is_said() -> None:
    found = summary([], UTC_ZONE)
    assert (found.posts, found.first_posted_at, found.median_engagement, found.median_interval) == (0, None, None, None)
    assert (found.rates, found.days) == ((), ())


def test_what_is_unknown_is_no_zero() -> None:
    found = summary([post(1, None), post(2, 10, impressions=None)], UTC_ZONE)
    assert (found.posts, found.n_known, found.median_engagement) == (2, 1, 10.0)
    assert [rate.action for rate in found.rates] == ["retweets"]
    (day,) = found.days
    assert (day.posts, day.engagement, day.impressions) == (2, 10, 1000)
    assert summary([post(1, None, impressions=None)], UTC_ZONE).days[0].engagement is None


def test_a_rate_is_over_impressions_and_leaves_out_counts_above_them() -> None:
    found = summary([post(1, 10), post(2, 30), post(3, 2000)], UTC_ZONE)
    (likes,) = (rate for rate in found.rates if rate.action == "likes")
    assert (likes.n, likes.rate) == (2, 0.02)
    assert likes.interval is not None
    assert likes.interval[0] <= 0.02 <= likes.interval[1]


def test_days_are_those_of_the_accounts_clocks_and_of_the_last_year() -> None:
    posts = [post(1, 1), post(2, 2, days=1), post(3, 4, days=1), post(4, 8, days=366)]
    found = summary(posts, ZoneInfo("Europe/Madrid"))
    assert [(day.day, day.posts, day.engagement) for day in found.days] == [
        (date(2026, 3, 3), 2, 6),
        (date(2027, 3, 3), 1, 8),
    ]
    assert found.time_zone == "Europe/Madrid"


def test_five_values_have_no_interval_of_their_median_and_six_have_the_widest() -> None:
    assert _interval_of_median([1, 2, 3, 4, 5]) is None
    assert _interval_of_median([1, 2, 3, 4, 5, 6]) == (1, 6)


@pytest.mark.parametrize("n", [20, 101])
def test_the_interval_of_the_median_holds_it_as_often_as_it_says(n: int) -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(1000):
        interval = _interval_of_median(sorted(rng.integers(0, 10_000, n).tolist()))
        assert interval is not None
        held += interval[0] <= 4999.5 <= interval[1]
    assert 0.94 <= held / 1000 <= 0.985
