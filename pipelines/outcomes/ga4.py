"""Reads what Google Analytics 4 exports as CSV: visits by utm_content, which it calls manual ad content.

A file is comments (`# Start date: 20260901`), a header in English and rows; several such tables may follow each other.
"""

from __future__ import annotations

import csv
import math
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Protocol, TypeVar

CONTENT: Final = ("session manual ad content", "manual ad content", "first user manual ad content")
DAY: Final = "date"
COUNTS: Final[dict[str, tuple[str, ...]]] = {
    "sessions": ("sessions",),
    "engaged_sessions": ("engaged sessions",),
    "key_events": ("key events", "conversions"),
    "revenue": ("total revenue", "revenue", "purchase revenue"),
}
# What stands in the place of a content where there was none, and in that of all together.
NO_CONTENT: Final = frozenset({"", "(not set)", "(not provided)", "(other)", "(none)", "(data not available)"})
TOTALS: Final = frozenset({"grand total", "totals", "total"})
MAX_CONTENT_CHARACTERS: Final = 255
MAX_COLUMNS: Final = 200
MAX_ROWS: Final = 200_000
BOUND: Final = re.compile(r"#\s*(start|end) date:\s*(\d{8})\s*$", re.IGNORECASE)
COUNT: Final = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,12})?")
THOUSANDS: Final = re.compile(r"(?<=\d),(?=\d{3}(?:\D|$))")


@dataclass(frozen=True, kw_only=True)
class Visits:
    """Visits by links with a utm_content, from `first_day` to `last_day`; None is unknown."""

    utm_content: str
    first_day: date
    last_day: date
    sessions: int
    engaged_sessions: int | None
    key_events: float | None
    revenue: float | None


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """A line of the file, from 1, and why nothing was read from it."""

    line: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Export:
    """What a file holds: one entry a content and span, rows that make no sense, and how many rows had no content."""

    visits: tuple[Visits, ...]
    rows: int
    untagged: int
    rejected: tuple[Rejected, ...]


class NotAnExport(ValueError):
    """The file is no export of Google Analytics 4 by manual ad content; the message says what is missing."""


def read_ga4(content: bytes) -> Export:
    """Read an export; rows of one content and span, as where a second dimension divides them, are summed up.

    Raises:
        NotAnExport: another encoding than UTF-8, no table by manual ad content, or no dates.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotAnExport("the file is not UTF-8 text") from error
    if "\0" in text:
        raise NotAnExport("the file is binary")
    found: dict[tuple[str, date, date], Visits] = {}
    rejected: list[Rejected] = []
    rows = untagged = 0
    for line, table, cells in _rows(text):
        rows += 1
        if rows > MAX_ROWS:
            raise NotAnExport(f"the file has more than {MAX_ROWS:,} rows")
        name = cells[table.content].strip() if table.content < len(cells) else ""
        if name.lower() in NO_CONTENT:
            untagged += 1
            continue
        try:
            visits = table.read(name, cells)
        except ValueError as error:
            rejected.append(Rejected(line=line, reason=str(error)))
            continue
        key = (visits.utm_content, visits.first_day, visits.last_day)
        found[key] = _sum(found[key], visits) if key in found else visits
    return Export(visits=tuple(found.values()), rows=rows, untagged=untagged, rejected=tuple(rejected))


class Dated(Protocol):
    """What lasts from one day to another, both included."""

    @property
    def first_day(self) -> date:
        """The first of its days."""

    @property
    def last_day(self) -> date:
        """The last of its days."""


Spanned = TypeVar("Spanned", bound=Dated)


def without_overlap(spans: Sequence[Spanned]) -> tuple[Spanned, ...]:
    """Return those spans that cover most days without one twice, earliest first: what can be summed up.

    Files overlap: a month told whole and by days is one month. Weighted interval scheduling (Kleinberg & Tardos 2006,
    Algorithm Design, 6.1); of choices that cover as much the one with fewer spans.
    """
    ordered = sorted(spans, key=lambda span: (span.last_day, span.first_day))
    ends = [span.last_day for span in ordered]
    # Of the first n spans: days covered, and spans taken as a malus; where the last is taken, how many come before it.
    best: list[tuple[int, int]] = [(0, 0)]
    taken: list[int | None] = []
    for place, span in enumerate(ordered):
        before = bisect_left(ends, span.first_day, 0, place)
        days = (span.last_day - span.first_day).days + 1
        with_it = (best[before][0] + days, best[before][1] - 1)
        taken.append(before if with_it > best[place] else None)
        best.append(max(with_it, best[place]))
    chosen: list[Spanned] = []
    place = len(ordered)
    while place:
        before_it = taken[place - 1]
        if before_it is None:
            place -= 1
        else:
            chosen.append(ordered[place - 1])
            place = before_it
    return tuple(reversed(chosen))


@dataclass(frozen=True, kw_only=True)
class _Table:
    """Where the columns of one table stand, and its dates."""

    content: int
    day: int | None
    counts: dict[str, int]
    width: int
    first_day: date | None
    last_day: date | None

    def read(self, name: str, cells: list[str]) -> Visits:
        """Read one row.

        Raises:
            ValueError: why it cannot be read.
        """
        if len(cells) < self.width:
            raise ValueError(f"{len(cells)} cells where the header has {self.width}")
        if len(name) > MAX_CONTENT_CHARACTERS:
            raise ValueError(f"a content of more than {MAX_CONTENT_CHARACTERS} characters")
        first, last = self.first_day, self.last_day
        if self.day is not None:
            first = last = _day(cells[self.day].strip())
        if first is None or last is None:
            raise ValueError("no date")
        counts = {count: _number(cells[place], count) for count, place in self.counts.items()}
        sessions, engaged = _whole(counts["sessions"], "sessions"), counts.get("engaged_sessions")
        if sessions is None:
            raise ValueError("sessions are missing")
        return Visits(
            utm_content=name,
            first_day=first,
            last_day=last,
            sessions=sessions,
            engaged_sessions=_whole(engaged, "engaged_sessions"),
            key_events=counts.get("key_events"),
            revenue=counts.get("revenue"),
        )


def _rows(text: str) -> Iterator[tuple[int, _Table, list[str]]]:
    """Yield line, table and cells of every row of the tables by content; totals are no rows.

    Raises:
        NotAnExport: there is no such table, or it has no dates.
    """
    table: _Table | None = None
    bounds: dict[str, date] = {}
    tables, opened, inside = 0, True, False
    reader = csv.reader(_lines(text))
    while (cells := _next(reader)) is not None:
        if not cells or not any(cell.strip() for cell in cells):
            opened, inside = True, False
            continue
        if cells[0].startswith("#"):
            if match := BOUND.match(",".join(cells)):
                try:
                    bounds[match[1].lower()] = _day(match[2])
                except ValueError as error:
                    raise NotAnExport(f"line {reader.line_num} has {error}") from error
            opened, inside = True, False
            continue
        if opened:
            opened = False
            table = _table(cells, bounds)
            inside = table is not None
            tables += inside
            continue
        if inside and table and not any(cell.strip().lower() in TOTALS for cell in cells):
            yield reader.line_num, table, cells
    if not tables:
        raise NotAnExport("there is no table with Session manual ad content and Sessions: add that dimension in GA4")


def _lines(text: str) -> Iterable[str]:
    return text.splitlines(keepends=True)


def _next(reader: Iterator[list[str]]) -> list[str] | None:
    try:
        return next(reader, None)
    except csv.Error as error:
        raise NotAnExport(f"the file is no CSV: {error}") from error


def _table(header: list[str], bounds: dict[str, date]) -> _Table | None:
    """Return where the columns stand; None for a table of something else."""
    if len(header) > MAX_COLUMNS:
        raise NotAnExport(f"the table has more than {MAX_COLUMNS} columns")
    names = [" ".join(cell.lower().split()) for cell in header]
    content = next((names.index(name) for name in CONTENT if name in names), None)
    counts = {
        count: next(names.index(name) for name in known if name in names)
        for count, known in COUNTS.items()
        if any(name in names for name in known)
    }
    if content is None or "sessions" not in counts:
        return None
    day = names.index(DAY) if DAY in names else None
    first, last = bounds.get("start"), bounds.get("end")
    if day is None and (first is None or last is None):
        raise NotAnExport("there are no dates: neither a Date column nor # Start date and # End date above the table")
    if first and last and first > last:
        raise NotAnExport("the start date is after the end date")
    needed = [content, *counts.values(), *([day] if day is not None else [])]
    return _Table(content=content, day=day, counts=counts, width=max(needed) + 1, first_day=first, last_day=last)


def _day(cell: str) -> date:
    """Read 20260901, as GA4 writes days."""
    if len(cell) != 8 or not cell.isascii() or not cell.isdecimal():
        raise ValueError("a date that is no YYYYMMDD")
    try:
        return date(int(cell[:4]), int(cell[4:6]), int(cell[6:]))
    except ValueError as error:
        raise ValueError("a date that does not exist") from error


def _number(cell: str, name: str) -> float | None:
    bare = THOUSANDS.sub("", cell.strip()).removeprefix("$").removeprefix("€").removeprefix("£").strip()
    if bare in {"", "-"}:
        return None
    if not COUNT.fullmatch(bare):
        raise ValueError(f"{name} is no number")
    number = float(bare)
    if number < 0 and name != "revenue":
        raise ValueError(f"{name} is negative")
    return number


def _whole(number: float | None, name: str) -> int | None:
    if number is None:
        return None
    if number != math.floor(number):
        raise ValueError(f"{name} is no whole number")
    return int(number)


def _sum(one: Visits, other: Visits) -> Visits:
    def both(a: float | None, b: float | None) -> float | None:
        return None if a is None or b is None else a + b

    engaged = both(one.engaged_sessions, other.engaged_sessions)
    return Visits(
        utm_content=one.utm_content,
        first_day=one.first_day,
        last_day=one.last_day,
        sessions=one.sessions + other.sessions,
        engaged_sessions=None if engaged is None else int(engaged),
        key_events=both(one.key_events, other.key_events),
        revenue=both(one.revenue, other.revenue),
    )
