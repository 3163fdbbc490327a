"""The plan as files for the tools that post: a calendar, and bulk files of Buffer and Hootsuite.

Buffer: support.buffer.com, article 926 (September 2026). Hootsuite: help.hootsuite.com, "Bulk schedule posts". Texts
stand in them as they will be posted: what a spreadsheet would take for a formula is no less a text.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, get_args
from uuid import UUID
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event

Tool = Literal["buffer", "hootsuite"]
TOOLS: tuple[Tool, ...] = get_args(Tool)
BUFFER_COLUMNS: Final = ("Text", "Image URL", "Tags", "Posting Time")
# Of a file: Buffer's on a paid plan (10 on the free one), Hootsuite's of all that is scheduled there.
MAX_ROWS: Final[dict[Tool, int]] = {"buffer": 100, "hootsuite": 350}
# Hootsuite takes nothing that is due sooner.
LEAD: Final[dict[Tool, timedelta]] = {"buffer": timedelta(0), "hootsuite": timedelta(minutes=10)}
SUMMARY_CHARACTERS: Final = 60
EVENT: Final = timedelta(minutes=15)


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A post of the plan: `candidate_id` is the caller's own name of it; `expected` as in a cell, None if unknown."""

    id: UUID
    candidate_id: str | None
    text: str
    at: datetime
    time_zone: str
    expected: float | None
    created_at: datetime
    updated_at: datetime


def as_csv(slots: Iterable[Slot], tool: Tool, zone: ZoneInfo) -> bytes:
    """Return the bulk file of a tool, UTF-8 with CRLF; times are those of clocks in `zone`, which the tool must use."""
    written = io.StringIO()
    writer = csv.writer(written, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    if tool == "buffer":
        csv.writer(written, lineterminator="\r\n").writerow(BUFFER_COLUMNS)
        writer.writerows((slot.text, "", "", f"{slot.at.astimezone(zone):%Y-%m-%d %H:%M}") for slot in slots)
    else:
        # Date, text, link: Hootsuite knows no header, and the links stand in the text.
        writer.writerows((f"{slot.at.astimezone(zone):%Y/%m/%d %H:%M}", slot.text, "") for slot in slots)
    return written.getvalue().encode()


def as_calendar(slots: Iterable[Slot]) -> bytes:
    """Return the plan as iCalendar (RFC 5545): one event a post, with the same UID at each call."""
    calendar = Calendar()
    calendar.add("prodid", "-//Murmuration//Plan//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", "Murmuration")
    for slot in slots:
        event = Event()
        event.add("uid", f"{slot.id}@murmuration")
        event.add("dtstamp", slot.updated_at)
        event.add("created", slot.created_at)
        event.add("last-modified", slot.updated_at)
        event.add("dtstart", slot.at)
        event.add("dtend", slot.at + EVENT)
        event.add("summary", _summary(slot.text))
        event.add("description", slot.text)
        # A post keeps nobody busy.
        event.add("transp", "TRANSPARENT")
        calendar.add_component(event)
    written: bytes = calendar.to_ical()
    return written


def _summary(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SUMMARY_CHARACTERS else f"{line[: SUMMARY_CHARACTERS - 1].rstrip()}…"
