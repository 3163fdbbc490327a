"""Bursts in made-up histories: a planted one is found, none where nothing bursts, unknown stays unknown."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import orjson
import pytest

from pipelines.audience.terms import read_terms
from pipelines.audience.trends import Trends, alignment, read_trends, trends_from
from pipelines.outcomes.posts import StoredPost

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
WORDS = ["coffee", "marathon", "guitar", "invoice", "garden", "bridge", "rocket", "castle", "river", "museum", "harbor"]


def post(days_ago: float, text: str | None) -> StoredPost:
    at = NOW - timedelta(days=days_ago)
    return StoredPost(
        post_id=str(days_ago), posted_at=at, text=text, kind="post", source="content", captured_at=NOW, likes=1
    )


def history(seed: int, burst: float = 0.0) -> list[StoredPost]:
    """One post a day for 190 days on two words; in the last 14 days a share of them is on a launch too."""
    rng = np.random.default_rng(seed)
    posts = []
    for n in range(190):
        launch = " at the #Launchpad" if n < 14 and rng.random() < burst else ""
        posts.append(post(n + 0.3, f"The {' and the '.join(rng.choice(WORDS, 2, replace=False))}{launch}"))
    return posts


@pytest.mark.parametrize(
    "posts",
    [
        [],
        [post(1, "The coffee")],
        [post(n, "The coffee") for n in range(14)],
        [post(n, "The coffee") for n in range(20, 120)],
        [replace(post(n, "The coffee"), kind="reply") for n in range(100)],
        [post(n, None) for n in range(100)],
        [post(n + 400, "The coffee") for n in range(100)],
    ],
)
def test_too_little_is_said_and_nothing_is_aligned_with_it(posts: list[StoredPost]) -> None:
    trends = read_trends(posts, read_terms, until=NOW)

    assert (trends.supported, trends.bursts) == (False, ())
    assert trends.note
    assert alignment("The coffee", trends) is None


def test_posts_of_the_future_are_not_read() -> None:
    posts = [*history(0), *(post(-n, "The launchpad opens") for n in range(1, 9))]

    assert read_trends(posts, read_terms, until=NOW).bursts == ()


def test_nothing_known_is_no_alignment_of_zero() -> None:
    assert alignment("The coffee", None) is None
    assert alignment("The coffee", read_trends(history(0), read_terms, until=NOW)) is None


def test_a_thread_of_one_day_is_no_burst() -> None:
    thread = [post(2 + n / 100, f"The launchpad opens, part {n}") for n in range(9)]

    assert read_trends([*history(0), *thread], read_terms, until=NOW).bursts == ()


def test_who_posts_more_has_no_bursts() -> None:
    rng = np.random.default_rng(5)
    more = [post(n / 8, f"The {' and the '.join(rng.choice(WORDS, 2, replace=False))}") for n in range(112)]

    assert read_trends([*history(0), *more], read_terms, until=NOW).bursts == ()


def test_a_planted_burst_is_found_with_its_counts() -> None:
    trends = read_trends(history(2, burst=0.6), read_terms, until=NOW)

    (burst,) = trends.bursts
    assert (burst.term, burst.past_posts, burst.lift) == ("launchpad", 0, None)
    assert 4 <= burst.recent_days == burst.recent_posts <= 13
    assert burst.p <= burst.q <= 0.05
    assert (trends.recent_posts, trends.past_posts) == (14, 176)


def test_a_text_is_aligned_with_the_bursts_that_it_names() -> None:
    trends = read_trends(history(2, burst=0.6), read_terms, until=NOW)

    assert alignment("Nothing but the coffee", trends) == 0.0
    assert 0.9 < (alignment("See you at the launchpad", trends) or 0) < 1
    assert alignment("#LAUNCHPAD", trends) == alignment("The launchpad", trends)


def test_what_the_past_explains_in_part_aligns_in_part() -> None:
    posts = [*history(2, burst=0.9), *(post(30 + 4 * n, "The launchpad opens") for n in range(30))]
    trends: Trends = read_trends(posts, read_terms, until=NOW)

    (burst,) = trends.bursts
    assert burst.lift is not None
    assert alignment("The launchpad", trends) == pytest.approx(1 - 1 / burst.lift, abs=0.02)


def test_histories_without_a_burst_show_one_at_most_as_often_as_promised() -> None:
    false = sum(bool(read_trends(history(seed), read_terms, until=NOW).bursts) for seed in range(60))

    assert false <= 7  # 3 expected at 5 %, and Fisher's test is on the safe side


def test_stored_trends_come_back_as_they_were_and_are_unknown_once_their_window_is_over() -> None:
    trends = read_trends(history(2, burst=0.6), read_terms, until=NOW)
    stored = orjson.loads(orjson.dumps(trends))

    assert trends_from(None, NOW) is None
    assert trends_from(stored, NOW + timedelta(days=13)) == trends
    assert trends_from(stored | {"x": {"supported": False, "note": "as rows had it"}}, NOW) == trends
    assert trends_from(stored, NOW + timedelta(days=15)) is None
