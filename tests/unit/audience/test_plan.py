"""The slot planner: limits, rules and clocks, whatever is asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.audience.plan import Never, Plan, Quiet, Window, least_distance, limits, plan, shown_twice, slots_between
from pipelines.audience.timing import HOURS, BestTimes, best_times
from tests.simulations.timing import peak
from tests.unit.audience.test_timing import made_up

MADRID, NEW_YORK, KOLKATA = ZoneInfo("Europe/Madrid"), ZoneInfo("America/New_York"), ZoneInfo("Asia/Kolkata")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
START = datetime(2026, 6, 1, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def span(days: float, zone: ZoneInfo = MADRID, quiet: tuple = (), never: tuple = ()) -> list[datetime]:
    return slots_between(START, START + days * DAY, zone, quiet, never)


def at(made: Plan) -> list[datetime]:
    return [slot.at for slot in made.slots]


def test_a_span_that_is_over_has_no_slots_and_every_post_says_so() -> None:
    assert slots_between(START, START - DAY, MADRID, (), ()) == []

    made = plan([Window(), Window()], [], HOUR)

    assert (made.slots, made.unplaced) == ((), ((0, "no_allowed_slot"), (1, "no_allowed_slot")))


def test_more_posts_than_fit_leave_the_rest_without_a_slot() -> None:
    made = plan([Window()] * 10, span(1), timedelta(hours=6))

    assert (len(made.slots), [reason for _, reason in made.unplaced]) == (4, ["no_room"] * 6)


def test_a_window_in_quiet_hours_has_no_slot_and_one_that_others_took_has_no_room() -> None:
    slots = span(2, quiet=(Quiet(time(22), time(8)),))
    night = Window(not_before=START + 21 * HOUR, not_after=START + 29 * HOUR)
    noon = Window(not_before=START + 10 * HOUR, not_after=START + 11 * HOUR)

    made = plan([night, noon], slots, HOUR, taken=[START + 10.5 * HOUR])

    assert made.unplaced == ((0, "no_allowed_slot"), (1, "no_room"))


@pytest.mark.parametrize(
    ("zone", "day", "skipped", "count"),
    [
        (NEW_YORK, date(2026, 3, 8), {2}, 46),
        (MADRID, date(2026, 3, 29), {2}, 46),
        (NEW_YORK, date(2026, 11, 1), {1}, 46),
        (MADRID, date(2026, 10, 25), {2}, 46),
        (KOLKATA, date(2026, 3, 29), set(), 48),
        (ZoneInfo("Asia/Kathmandu"), date(2026, 3, 29), set(), 48),
    ],
)
def test_no_slot_lies_in_an_hour_that_clocks_skip_or_show_twice(
    zone: ZoneInfo, day: date, skipped: set[int], count: int
) -> None:
    start = datetime.combine(day, time(), zone)
    end = datetime.combine(day + DAY, time(), zone)

    slots = slots_between(start.astimezone(UTC), end.astimezone(UTC), zone, (), ())

    assert {slot.hour for slot in slots} == set(range(24)) - skipped
    assert len(slots) == count == len({(slot.hour, slot.minute) for slot in slots})
    assert all(
        slot.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == slot.replace(tzinfo=None) for slot in slots
    )
    assert {slot.minute for slot in slots} == {0, 30}


def test_a_shift_of_half_an_hour_takes_half_an_hour() -> None:
    # Lord Howe goes back at 2:00 to 1:30 on 5 April 2026: 1:30 comes twice.
    start = datetime(2026, 4, 5, tzinfo=LORD_HOWE)

    slots = slots_between(start.astimezone(UTC), start.astimezone(UTC) + 6 * HOUR, LORD_HOWE, (), ())

    assert "01:30" not in {f"{slot:%H:%M}" for slot in slots}
    assert {"01:00", "02:00"} <= {f"{slot:%H:%M}" for slot in slots}
    assert shown_twice(datetime(2026, 4, 5, 1, 45, tzinfo=LORD_HOWE))
    assert not shown_twice(datetime(2026, 4, 5, 2, tzinfo=LORD_HOWE))


def test_quiet_hours_hold_over_midnight_and_rules_need_all_that_they_name() -> None:
    quiet, friday = Quiet(time(22), time(8)), Never(weekdays={5}, hours={17, 18})
    slots = span(14, quiet=(quiet,), never=(friday, Never(dates={date(2026, 6, 3)}), Never(weekdays={6, 7})))

    assert min(slot.time() for slot in slots) == time(8)
    assert max(slot.time() for slot in slots) == time(21, 30)
    assert {slot.isoweekday() for slot in slots} == {1, 2, 3, 4, 5}
    assert {slot.hour for slot in slots if slot.isoweekday() == 5} == set(range(8, 22)) - {17, 18}
    assert date(2026, 6, 3) not in {slot.date() for slot in slots}
    assert date(2026, 6, 10) in {slot.date() for slot in slots}


def test_without_evidence_posts_spread_evenly_over_the_allowed_time() -> None:
    slots = span(7, quiet=(Quiet(time(20), time(8)),))

    made = plan([Window()] * 7, slots, HOUR)

    assert (made.evidence, {slot.expected for slot in made.slots}) == (False, {None})
    assert len({slot.date() for slot in at(made)}) == 7
    gaps = np.diff([moment.timestamp() for moment in at(made)]) / 3600
    assert gaps.min() > 20
    assert gaps.max() < 28


def test_with_evidence_posts_stand_in_the_best_hours_as_far_as_spacing_allows() -> None:
    best = best_times(made_up(600, effect=peak(1.5)), ZoneInfo("UTC"), flips=99)
    slots = span(7, ZoneInfo("UTC"))

    made = plan([Window()] * 5, slots, 20 * HOUR, best=best)

    assert made.evidence
    assert all(17 <= slot.at.hour <= 19 and slot.at.isoweekday() <= 5 for slot in made.slots)
    assert len({slot.at.date() for slot in made.slots}) == 5
    expected = {cell.expected for cell in best.cells}
    assert all(slot.expected in expected and slot.expected > 0.6 for slot in made.slots)
    flat = plan([Window()] * 5, slots, 20 * HOUR, best=replace(best, evidence=False))
    assert not flat.evidence


def test_the_plan_is_the_best_that_there_is_for_alike_posts() -> None:
    rng = np.random.default_rng(3)
    slots = span(0.5, ZoneInfo("UTC"))
    base = best_times(made_up(60), ZoneInfo("UTC"), flips=19)
    for _ in range(20):
        cells = tuple(
            replace(cell, expected=value, low=value)
            for cell, value in zip(base.cells, rng.random(168).tolist(), strict=True)
        )
        best = BestTimes(supported=True, time_zone="UTC", posts=60, evidence=True, cells=cells)
        values = [cells[slot.weekday() * HOURS + slot.hour].expected for slot in slots]

        made = plan([Window()] * 3, slots, 3 * HOUR, best=best)

        # 3 h are six slots.
        highest = max(
            values[i] + values[j] + values[k]
            for i in range(len(slots))
            for j in range(i + 6, len(slots))
            for k in range(j + 6, len(slots))
        )
        assert sum(slot.expected or 0 for slot in made.slots) > highest - 0.03


def test_an_hour_that_promises_much_from_few_posts_gives_way_to_one_that_surely_does_well() -> None:
    base = best_times(made_up(60), ZoneInfo("UTC"), flips=19)
    hoped, sure = 10, 17
    cells = tuple(
        replace(cell, expected=0.9, low=0.2)
        if cell.hour == hoped
        else replace(cell, expected=0.7, low=0.6 if cell.hour == sure else 0.3)
        for cell in base.cells
    )
    best = BestTimes(supported=True, time_zone="UTC", posts=60, evidence=True, cells=cells)

    made = plan([Window()], span(1, ZoneInfo("UTC")), 3 * HOUR, best=best)

    assert [slot.at.hour for slot in made.slots] == [sure]


def test_a_post_with_a_narrow_window_gets_it_before_one_that_can_wait() -> None:
    slots = span(1, ZoneInfo("UTC"))
    narrow = Window(not_before=START + 6 * HOUR, not_after=START + 6.5 * HOUR)

    made = plan([Window(), narrow, Window()], slots, 6 * HOUR)

    assert not made.unplaced
    assert {slot.index: slot.at for slot in made.slots}[1] == START + 6 * HOUR


@st.composite
def requests(draw: st.DrawFn) -> dict:
    moments = st.integers(0, 48 * 4).map(lambda half: START + half * timedelta(minutes=30))
    windows = st.builds(
        Window, not_before=st.none() | moments, not_after=st.none() | moments.map(lambda moment: moment + 2 * HOUR)
    )
    clocks = st.times().map(lambda clock: clock.replace(second=0, microsecond=0))
    return {
        "windows": draw(st.lists(windows, max_size=60)),
        "zone": draw(st.sampled_from([MADRID, NEW_YORK, KOLKATA, LORD_HOWE])),
        "quiet": draw(st.lists(st.builds(Quiet, clocks, clocks), max_size=2)),
        "never": draw(
            st.lists(
                st.builds(
                    Never,
                    weekdays=st.sets(st.integers(1, 7), min_size=1, max_size=2),
                    hours=st.sets(st.integers(0, 23), max_size=3),
                ),
                max_size=2,
            )
        ),
        "spacing": draw(st.integers(0, 12)) * HOUR,
        "taken": draw(st.lists(moments, max_size=5)),
        "start": START + draw(st.integers(0, 600)) * timedelta(minutes=7),
    }


@settings(max_examples=120, deadline=None)
@given(asked=requests())
def test_whatever_is_asked_the_limits_and_rules_hold(asked: dict) -> None:
    end = START + 4 * DAY
    slots = slots_between(asked["start"], end, asked["zone"], asked["quiet"], asked["never"])

    made = plan(asked["windows"], slots, asked["spacing"], asked["taken"])

    assert sorted([slot.index for slot in made.slots] + [index for index, _ in made.unplaced]) == list(
        range(len(asked["windows"]))
    )
    distance = max(asked["spacing"], timedelta(minutes=30))
    planned = at(made)
    assert all(later - earlier >= distance for earlier, later in pairwise(planned))
    assert all(abs(moment - taken) >= distance for moment in planned for taken in asked["taken"])
    assert all(sum(moment <= other < moment + DAY for other in planned) <= 50 for moment in planned)
    for slot in made.slots:
        window = asked["windows"][slot.index]
        local = slot.at.astimezone(asked["zone"])
        assert asked["start"] <= slot.at < end
        assert window.not_before is None or slot.at >= window.not_before
        assert window.not_after is None or slot.at < window.not_after
        assert not any(rule.holds(local) for rule in (*asked["quiet"], *asked["never"]))
        assert local.minute in {0, 30}


def test_the_limits_say_where_and_when_they_come_from() -> None:
    for part in ("posts", "author_diversity"):
        told = limits()[part]
        assert told["source"]
        assert date.fromisoformat(told["date"]) < date(2027, 1, 1)
    assert least_distance(timedelta(0)) == timedelta(minutes=30)
    assert least_distance(5 * HOUR) == 5 * HOUR


def test_a_full_plan_over_three_months_is_made_in_a_moment() -> None:
    made = plan([Window()] * 350, span(92), 4 * HOUR)

    assert len(made.slots) == 350
