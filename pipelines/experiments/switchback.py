"""Experiments with organic posts: an account cannot split its audience, so variants take turns in time.

A block is one run of adjacent equal slots of one day and hour band, one slot for each variant in random order, so that
weekday, hour and drift move all variants of a block alike. What is compared are posts, never impressions: those of one
post share its fate. Bojinov, Simchi-Levi, Zhao 2023 (Management Science 69); the test is in `permutation.py`.
"""

from __future__ import annotations

import bisect
import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

EVERY_DAY: Final = frozenset(range(7))


@dataclass(frozen=True, slots=True)
class Slot:
    """The half-open time [start, end) in UTC in which posts are of one variant."""

    start: dt.datetime
    end: dt.datetime
    block: int
    variant_index: int


def schedule(
    start: dt.datetime,
    n_variants: int,
    *,
    slot_minutes: int,
    washout_minutes: int,
    n_blocks: int,
    seed: int,
    weekdays: Collection[int] = EVERY_DAY,
    hours: tuple[int, int] = (0, 24),
) -> tuple[Slot, ...]:
    """Return the slots of n_blocks blocks from `start` on, in order of time; the same for the same arguments.

    Each slot is followed by a washout, in which no post counts. A block lies within one day, on `weekdays` (0 is
    Monday) and within `hours` (from, to; 0 to 24), as the time zone of `start` has them; days without the
    last hour or with an hour twice included. Each variant has one slot a block.

    Raises:
        ValueError: a start without time zone, fewer than 2 variants, no block or slot, a negative washout or seed,
            weekdays or hours that do not exist, or a block that does not fit into the hours of a day.
    """
    if start.tzinfo is None or start.utcoffset() is None:
        raise ValueError("start needs a time zone")
    if n_variants < 2 or n_blocks < 1 or slot_minutes < 1 or washout_minutes < 0 or seed < 0:
        raise ValueError("at least 2 variants, 1 block, 1 minute a slot, no negative washout and no negative seed")
    if not weekdays or not EVERY_DAY.issuperset(weekdays) or not 0 <= hours[0] < hours[1] <= 24:
        raise ValueError("weekdays are 0 to 6 and hours run from 0 to 24")
    step = dt.timedelta(minutes=slot_minutes + washout_minutes)
    if n_variants * step - dt.timedelta(minutes=washout_minutes) > dt.timedelta(hours=hours[1] - hours[0]):
        raise ValueError("a block does not fit into the hours of a day")
    rng = np.random.default_rng(seed)
    slots: list[Slot] = []
    day, moment = start.date(), start.astimezone(dt.UTC)
    while len(slots) < n_blocks * n_variants:
        opens, closes = (_at(day, hour, start.tzinfo) for hour in hours)
        day += dt.timedelta(days=1)
        if (day - dt.timedelta(days=1)).weekday() not in weekdays:
            continue
        moment = max(moment, opens)
        while moment + n_variants * step - dt.timedelta(minutes=washout_minutes) <= closes:
            block = len(slots) // n_variants
            if block == n_blocks:
                break
            for variant in rng.permutation(n_variants).tolist():
                slots.append(Slot(moment, moment + dt.timedelta(minutes=slot_minutes), block, variant))
                moment += step
    return tuple(slots)


def slot_at(slots: Sequence[Slot], moment: dt.datetime) -> Slot | None:
    """Return the slot of `slots`, in order of time, that holds `moment`; None in a washout or outside all of them.

    Raises:
        ValueError: a moment without time zone.
    """
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise ValueError("moment needs a time zone")
    index = bisect.bisect_right(slots, moment, key=lambda slot: slot.start) - 1
    return slots[index] if index >= 0 and moment < slots[index].end else None


def _at(day: dt.date, hour: int, zone: dt.tzinfo) -> dt.datetime:
    midnight = dt.datetime.combine(day + dt.timedelta(days=hour // 24), dt.time(hour % 24), zone)
    return midnight.astimezone(dt.UTC)
