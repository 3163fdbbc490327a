"""X's published weights as dated data, and what they make of an account's own rates."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from pipelines.outcomes.posts import StoredPost
from pipelines.outcomes.x_weights import (
    FEWEST_POSTS,
    caveat,
    drift,
    is_stale,
    load_snapshots,
    prior_strength,
    shrunk,
    weighted_sum,
    x_weighted,
)

START = datetime(2026, 6, 1, tzinfo=UTC)
TODAY = date(2026, 11, 30)
# What was published, action by snapshot; None where it is not told.
PUBLISHED = {
    "like": (0.5, 0.5, 0.5, 0.5),
    "repost": (1.0, 1.0, 1.0, 1.0),
    "reply": (13.5, 5.0, 5.0, 5.0),
    "reply_to_mutual_follow": (None, 15.0, 15.0, 15.0),
    "reply_engaged_by_author": (75.0, None, None, None),
    "quote": (None, 5.0, 5.0, 5.0),
    "share": (None, 2.0, 2.0, 2.0),
    "share_via_dm": (None, 5.0, 5.0, 5.0),
    "share_via_copy_link": (None, 20.0, 20.0, 20.0),
    "follow": (None, 4.0, 4.0, 4.0),
    "good_click": (11.0, None, None, None),
    "good_click_v2": (10.0, None, None, None),
    "click": (None, 0.4, 0.4, 0.3),
    "open_link": (None, 0.2, 0.2, 0.2),
    "good_profile_click": (12.0, None, None, None),
    "profile_click": (None, 0.0, 0.0, 0.0),
    "video_playback_50": (0.005, None, None, None),
    "photo_expand": (None, 0.05, 0.05, None),
    "video_open": (None, 0.05, 0.07, 0.07),
    "video_quality_view": (None, 0.05, 0.0, None),
    "dwell": (None, 0.0, 0.05, None),
    "dwell_seconds": (None, 0.004, 0.004, None),
    "post_unexplored": (None, 0.02, 0.02, None),
    "not_interested": (None, -43.2, -43.2, -47.52),
    "negative_feedback": (-74.0, None, None, None),
    "block": (None, -31.2, -31.2, -31.2),
    "mute": (None, -58.8, -58.8, -58.8),
    "report": (-369.0, -234.0, -234.0, -234.0),
    "not_dwelled": (None, -0.02, -0.02, None),
    "quoted_click": (None, 0.05, 0.05, None),
    "quoted_video_quality_view": (None, 0.0, 0.0, None),
}


def post(number: int, **fields: Any) -> StoredPost:
    usual = {"kind": "post", "source": "content", "captured_at": START + timedelta(days=99), "text": f"post {number}"}
    return StoredPost(**usual | {"post_id": str(number), "posted_at": START + timedelta(days=number)} | fields)


def posts(n: int = 30, **fields: Any) -> list[StoredPost]:
    rng = np.random.default_rng(2)
    return [
        post(
            number,
            **{"impressions": 1000 + number, "likes": int(rng.poisson(20)), "retweets": 3, "replies": 2} | fields,
        )
        for number in range(n)
    ]


def test_the_four_snapshots_are_what_was_published() -> None:
    snapshots = load_snapshots()
    assert [str(one.date) for one in snapshots] == ["2023-04-05", "2026-08-12", "2026-09-24", "2026-10-08"]
    for place, snapshot in enumerate(snapshots):
        told = {action: row[place] for action, row in PUBLISHED.items() if row[place] is not None}
        assert snapshot.weights == told
    assert [one.second_hand for one in snapshots] == [False, False, True, True]
    for one in snapshots:
        assert one.repository.count("/") == 1
        assert one.path
        assert (one.commit is None) == one.second_hand
        assert one.commit is None or len(one.commit) == 40
    assert "468 likes" in caveat()


def test_no_weight_is_claimed_for_a_bookmark_a_hashtag_or_an_emoji() -> None:
    assert not {"bookmark", "hashtag", "emoji", "link_penalty"} & {a for one in load_snapshots() for a in one.weights}


def test_the_golden_example_sums_to_what_it_always_did() -> None:
    example = {"like": 0.02, "repost": 0.004, "reply": 0.003, "follow": 0.0005, "click": 0.05, "report": 0.00002}
    sums = [weighted_sum(snapshot.weights, example) for snapshot in load_snapshots()]
    assert sums == pytest.approx([0.04712, 0.04632, 0.04632, 0.04132])


@pytest.mark.parametrize("count", [3, 1.01, -0.1, math.nan])
def test_a_count_in_place_of_a_probability_is_refused(count: float) -> None:
    with pytest.raises(ValueError, match="no probability"):
        weighted_sum({"like": 0.5}, {"like": count})


def test_weights_are_stale_after_sixty_days() -> None:
    newest = load_snapshots()[-1].date
    assert not is_stale(newest + timedelta(days=60))
    assert is_stale(newest + timedelta(days=61))


def test_what_changed_between_two_snapshots_is_listed() -> None:
    last = {one.action: (one.before, one.after) for one in drift() if one.until == date(2026, 10, 8)}
    assert last == {"click": (0.4, 0.3), "not_interested": (-43.2, -47.52)}
    before = {one.action: (one.before, one.after) for one in drift() if one.until == date(2026, 9, 24)}
    assert before == {"video_open": (0.05, 0.07), "video_quality_view": (0.05, 0.0), "dwell": (0.0, 0.05)}


@pytest.mark.parametrize(
    "told",
    [
        [],
        posts(FEWEST_POSTS - 1),
        posts(impressions=None),
        posts(impressions=0),
        posts(likes=None, retweets=None, replies=None),
        posts(impressions=1, likes=2),
    ],
)
def test_without_imported_impressions_and_counts_below_them_nothing_is_claimed(told: list[StoredPost]) -> None:
    found = x_weighted(told, load_snapshots()[-1], TODAY)
    assert (found.supported, found.value, found.interval, found.under_snapshots, found.newest) == (
        False,
        None,
        None,
        (),
        (),
    )
    assert found.note


def test_the_value_is_weights_times_rates_of_the_actions_that_are_known() -> None:
    told = posts()
    found = x_weighted(told, load_snapshots()[-1], TODAY)
    shown = sum(one.impressions or 0 for one in told)
    likes, retweets, replies = (sum(getattr(one, name) for one in told) for name in ("likes", "retweets", "replies"))
    assert found.value == pytest.approx((0.5 * likes + 1.0 * retweets + 5.0 * replies) / shown, abs=1e-8)
    assert [(one.action, one.count, one.weight) for one in found.actions] == [
        ("like", likes, 0.5),
        ("repost", retweets, 1.0),
        ("reply", replies, 5.0),
    ]
    assert sum(one.weighted or 0 for one in found.actions) == pytest.approx(found.value, abs=1e-7)
    assert {"follow", "report", "share_via_copy_link"} <= set(found.unknown)
    by_date = {str(one.date): one.value for one in found.under_snapshots}
    assert by_date["2026-10-08"] == found.value
    assert by_date["2023-04-05"] == pytest.approx((0.5 * likes + 1.0 * retweets + 13.5 * replies) / shown, abs=1e-8)


def test_an_action_that_one_snapshot_does_not_weigh_is_shown_without_a_weight() -> None:
    found = x_weighted(posts(profile_clicks=4, follows=1), load_snapshots()[0], TODAY)
    weights = {one.action: one.weight for one in found.actions}
    assert (weights["profile_click"], weights["follow"], weights["reply"]) == (None, None, 13.5)


def test_the_interval_of_the_value_holds_the_truth_19_times_of_20() -> None:
    rng = np.random.default_rng(9)
    snapshot = load_snapshots()[-1]
    held = 0
    for _ in range(200):
        shown = rng.integers(500, 5000, 40)
        # Posts differ: a rate of its own each, independent of how often it was shown.
        likes, replies = (rng.binomial(shown, rng.beta(p * 600, (1 - p) * 600, 40)) for p in (0.03, 0.004))
        told = [
            post(n, impressions=int(shown[n]), likes=int(likes[n]), replies=int(replies[n])) for n in range(len(shown))
        ]
        low, high = x_weighted(told, snapshot, TODAY).interval or (1.0, 0.0)
        held += low <= 0.5 * 0.03 + 5.0 * 0.004 <= high
    assert 0.90 <= held / 200 <= 0.985


def test_a_post_is_shrunk_to_the_account_the_more_the_less_it_was_seen() -> None:
    rng = np.random.default_rng(6)
    shown = rng.integers(500, 5000, 300).astype(float)
    likes = rng.binomial(shown.astype(int), rng.beta(0.05 * 300, 0.95 * 300, 300)).astype(float)
    strength = prior_strength(likes, shown, likes.sum() / shown.sum())
    assert strength == pytest.approx(300, rel=0.3)
    assert shrunk(1, 1, 0.05, strength) < 0.06
    assert shrunk(10**5, 10**6, 0.05, strength) == pytest.approx(0.1, abs=1e-4)
    found = x_weighted(
        [post(99, impressions=1, likes=1), *posts(likes=10), *posts(likes=30)], load_snapshots()[-1], TODAY
    )
    assert found.newest[0].ratio == pytest.approx(1.0, abs=0.2)
    assert (found.newest[1].ratio or 1.0) < 0.9


def test_posts_that_differ_by_chance_alone_are_all_as_the_account() -> None:
    rng = np.random.default_rng(1)
    shown = np.full(200, 1000.0)
    assert prior_strength(rng.binomial(1000, 0.02, 200).astype(float), shown, 0.02) > 10_000
    assert prior_strength(np.full(200, 20.0), shown, 0.02) == math.inf
    found = x_weighted(posts(likes=20), load_snapshots()[-1], TODAY)
    assert {one.ratio for one in found.newest} == {1.0}
    assert len(found.newest) == 20
