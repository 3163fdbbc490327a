"""What one cell of an export says: a count, a moment, or text that a spreadsheet was kept from running."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

from pipelines.outcomes.posts import MAX_ID, moment_of_id

UNKNOWN = frozenset({"", "-", "--", "\u2013", "\u2014", "n/a", "na", "nan", "null", "none"})
MAX_COUNT_CHARACTERS, MAX_DATE_CHARACTERS = 40, 64
FIRST_YEAR, LAST_YEAR = 2006, 2100
DAY = timedelta(days=1)
# The calendar day of the earliest and of the latest zone, seen from UTC.
AHEAD, BEHIND = timedelta(hours=14), timedelta(hours=12)

_SPACES = re.compile(r"(?<=\d)[ \u00a0\u2009\u202f](?=\d{3}(?!\d))", re.ASCII)
_COMMA_GROUPS = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+(?:\.0+)?", re.ASCII)
_DOT_GROUPS = re.compile(r"[1-9]\d{0,2}(?:(?:\.\d{3})+,0+|(?:\.\d{3}){2,})", re.ASCII)
_ONE_DOT = re.compile(r"[1-9]\d{0,2}\.\d{3}", re.ASCII)
_WHOLE = re.compile(r"(\d+)(?:[.,]0+)?", re.ASCII)

# What a spreadsheet would run: https://owasp.org/www-community/attacks/CSV_Injection
RUNS = re.compile(r"'*[=+\-@\t\r]")

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan enero ene",
            "february feb febrero",
            "march mar marzo",
            "april apr abril abr",
            "may mayo",
            "june jun junio",
            "july jul julio",
            "august aug agosto ago",
            "september sep sept septiembre setiembre set",
            "october oct octubre",
            "november nov noviembre",
            "december dec diciembre dic",
        ),
        start=1,
    )
    for name in names.split()
}
# "mar" is a month and, in Spanish, Tuesday: before another month it is the day of the week.
_BESIDE = {
    name
    for names in (
        "monday mon tuesday tue tues wednesday wed thursday thu thur thurs friday fri saturday sat sunday sun",
        "lunes lun martes mar miércoles miercoles mié mie jueves jue viernes vie sábado sabado sáb sab domingo dom",
        "de del",
    )
    for name in names.split()
}
_CLOCK = re.compile(
    r"(?:(?<=\d)t|\s|,)\s*(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d{1,9})?)?\s*(?:([ap])\.?\s?m\.?)?\s*"
    r"(?:(z|utc|gmt)|([+-])(\d{2}):?(\d{2}))?(?=\s|,|$)"
)
_DATE = re.compile(r"[\w\s,./-]+")


def neutralized(text: str) -> str:
    """Return the text with a ' before what a spreadsheet would run; `exact` undoes it."""
    return f"'{text}" if RUNS.match(text) else text


def exact(cell: str) -> str:
    """Return the cell as it was before a ' was put in front of what a spreadsheet would run."""
    return cell[1:] if cell.startswith("'") and RUNS.match(cell) else cell


@lru_cache(maxsize=1 << 16)
def count_of(cell: str) -> int | None:
    """Return a count; None where the cell says that it is unknown.

    Thousands may be parted, and a count may be written as a float. One dot before three digits parts thousands, since
    a count has no fraction, except before zeros, where it may be either.

    Raises:
        ValueError: no count from 0 to 2**63 - 1, or one that can be read in two ways.
    """
    # An error is never cached: a cell that is no count cannot fill the memory.
    if len(cell) > MAX_COUNT_CHARACTERS or not (cell.isascii() or _SPACES.search(cell) or cell.strip() in UNKNOWN):
        raise ValueError("is no count")
    plain = exact(cell).strip()
    if plain.casefold() in UNKNOWN:
        return None
    count = int(plain if plain.isdecimal() else _digits(_SPACES.sub("", plain)))
    if count > MAX_ID:
        raise ValueError("is larger than any count")
    return count


def _digits(plain: str) -> str:
    """The digits of a count that is written with points."""
    if plain.startswith("-") and len(plain) > 1:
        raise ValueError("is negative" if plain[1].isdecimal() else "is no count")
    if _COMMA_GROUPS.fullmatch(plain):
        return plain.replace(",", "").partition(".")[0]
    if _DOT_GROUPS.fullmatch(plain):
        return plain.replace(".", "").partition(",")[0]
    if _ONE_DOT.fullmatch(plain):
        if plain.endswith(".000"):
            raise ValueError(f"may be {plain[:-4]} or {plain.replace('.', '')}")
        return plain.replace(".", "")
    if whole := _WHOLE.fullmatch(plain):
        return whole[1]
    raise ValueError("is no count")


def fraction_of(cell: str) -> float | None:
    """Return a share or an amount from 0 on; None where the cell says that it is unknown.

    Raises:
        ValueError: neither.
    """
    plain = exact(cell).strip()
    if plain.casefold() in UNKNOWN:
        return None
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,20})?)(%?)", plain) if len(plain) <= MAX_COUNT_CHARACTERS else None
    if found is None:
        raise ValueError("is negative" if plain.startswith("-") else "is no number")
    return float(found[1]) / (100 if found[2] else 1)


def post_id_of(cell: str) -> str:
    """Return the id of a post.

    Raises:
        ValueError: none, or what a spreadsheet made of one.
    """
    plain = exact(cell).strip()
    if plain.isascii() and plain.isdecimal() and len(plain) <= len(str(MAX_ID)) and 0 < int(plain) <= MAX_ID:
        return str(int(plain))
    if not plain or plain.casefold() in UNKNOWN:
        raise ValueError("no id")
    if re.fullmatch(r"\d{1,3}(?:[.,]\d{1,20})?E\+?\d{1,2}", plain, re.IGNORECASE):
        raise ValueError("a spreadsheet cut the digits of the id: send the file as X made it")
    raise ValueError("the id is no id of a post")


def posted_at(cell: str, post_id: str) -> datetime:
    """Return when a post was made: by its id, to the millisecond, where that agrees with the cell, else by the cell.

    The day alone may be that of any time zone, and of "3/4/2026" the reading counts that the id agrees with.

    Raises:
        ValueError: no date from 2006 to 2100, or one that can be read in two ways.
    """
    readings = dates_of(cell)
    known = moment_of_id(post_id)
    for start, span in readings:
        before, after = (AHEAD, BEHIND) if span == DAY else (span, span)
        if known and start - before <= known < start + span + after:
            return known
    if len(readings) > 1:
        raise ValueError("is a date of which nobody knows the month")
    return readings[0][0]


@lru_cache(maxsize=1 << 14)
def dates_of(cell: str) -> tuple[tuple[datetime, timedelta], ...]:
    """Return when a moment starts, UTC, and how exactly it was told (day, minute or second); two of "3/4/2026".

    Months in English and Spanish. Without an offset a clock is UTC.

    Raises:
        ValueError: no date from 2006 to 2100.
    """
    if len(cell) > MAX_DATE_CHARACTERS:
        raise ValueError("is no date")
    plain = exact(cell).strip().casefold()
    zone, span, clock = UTC, DAY, (0, 0, 0)
    if told := _CLOCK.search(plain):
        hour, minute, second, half, _, sign, offset_hours, offset_minutes = told.groups()
        clock = (int(hour) % 12 + 12 * (half == "p") if half else int(hour), int(minute), int(second or 0))
        span = timedelta(minutes=1) if second is None else timedelta(seconds=1)
        if sign:
            offset = timedelta(hours=int(offset_hours), minutes=int(offset_minutes))
            if offset >= DAY:
                raise ValueError("is no date")
            zone = timezone(offset if sign == "+" else -offset)
        plain = f"{plain[: told.start()]} {plain[told.end() :]}"
    readings = []
    for year, month, day in _days(plain):
        try:
            start = datetime(year, month, day, *clock, tzinfo=zone)
        except ValueError:
            continue
        if FIRST_YEAR <= year < LAST_YEAR:
            readings.append((start.astimezone(UTC), span))
    if not readings:
        raise ValueError("is no date")
    return tuple(dict.fromkeys(readings))


def _days(plain: str) -> list[tuple[int, int, int]]:
    """Year, month and day as a date can be read."""
    words, numbers = re.findall(r"[^\W\d_]+", plain), re.findall(r"\d+", plain)
    months = [_MONTHS[word] for word in words if word in _MONTHS]
    if not _DATE.fullmatch(plain) or any(word not in _MONTHS and word not in _BESIDE for word in words):
        return []
    years = [number for number in numbers if len(number) == 4]
    if (
        len(years) != 1
        or len(numbers) != (2 if months else 3)
        or any(len(number) not in {1, 2, 4} for number in numbers)
    ):
        return []
    year = int(years[0])
    first, *others = (int(number) for number in numbers if number != years[0])
    if len(months) > 1 and words[0] != "mar":
        return []
    if months:
        return [(year, months[-1], first)]
    if numbers[0] == years[0]:
        return [(year, first, others[0])]
    return [(year, first, others[0]), (year, others[0], first)] if numbers[2] == years[0] else []
