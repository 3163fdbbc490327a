"""The schedule of a switchback experiment: blocks of one day, balance, washout, and daylight saving."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.experiments.switchback import Slot, schedule, slot_at

MADRID = ZoneInfo("Europe/Madrid")
START = dt.datetime(2026, 3, 2, 10, 30, tzinfo=MADRID)


def planned(
    start: dt.datetime, k: int, minutes: tuple[int, int], n_blocks: int, seed: int, **rest: object
) -> tuple[Slot, ...]:
    slot, washout = minutes
    return schedule(start, k, slot_minutes=slot, washout_minutes=washout, n_blocks=n_blocks, seed=seed, **rest)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"start": START.replace(tzinfo=None)}, "time zone"),
        ({"n_variants": 1}, "at least 2"),
        ({"n_blocks": 0}, "at least 2"),
        ({"slot_minutes": 0}, "at least 2"),
        ({"washout_minutes": -1}, "at least 2"),
        ({"seed": -1}, "at least 2"),
        ({"weekdays": []}, "weekdays"),
        ({"weekdays": [7]}, "weekdays"),
        ({"hours": (9, 9)}, "weekdays"),
        ({"hours": (0, 25)}, "weekdays"),
        ({"hours": (9, 11)}, "fit"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(wrong: dict[str, object], reason: str) -> None:
    sane = {"start": START, "n_variants": 2, "slot_minutes": 60, "washout_minutes": 30, "n_blocks": 4, "seed": 1}
    with pytest.raises(ValueError, match=reason):
        schedule(**sane | wrong)


def test_a_moment_without_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        slot_at([], dt.datetime(2026, 3, 2))  # noqa: DTZ001


@settings(max_examples=60, deadline=None)
@given(
    days=st.integers(0, 3650),
    zone=st.sampled_from(["UTC", "Europe/Madrid", "America/St_Johns", "Pacific/Apia"]),
    k=st.integers(2, 5),
    slot=st.integers(15, 120),
    washout=st.integers(0, 45),
    n_blocks=st.integers(1, 30),
    weekdays=st.sets(st.integers(0, 6), min_size=1),
    hours=st.sampled_from([(0, 24), (9, 23), (6, 20)]),
)
def test_blocks_are_complete_within_one_day_and_apart(
    *,
    days: int,
    zone: str,
    k: int,
    slot: int,
    washout: int,
    n_blocks: int,
    weekdays: set[int],
    hours: tuple[int, int],
) -> None:
    if k * (slot + washout) - washout > 60 * (hours[1] - hours[0]):
        return
    start = (START + dt.timedelta(days=days)).replace(tzinfo=ZoneInfo(zone))
    slots = planned(start, k, (slot, washout), n_blocks, 3, weekdays=weekdays, hours=hours)
    assert len(slots) == k * n_blocks
    assert slots[0].start >= start
    assert all(one.end - one.start == dt.timedelta(minutes=slot) for one in slots)
    assert all(two.start - one.end >= dt.timedelta(minutes=washout) for one, two in pairwise(slots))
    for block in range(n_blocks):
        members = slots[block * k : block * k + k]
        assert {one.block for one in members} == {block}
        assert sorted(one.variant_index for one in members) == list(range(k))
        assert members[-1].end - members[0].start == dt.timedelta(minutes=k * slot + (k - 1) * washout)
        begin, last = (moment.astimezone(start.tzinfo) for moment in (members[0].start, members[-1].start))
        assert begin.date() == last.date()
        assert begin.weekday() in weekdays
        assert hours[0] <= begin.hour <= last.hour < hours[1]


def test_the_same_seed_gives_the_same_order_and_another_one_another() -> None:
    one, same, other = (planned(START, 2, (60, 30), 40, seed) for seed in (7, 7, 8))
    assert one == same
    assert [slot.start for slot in one] == [slot.start for slot in other]
    assert [slot.variant_index for slot in one] != [slot.variant_index for slot in other]


def test_every_order_within_a_block_is_about_as_frequent() -> None:
    slots = planned(START, 3, (60, 0), 3000, 11)
    orders = Counter(tuple(slot.variant_index for slot in slots[i : i + 3]) for i in range(0, len(slots), 3))
    assert len(orders) == 6
    assert all(400 < count < 600 for count in orders.values())


def test_hours_follow_the_wall_clock_over_a_change_of_time() -> None:
    saturday = dt.datetime(2026, 3, 28, 0, tzinfo=MADRID)
    slots = planned(saturday, 2, (180, 0), 2, 1, hours=(9, 15))
    assert [slot.start.astimezone(MADRID).hour for slot in slots] == [9, 12, 9, 12]
    assert slots[2].start - slots[0].start == dt.timedelta(hours=23)


def test_a_day_without_an_hour_cannot_hold_a_block_that_needs_all_of_it() -> None:
    sunday = dt.datetime(2026, 3, 29, 0, tzinfo=MADRID)
    assert planned(sunday, 2, (720, 0), 1, 1)[0].start == dt.datetime(2026, 3, 30, 0, tzinfo=MADRID)


def test_a_moment_has_its_slot_and_a_washout_has_none() -> None:
    slots = planned(START, 2, (60, 30), 3, 1)
    first = slots[0]
    assert slot_at(slots, first.start) == first
    assert slot_at(slots, first.end - dt.timedelta(microseconds=1)) == first
    assert slot_at(slots, first.end) is None
    assert slot_at(slots, first.start - dt.timedelta(seconds=1)) is None
    assert slot_at(slots, slots[-1].end) is None
    assert slot_at([], START) is None
    assert isinstance(slot_at(slots, slots[-1].start.astimezone(MADRID)), Slot)
