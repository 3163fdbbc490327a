"""Which post goes out when: slots within X's limits, the account's rules, and its best hours where time matters.

The plan is exact for posts in the order of their deadlines: dynamic programming over the half-hours of the span. It
posts nothing. Knows no database; what is planned already comes as `taken`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from pipelines.audience.timing import BestTimes, cell_of
from pipelines.records import Language

SLOT_MINUTES: Final = 30
# Offsets of zones are whole quarters, so that every local half-hour is one of these.
STEP: Final = timedelta(minutes=15)
MINUTES_A_DAY: Final = 24 * 60
# Placing one more post counts more than where all of them stand.
A_POST: Final = 1e4
# Among hours that are alike, posts spread over the span.
SPREAD: Final = 1e-2
Reason = Literal["no_allowed_slot", "no_room"]
NOTES: Final[dict[Language, dict[str, str]]] = {
    "en": {
        "weighed": "Posts stand where yours did well. This product posts nothing: take the plan to the tool that does.",
        "no_evidence": "There is no evidence that time matters for this account: the posts are spread evenly. "
        "This product posts nothing: take the plan to the tool that does.",
        "too_few": "Too few posts are known to say when they do well: these are spread evenly. "
        "This product posts nothing: take the plan to the tool that does.",
    },
    "es": {
        "weighed": "Las publicaciones van donde a las tuyas les fue bien. "
        "Este producto no publica nada: lleva el plan a la herramienta que publica.",
        "no_evidence": "Nada indica que la hora importe en esta cuenta: las publicaciones se reparten por igual. "
        "Este producto no publica nada: lleva el plan a la herramienta que publica.",
        "too_few": "Se conocen muy pocas publicaciones para saber cuándo van bien: estas se reparten por igual. "
        "Este producto no publica nada: lleva el plan a la herramienta que publica.",
    },
}
REASONS: Final[dict[Language, dict[Reason, str]]] = {
    "en": {
        "no_allowed_slot": "the rules leave no time within its own bounds and the span",
        "no_room": "what else is planned, the spacing and the limits of X leave no time",
    },
    "es": {
        "no_allowed_slot": "las reglas no dejan tiempo entre sus propios límites y los del plan",
        "no_room": "lo ya planeado, la distancia y los límites de X no dejan tiempo",
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When a post may go out, on or after `not_before` and before `not_after`; None is no bound."""

    not_before: datetime | None = None
    not_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class Quiet:
    """Local times of every day without posts, from `start` until before `end`; over midnight where `end` is earlier."""

    start: time
    end: time

    def holds(self, local: datetime) -> bool:
        """Whether a local time lies within."""
        now = local.time()
        if self.start < self.end:
            return self.start <= now < self.end
        return now >= self.start or now < self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Never:
    """Local times without posts: where the weekday (1 is Monday), the hour and the date are all among those named."""

    weekdays: Collection[int] = ()
    hours: Collection[int] = ()
    dates: Collection[date] = ()

    def holds(self, local: datetime) -> bool:
        """Whether a local time is ruled out."""
        return (
            (not self.weekdays or local.isoweekday() in self.weekdays)
            and (not self.hours or local.hour in self.hours)
            and (not self.dates or local.date() in self.dates)
        )


@dataclass(frozen=True, slots=True)
class Planned:
    """The post at `index` goes out at `at`; `expected` as in a cell of the heat map, None without evidence."""

    index: int
    at: datetime
    expected: float | None


@dataclass(frozen=True, slots=True)
class Plan:
    """Slots in order of time, and (index, reason) of posts without one; `evidence` says whether hours were weighed."""

    slots: tuple[Planned, ...]
    unplaced: tuple[tuple[int, Reason], ...]
    evidence: bool


@lru_cache(maxsize=1)
def limits() -> dict[str, Any]:
    """Return what X allows and how it weighs posts of one author, with date and source."""
    found: dict[str, Any] = json.loads(Path(__file__).with_name("limits.json").read_text(encoding="utf-8"))
    return found


def least_distance(spacing: timedelta) -> timedelta:
    """Return how far apart posts must be: `spacing`, or what X's limits for a window and a day ask for."""
    allowed = limits()["posts"]
    window = timedelta(minutes=allowed["window_minutes"]) / allowed["originals_per_window"]
    least: timedelta = max(spacing, window, timedelta(minutes=MINUTES_A_DAY / allowed["originals_per_day"]))
    return least


def slots_between(
    start: datetime, end: datetime, zone: ZoneInfo, quiet: Sequence[Quiet], never: Sequence[Never]
) -> list[datetime]:
    """Return the allowed half-hours of the zone's clocks on or after `start` and before `end`, in `zone`, ascending.

    From instants, so that none lies in an hour that clocks skip. The hour that they show twice is left out: a tool that
    takes local times could not tell which of the two is meant.
    """
    step = STEP.total_seconds()
    first, last = -(-start.timestamp() // step), -(-end.timestamp() // step)
    rules: list[Quiet | Never] = [*quiet, *never]
    found = []
    for quarter in range(int(first), int(last)):
        local = datetime.fromtimestamp(quarter * step, zone)
        allowed = local.minute % SLOT_MINUTES == 0 and not shown_twice(local)
        if allowed and not any(rule.holds(local) for rule in rules):
            found.append(local)
    return found


def shown_twice(local: datetime) -> bool:
    """Tell whether clocks show this time twice that day, as they do when summer time ends."""
    return local.replace(fold=0).utcoffset() > local.replace(fold=1).utcoffset()  # type: ignore[operator]


def plan(
    windows: Sequence[Window],
    slots: Sequence[datetime],
    spacing: timedelta,
    taken: Sequence[datetime] = (),
    best: BestTimes | None = None,
) -> Plan:
    """Return a slot for as many posts as have one, each in its window, `least_distance` from every other and `taken`.

    Where the heat map has evidence the lower ends of their expected percentiles are the highest together, by which its
    best times are ordered too: an hour without posts promises nothing. Else they spread evenly over the allowed time.
    `slots` come from slots_between.
    """
    distance = least_distance(spacing).total_seconds()
    evidence = bool(best and best.evidence)
    moments = np.array([slot.timestamp() for slot in slots])
    occupied = np.array(sorted(moment.timestamp() for moment in taken))
    free = ~_near(moments, occupied, distance)
    allowed = np.array([_within(window, moments) for window in windows]).reshape(len(windows), len(slots))
    expected = sure = np.zeros(len(slots))
    if best and evidence:
        cells = [best.cells[cell_of(slot, slot.tzinfo)] for slot in slots if isinstance(slot.tzinfo, ZoneInfo)]
        expected, sure = np.array([cell.expected for cell in cells]), np.array([cell.low for cell in cells])

    order = sorted(range(len(windows)), key=lambda row: (*_deadline(windows[row]), row))
    times, open_ = moments[free], allowed[:, free]
    chosen = _assign(times, open_[order], sure[free], distance, evidence=evidence)
    placed = {order[place]: float(times[column]) for place, column in chosen.items()}
    # What the order of deadlines left over may still fit in between.
    for row in order:
        if row not in placed:
            around = np.array(sorted(placed.values()))
            left = np.flatnonzero(open_[row] & ~_near(times, around, distance))
            if len(left):
                placed[row] = float(times[left[np.argmax(sure[free][left])]])

    at = {slot.timestamp(): (slot, value) for slot, value in zip(slots, expected.tolist(), strict=True)}
    planned = sorted((placed[row], row) for row in placed)
    return Plan(
        tuple(Planned(row, at[moment][0], at[moment][1] if evidence else None) for moment, row in planned),
        tuple(
            (row, "no_room" if allowed[row].any() else "no_allowed_slot")
            for row in range(len(windows))
            if row not in placed
        ),
        evidence,
    )


def _within(window: Window, moments: NDArray[np.float64]) -> NDArray[np.bool_]:
    inside = np.ones(len(moments), np.bool_)
    if window.not_before:
        inside &= moments >= window.not_before.timestamp()
    if window.not_after:
        inside &= moments < window.not_after.timestamp()
    return inside


def _deadline(window: Window) -> tuple[float, float]:
    return (
        window.not_after.timestamp() if window.not_after else float("inf"),
        window.not_before.timestamp() if window.not_before else float("-inf"),
    )


def _near(moments: NDArray[np.float64], occupied: NDArray[np.float64], distance: float) -> NDArray[np.bool_]:
    """Tell for each moment whether an occupied one lies closer than `distance`."""
    if not len(occupied):
        return np.zeros(len(moments), np.bool_)
    after = np.searchsorted(occupied, moments)
    before = moments - occupied[np.maximum(after - 1, 0)]
    behind = occupied[np.minimum(after, len(occupied) - 1)] - moments
    return ((after > 0) & (before < distance)) | ((after < len(occupied)) & (behind < distance))


def _assign(
    times: NDArray[np.float64],
    allowed: NDArray[np.bool_],
    sure: NDArray[np.float64],
    distance: float,
    *,
    evidence: bool,
) -> dict[int, int]:
    """Return post -> slot: the most posts, then the best sum, `distance` apart; posts keep their order.

    `times`, `sure` (slots,), ascending times; `allowed` (posts, slots).
    """
    posts, n = allowed.shape
    if not posts or not n:
        return {}
    # How many slots lie far enough before each: its posts are those that may come first.
    earlier = np.searchsorted(times, times - distance, "right")
    reach = max(times[-1] - times[0], 1.0)
    total = np.zeros((posts + 1, n + 1))
    gains = np.full((posts, n), -np.inf)
    for post in range(posts):
        # Even over the allowed time, so that a weekend without posts is not made up for on Monday.
        target = times[min(int((post + 0.5) / posts * n), n - 1)]
        apart = np.square((times - target) / reach)
        value = sure - SPREAD * apart if evidence else -apart
        gains[post] = np.where(allowed[post], A_POST + value + total[post, earlier], -np.inf)
        total[post + 1, 1:] = np.maximum.accumulate(np.maximum(total[post, 1:], gains[post]))
    chosen: dict[int, int] = {}
    column = n
    for post in range(posts - 1, -1, -1):
        if column and total[post + 1, column] > total[post, column]:
            chosen[post] = slot = int(np.argmax(gains[post, :column]))
            column = int(earlier[slot])
    return chosen
