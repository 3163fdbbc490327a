"""Reads the files that X lets its users download: told apart by their header, row by row, whatever their size.

A row that says nothing usable is told with the reason; a file that is none of them, or is broken, is refused.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Any, BinaryIO, Literal

from pipelines.outcomes.archive import is_script, read_archive
from pipelines.outcomes.cells import (
    FIRST_YEAR,
    LAST_YEAR,
    count_of,
    dates_of,
    exact,
    fraction_of,
    post_id_of,
    posted_at,
)
from pipelines.outcomes.files import MAX_ROW_CHARACTERS, FileRefused, Row, clean_text
from pipelines.outcomes.posts import MAX_ID, SOURCES, Counts, DaySource, PostReading, Source

MAX_COLUMNS = 200
HEADER_LINES = 5
DELIMITERS = (",", ";", "\t")
# Longest first: the mark of UTF-32 begins as that of UTF-16 does.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
FOREIGN = (
    (b"PK\x03\x04", "This is a zip: unpack it and send data/tweets.js (of a spreadsheet: save it as .csv)."),
    (b"PK\x05\x06", "This is an empty zip."),
    (b"\x1f\x8b", "This is compressed with gzip: unpack it and send what is inside."),
    (b"%PDF", "This is a PDF: send the .csv that X exports, or data/tweets.js of the archive."),
)
# The range of an export in its name: tweet_activity_metrics_NAME_20170101_20170201_en.csv,
# account_analytics_content_2026-03-01_2026-03-31.csv
RANGE = re.compile(r"(?<!\d)\d{4}-?\d{2}-?\d{2}_(?:to_)?(\d{4})-?(\d{2})-?(\d{2})(?!\d)")


# The last is our own, written by pipelines.outcomes.tables.
FileSource = Source | DaySource | Literal["export"]


@dataclass(frozen=True, slots=True)
class Format:
    """One kind of export: the columns that tell it, and what its columns are called here."""

    source: FileSource
    name: str
    needs: frozenset[str]
    counts: dict[str, str]
    shares: tuple[str, ...] = ()


ACTIVITY = {
    "impressions": "impressions",
    "engagements": "engagements",
    "retweets": "retweets",
    "replies": "replies",
    "likes": "likes",
    "favorites": "likes",
    "user profile clicks": "profile_clicks",
    "url clicks": "clicks",
    "hashtag clicks": "hashtag_clicks",
    "detail expands": "detail_expands",
    "permalink clicks": "permalink_clicks",
    "app opens": "app_opens",
    "app installs": "app_installs",
    "follows": "follows",
    "email tweet": "email_posts",
    "dial phone": "dial_phone",
    "media views": "media_views",
    "media engagements": "media_engagements",
}
DAYS = {
    "impressions": "impressions",
    "likes": "likes",
    "engagements": "engagements",
    "bookmarks": "bookmarks",
    "shares": "shares",
    "new follows": "follows",
    "unfollows": "unfollows",
    "replies": "replies",
    "reposts": "retweets",
    "profile visits": "profile_clicks",
}
FORMATS = (
    Format(
        "tweet_activity",
        "tweet activity (Tweet id, Tweet text, time, impressions ...)",
        frozenset({"tweet id", "tweet text", "time", "impressions"}),
        ACTIVITY,
    ),
    Format(
        "content",
        "content (Post id, Date, Post text, Impressions ...)",
        frozenset({"post id", "date", "post text", "impressions"}),
        {
            **{column: name for column, name in DAYS.items() if name != "unfollows"},
            "detail expands": "detail_expands",
            "url clicks": "clicks",
            "hashtag clicks": "hashtag_clicks",
            "permalink clicks": "permalink_clicks",
        },
    ),
    Format(
        "overview",
        "overview (Date, Impressions, Likes, Engagements, Unfollows ...)",
        frozenset({"date", "impressions", "unfollows"}),
        {**DAYS, "create post": "posts", "video views": "video_views", "media views": "media_views"},
    ),
    Format(
        "video",
        "video overview (Date, Views, Watch Time (ms) ...)",
        frozenset({"date", "views", "watch time (ms)"}),
        {"views": "views", "watch time (ms)": "watch_time_ms", "average watch time (ms)": "average_watch_time_ms"},
        ("completion rate", "estimated revenue"),
    ),
    Format(
        "export",
        "the CSV of /metrics/export",
        frozenset({"post_id", "posted_at", "text", "captured_at", "source", "promoted"}),
        {field.name: field.name for field in fields(Counts)},
    ),
)
KNOWN = "; ".join(known.name for known in FORMATS) + "; tweets.js of X's archive"
PROMOTED = "promoted "
ACTIVITY_NAMES = frozenset(ACTIVITY.values())


@dataclass(frozen=True, slots=True)
class DayReading:
    """What X counts of one day of the account; what is unknown is absent. `completion_rate` is in [0, 1]."""

    day: date
    counts: dict[str, int | float]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnReading(PostReading):
    """A reading that was exported here: its moment and source are its own."""

    captured_at: datetime
    source: Source


@dataclass(frozen=True, slots=True)
class Export:
    """A file that is known: its kind, and its rows, read as they are asked for."""

    source: FileSource
    rows: Iterator[Row[PostReading] | Row[DayReading]]


@contextmanager
def open_export(file: BinaryIO) -> Iterator[Export]:
    """Tell what a file is; its rows come one by one, and memory stays flat whatever is in it.

    Raises:
        FileRefused: none of X's exports; also while the rows are read.
    """
    start = file.read(64 * 1024)
    file.seek(0)
    for magic, message in FOREIGN:
        if start.startswith(magic):
            raise FileRefused(message)
    if not start:
        raise FileRefused("The file is empty.")
    encoding = next((encoding for mark, encoding in MARKS if start.startswith(mark)), "utf-8")
    if encoding.startswith("utf-8") and b"\0" in start:
        raise FileRefused("The file is binary, not text.")
    text = io.TextIOWrapper(file, encoding, newline="")
    try:
        yield _known(text)
    finally:
        # The file stays with who opened it.
        text.detach()


def _known(text: io.TextIOWrapper) -> Export:
    try:
        script = is_script(text.read(1024))
        text.seek(0)
        return Export("archive", read_archive(text)) if script else _table(text)
    except UnicodeError as error:
        raise FileRefused(_misread(text.encoding)) from error


def end_of_range(file_name: str) -> datetime | None:
    """Return the end of the last day that a file's name says it covers, UTC."""
    found = RANGE.search(file_name)
    try:
        return datetime.strptime("".join(found.groups()) + "Z", "%Y%m%d%z") + timedelta(days=1) if found else None
    except (ValueError, OverflowError):
        return None


class _Lines:
    """The lines of a file with their ends, counted; a row is bounded, whatever its quotes and lines."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self.text = text
        self.number = 0
        self.taken = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self.text.readline(MAX_ROW_CHARACTERS - self.taken + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self.taken += len(line)
        if self.taken > MAX_ROW_CHARACTERS:
            if max(map(line.count, DELIMITERS)) >= MAX_COLUMNS:
                raise FileRefused(_too_wide(self.number))
            raise FileRefused(f"Line {self.number}: a row of over {MAX_ROW_CHARACTERS:,} characters.")
        if "\0" in line:
            raise FileRefused(f"Line {self.number}: the file is binary, not text.")
        return line


def _table(text: io.TextIOWrapper) -> Export:
    lines = _Lines(text)
    for _ in range(HEADER_LINES):
        line = next(lines, "")
        for delimiter in DELIMITERS:
            if line.count(delimiter) >= MAX_COLUMNS:
                raise FileRefused(_too_wide(lines.number))
            try:
                names = [_column(name) for name in next(csv.reader([line], delimiter=delimiter), [])]
            except csv.Error:
                continue
            for known in FORMATS:
                if known.needs <= set(names):
                    return Export(known.source, _rows(lines, delimiter, names, known, encoding=text.encoding))
    raise FileRefused(f"No line at the start is the header of an export that is known. Known are: {KNOWN}.")


def _rows(
    lines: _Lines, delimiter: str, names: Sequence[str], known: Format, *, encoding: str
) -> Iterator[Row[PostReading] | Row[DayReading]]:
    told = [name for name in names if name]
    if twice := next((name for name in told if told.count(name) > 1), None):
        raise FileRefused(f"Line {lines.number}: two columns are called {twice!r}.")
    readers: dict[str, Callable[..., Iterator[Any]]] = {"overview": _days, "video": _days, "export": _own}
    try:
        yield from readers.get(known.source, _posts)(_cells(lines, delimiter), names, known)
    except csv.Error as error:
        raise FileRefused(f"Line {lines.number}: a cell does not end, or its quotes do not match ({error}).") from error
    except UnicodeError as error:
        raise FileRefused(f"After line {lines.number}: {_misread(encoding)}") from error


def _cells(lines: _Lines, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The rows with the line that each starts on; empty lines are none."""
    lines.taken = 0
    start = lines.number + 1
    # A cell is bounded with its row; the module's own bound is one for the whole process.
    for cells in csv.reader(lines, delimiter=delimiter, strict=True):
        if cells:
            yield start, cells
        lines.taken = 0
        start = lines.number + 1


def _posts(rows: Iterable[tuple[int, list[str]]], names: Sequence[str], known: Format) -> Iterator[Row[PostReading]]:
    activity = known.source == "tweet_activity"
    post_id = names.index("tweet id" if activity else "post id")
    text = names.index("tweet text" if activity else "post text")
    time = names.index("time" if activity else "date")
    counts = [(place, known.counts[name]) for place, name in enumerate(names) if name in known.counts]
    promoted = [
        (place, known.counts[name.removeprefix(PROMOTED)])
        for place, name in enumerate(names)
        if name.startswith(PROMOTED) and name.removeprefix(PROMOTED) in known.counts
    ]
    for line, cells in rows:
        try:
            _check_width(cells, names)
            identity = post_id_of(cells[post_id])
            yield (
                line,
                PostReading(
                    post_id=identity,
                    posted_at=_moment(cells[time], identity),
                    text=_text(cells[text], escaped=activity),
                    promoted=_promoted(cells, names, promoted) if promoted else None,
                    **{name: _count(cells[place], names[place]) for place, name in counts},
                ),
            )
        except ValueError as error:
            yield line, str(error)


def _days(rows: Iterable[tuple[int, list[str]]], names: Sequence[str], known: Format) -> Iterator[Row[DayReading]]:
    day = names.index("date")
    counts = [(place, known.counts[name]) for place, name in enumerate(names) if name in known.counts]
    shares = [(place, name.replace(" ", "_")) for place, name in enumerate(names) if name in known.shares]
    for line, cells in rows:
        try:
            _check_width(cells, names)
            read: dict[str, int | float | None] = {name: _count(cells[place], names[place]) for place, name in counts}
            for place, name in shares:
                read[name] = _share(cells[place], names[place])
            yield line, DayReading(_day(cells[day]), {name: count for name, count in read.items() if count is not None})
        except ValueError as error:
            yield line, str(error)


def _own(rows: Iterable[tuple[int, list[str]]], names: Sequence[str], known: Format) -> Iterator[Row[OwnReading]]:
    for line, cells in rows:
        try:
            _check_width(cells, names)
            told = dict(zip(names, cells, strict=False))
            source = _source(told["source"])
            identity = post_id_of(told["post_id"])
            yield (
                line,
                OwnReading(
                    post_id=identity,
                    posted_at=_moment(told["posted_at"], identity),
                    text=_text(told["text"], escaped=False),
                    promoted=_counts_of_json(told["promoted"]),
                    captured_at=_exact_moment(told["captured_at"]),
                    source=source,
                    **{name: _count(told[name], name) for name in known.counts if name in told},
                ),
            )
        except ValueError as error:
            yield line, str(error)


def _exact_moment(cell: str) -> datetime:
    try:
        moment = datetime.fromisoformat(cell.strip())
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not FIRST_YEAR <= moment.year < LAST_YEAR:
        raise ValueError(f"captured_at: {_short(cell)} is no moment")
    return moment


def _source(cell: str) -> Source:
    if not cell.strip():
        raise ValueError("source: an experiment told this reading, and it stays with the experiment")
    found = next((source for source in SOURCES if source == cell.strip()), None)
    if found is None:
        raise ValueError(f"source: {_short(cell)} is none of {', '.join(SOURCES)}")
    return found


def _counts_of_json(cell: str) -> dict[str, int] | None:
    if not cell.strip():
        return None
    try:
        counts = json.loads(cell)
    except (ValueError, RecursionError):
        counts = None
    if not isinstance(counts, dict) or not all(
        name in ACTIVITY_NAMES and type(count) is int and 0 <= count <= MAX_ID for name, count in counts.items()
    ):
        raise ValueError(f"promoted: {_short(cell)} holds no counts")
    return counts


def _check_width(cells: Sequence[str], names: Sequence[str]) -> None:
    if len(cells) < len(names) or any(cell.strip() for cell in cells[len(names) :]):
        raise ValueError(f"{len(cells):,} cells where the header has {len(names)}")


def _count(cell: str, column: str) -> int | None:
    try:
        return count_of(cell)
    except ValueError as error:
        raise ValueError(f"{column}: {_short(cell)} {error}") from None


def _share(cell: str, column: str) -> float | None:
    try:
        return fraction_of(cell)
    except ValueError as error:
        raise ValueError(f"{column}: {_short(cell)} {error}") from None


def _promoted(cells: Sequence[str], names: Sequence[str], columns: Iterable[tuple[int, str]]) -> dict[str, int] | None:
    return {name: count for place, name in columns if (count := _count(cells[place], names[place]))} or None


def _moment(cell: str, post_id: str) -> datetime:
    try:
        return posted_at(cell, post_id)
    except ValueError as error:
        raise ValueError(f"{_short(cell)} {error}") from None


def _day(cell: str) -> date:
    try:
        readings = dates_of(cell)
    except ValueError as error:
        raise ValueError(f"{_short(cell)} {error}") from None
    if len(readings) > 1:
        raise ValueError(f"{_short(cell)} is a date of which nobody knows the month")
    return readings[0][0].date()


def _text(cell: str, *, escaped: bool) -> str | None:
    text = exact(cell)
    if escaped and "&" in text:
        # X writes these three into its older exports.
        text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return clean_text(text)


def _too_wide(line: int) -> str:
    return f"Line {line}: more than {MAX_COLUMNS} columns, which no export of X has."


def _column(name: str) -> str:
    return " ".join(name.replace("\ufeff", "").split()).casefold()


def _short(cell: str) -> str:
    return repr(cell if len(cell) <= 40 else f"{cell[:40]}…")


def _misread(encoding: str) -> str:
    name = "UTF-8" if encoding.startswith("utf-8") else encoding.upper()
    return f"The file is not {name} throughout: save it as UTF-8, or send it as X made it."
