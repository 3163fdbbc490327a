"""The plan as files: exact texts, quoting, escaping, and what each tool takes."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import icalendar
import pytest

from pipelines.audience.bulk import Slot, Tool, as_calendar, as_csv

MADRID = ZoneInfo("Europe/Madrid")
NASTY = '=HYPERLINK("http://x.example";"y"), +1 @ana\nsecond line; with \\n, "quotes"\tand 🚀 ñ'
TEXTS = (NASTY, "-2+3", "@SUM(A1)", " x ", "a,b", "BEGIN:VEVENT\nUID:evil\nEND:VEVENT", "plain")


def slot(number: int, text: str, at: str = "2026-10-24T22:30:00Z") -> Slot:
    made = datetime(2026, 1, 1, tzinfo=UTC)
    return Slot(
        id=UUID(int=number),
        candidate_id=None,
        text=text,
        at=datetime.fromisoformat(at),
        time_zone="Europe/Madrid",
        expected=None,
        created_at=made,
        updated_at=made,
    )


SLOTS = [slot(number, text) for number, text in enumerate(TEXTS)]


@pytest.mark.parametrize(("tool", "column", "header"), [("buffer", 0, 1), ("hootsuite", 1, 0)])
def test_a_bulk_file_carries_the_exact_texts(tool: Tool, column: int, header: int) -> None:
    written = as_csv(SLOTS, tool, MADRID).decode()

    rows = list(csv.reader(io.StringIO(written, newline=""), strict=True))[header:]
    assert [row[column] for row in rows] == list(TEXTS)
    assert written.endswith("\r\n")


def test_buffer_gets_its_columns_by_name_and_local_times() -> None:
    rows = list(csv.reader(io.StringIO(as_csv([slot(1, "hi")], "buffer", MADRID).decode(), newline="")))

    assert rows == [["Text", "Image URL", "Tags", "Posting Time"], ["hi", "", "", "2026-10-25 00:30"]]
    assert as_csv([], "buffer", MADRID) == b"Text,Image URL,Tags,Posting Time\r\n"


def test_hootsuite_gets_date_text_and_link_without_a_header() -> None:
    assert as_csv([slot(1, "hi")], "hootsuite", ZoneInfo("Asia/Kolkata")) == b'"2026/10/25 04:00","hi",""\r\n'
    assert as_csv([], "hootsuite", MADRID) == b""


def test_a_calendar_reads_back_with_every_text_and_lines_of_75_octets() -> None:
    written = as_calendar(SLOTS)

    assert max(map(len, written.split(b"\r\n"))) <= 75
    calendar = icalendar.Calendar.from_ical(written)
    events = list(calendar.walk("VEVENT"))
    assert [str(event["description"]) for event in events] == list(TEXTS)
    assert [str(event["uid"]) for event in events] == [f"{UUID(int=n)}@murmuration" for n in range(len(TEXTS))]
    assert all("\n" not in str(event["summary"]) and len(str(event["summary"])) <= 60 for event in events)
    assert {event["dtstart"].dt for event in events} == {datetime(2026, 10, 24, 22, 30, tzinfo=UTC)}
    assert written == as_calendar(SLOTS)
