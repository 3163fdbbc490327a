"""The heat map of the week: what counts, local hours, and what it says of made-up accounts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from pipelines.audience.timing import (
    CELLS,
    HOURS,
    MIN_POSTS,
    BestTimes,
    UnknownTimeZone,
    best_times,
    cell_of,
    note,
    percentiles,
    time_zone,
)
from pipelines.outcomes.posts import StoredPost
from tests.simulations.timing import MONDAY, PEAK_HOURS, account, held, peak, posts_of

UTC_ZONE, MADRID, NEW_YORK = ZoneInfo("UTC"), ZoneInfo("Europe/Madrid"), ZoneInfo("America/New_York")
KOLKATA = ZoneInfo("Asia/Kolkata")
FLIPS = 99


def made_up(posts: int, weeks: int = 26, seed: int = 0, effect: np.ndarray | None = None) -> list[StoredPost]:
    rng = np.random.default_rng(seed)
    days, hours = rng.integers(0, weeks * 7, posts), np.clip(rng.normal(14, 4, posts), 0, 23).astype(int)
    told = 0 if effect is None else effect[days % 7 * HOURS + hours]
    return posts_of(days, hours, rng.normal(size=posts) + told)


def map_of(posts: list[StoredPost], zone: ZoneInfo = UTC_ZONE) -> BestTimes:
    return best_times(posts, zone, flips=FLIPS)


@pytest.mark.parametrize(
    "name",
    [
        *("", "Mars/Olympus", "europe/madrid", "../../etc/passwd", "/etc/passwd", "Europe", "posix/UTC", "localtime"),
        *("Factory", "UTC\x00", "Europe/Madrid ", "+02:00"),
    ],
)
def test_a_zone_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UnknownTimeZone):
        time_zone(name)


def test_too_few_posts_have_no_map_and_say_how_many_are_needed() -> None:
    found = map_of(made_up(MIN_POSTS - 1))

    assert (found.supported, found.cells, found.best, found.share, found.p_value) == (False, (), (), None, None)
    assert f"{MIN_POSTS} with a known outcome are needed, {MIN_POSTS - 1} are there" in note(found, "en")
    assert "Muy pocas publicaciones" in note(found, "es")


def test_replies_reposts_unknown_counts_and_what_is_not_settled_do_not_count() -> None:
    posts = made_up(MIN_POSTS)
    assert map_of(posts).posts == MIN_POSTS

    for wrong in (
        {"kind": "reply"},
        {"kind": "repost"},
        {"likes": None},
        {"retweets": None},
        {"captured_at": posts[0].posted_at + timedelta(hours=23, minutes=59)},
    ):
        found = map_of([replace(posts[0], **wrong), *posts[1:]])
        assert (found.supported, found.posts) == (False, MIN_POSTS - 1), wrong
    settled = replace(posts[0], captured_at=posts[0].posted_at + timedelta(hours=24))
    assert map_of([settled, *posts[1:]]).supported


def test_an_account_that_posts_at_one_hour_alone_has_no_evidence_and_no_best_time() -> None:
    posts = posts_of(np.arange(100) * 7, np.full(100, 9), np.random.default_rng(0).normal(size=100))

    found = map_of(posts)

    assert (found.supported, found.evidence, found.best) == (True, False, ())
    assert [(cell.weekday, cell.hour, cell.posts) for cell in found.cells if cell.posts] == [(1, 9, 100)]


def test_posts_that_all_achieved_the_same_say_nothing_about_time() -> None:
    found = map_of([replace(post, likes=0, retweets=0) for post in made_up(200)])

    assert (found.supported, found.evidence) == (True, False)
    assert all(0.45 < cell.expected < 0.55 for cell in found.cells)


def test_posts_within_one_day_have_a_map_without_evidence() -> None:
    found = map_of(posts_of(np.zeros(100, int), np.arange(100) % 24, np.arange(100) % 24 * 1.0))

    assert (found.supported, found.evidence) == (True, False)


@pytest.mark.parametrize(
    ("moment", "zone", "weekday", "hour"),
    [
        # 2 to 3 h is skipped on 8 March 2026 in New York, on 29 March in Madrid.
        ("2026-03-08T06:59:00Z", NEW_YORK, 7, 1),
        ("2026-03-08T07:00:00Z", NEW_YORK, 7, 3),
        ("2026-03-29T00:59:00Z", MADRID, 7, 1),
        ("2026-03-29T01:00:00Z", MADRID, 7, 3),
        # 1 to 2 h comes twice on 1 November 2026 in New York, 2 to 3 h on 25 October in Madrid.
        ("2026-11-01T05:30:00Z", NEW_YORK, 7, 1),
        ("2026-11-01T06:30:00Z", NEW_YORK, 7, 1),
        ("2026-11-01T07:00:00Z", NEW_YORK, 7, 2),
        ("2026-10-25T00:30:00Z", MADRID, 7, 2),
        ("2026-10-25T01:30:00Z", MADRID, 7, 2),
        # Half an hour off, and over midnight into Monday.
        ("2026-06-07T18:29:00Z", KOLKATA, 7, 23),
        ("2026-06-07T18:30:00Z", KOLKATA, 1, 0),
        ("2026-06-07T22:30:00Z", UTC_ZONE, 7, 22),
    ],
)
def test_the_cell_is_what_clocks_show_at_that_instant(moment: str, zone: ZoneInfo, weekday: int, hour: int) -> None:
    assert cell_of(datetime.fromisoformat(moment), zone) == (weekday - 1) * HOURS + hour


def test_posts_of_the_hour_that_comes_twice_count_once_each_and_none_stands_in_the_hour_that_is_skipped() -> None:
    posts = made_up(60)
    first, second = datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    twice = [replace(posts[0], post_id="a", posted_at=first), replace(posts[0], post_id="b", posted_at=second)]
    spring = [replace(posts[0], post_id="c", posted_at=datetime(2026, 3, 29, 1, 30, tzinfo=UTC))]
    before = [one for one in posts if cell_of(one.posted_at, MADRID) // HOURS < 6]

    found = map_of([*before, *twice, *spring], MADRID)

    counts = {(cell.weekday, cell.hour): cell.posts for cell in found.cells}
    assert sum(counts.values()) == found.posts == len(before) + 3
    assert (counts[7, 2], counts[7, 3]) == (2, 1)


def test_every_cell_stands_once_in_order_and_those_with_fewer_than_two_posts_are_greyed() -> None:
    found = map_of(made_up(200))

    assert [(cell.weekday, cell.hour) for cell in found.cells] == [(d, h) for d in range(1, 8) for h in range(24)]
    assert len(found.cells) == CELLS
    assert sum(cell.posts for cell in found.cells) == 200
    assert all(cell.greyed == (cell.posts < 2) for cell in found.cells)
    assert all(0 <= cell.low <= cell.expected <= cell.high <= 1 for cell in found.cells)


def test_the_order_in_which_posts_come_changes_nothing() -> None:
    posts = made_up(120)

    assert map_of(posts) == map_of(posts[::-1])


def test_a_planted_peak_is_the_best_time_and_its_zone_moves_with_it() -> None:
    posts = made_up(600, effect=peak(1.5))

    found, east = map_of(posts), map_of(posts, ZoneInfo("Etc/GMT-3"))

    assert (found.evidence, len(found.best)) == (True, 5)
    assert {cell.hour for cell in found.best} <= set(PEAK_HOURS)
    assert {cell.hour for cell in east.best} <= {hour + 3 for hour in PEAK_HOURS}
    assert found.share is not None
    assert 0.02 < found.share.low < found.share.value < found.share.high < 0.35
    assert all(not cell.greyed and cell.low > 0.5 for cell in found.best)
    assert "Time explains" in note(found, "en")


def test_growth_of_the_account_is_no_good_hour() -> None:
    days = np.arange(360)
    posts = posts_of(days, np.where(days < 180, 9, 20), days / 60 + np.random.default_rng(1).normal(size=360) / 10)

    found = map_of(posts)

    assert not found.evidence
    morning, evening = found.cells[9].expected, found.cells[20].expected
    assert abs(morning - evening) < 0.05


def test_percentiles_are_mid_ranks_among_the_posts_of_the_weeks_around() -> None:
    week = 7 * 86_400.0
    seconds = np.sort(np.r_[np.arange(60) * 600.0, 100 * week + np.arange(60) * 600.0])

    ranks = percentiles(seconds, np.r_[np.arange(60), 1000 + np.arange(60)].astype(float))

    assert np.allclose(ranks, np.tile((np.arange(60) + 0.5) / 60, 2))
    assert np.allclose(percentiles(seconds, np.zeros(120)), 0.5)
    few = percentiles(np.arange(10) * 100 * week, np.arange(10.0))
    assert np.allclose(few, (np.arange(10) + 0.5) / 10)


def test_the_moments_of_the_simulation_start_on_a_monday() -> None:
    assert MONDAY.isoweekday() == 1


def test_noise_is_flat_in_the_short_form_of_the_simulation() -> None:
    rng = np.random.default_rng(1)

    found = [account(rng, "any hour", 60, 10) for _ in range(40)]

    # Above 6 of 40 in one of 300 such tests, were it 5 %.
    assert sum(one.evidence for one in found) <= 6
    assert all(one.best == () for one in found if not one.evidence)


def test_a_peak_is_found_and_intervals_hold_in_the_short_form_of_the_simulation() -> None:
    rng, effect = np.random.default_rng(2), peak(1.5)

    found = [account(rng, "any hour", 300, 26, effect) for _ in range(6)]

    assert [one.evidence for one in found] == [True] * 6
    assert {one.best[0].hour for one in found} <= set(PEAK_HOURS)
    assert np.mean([held(rng, lambda: peak(0.5)) for _ in range(6)]) > 0.7
