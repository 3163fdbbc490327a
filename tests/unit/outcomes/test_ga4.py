"""Exports of Google Analytics 4: the whole of a good one, and a clear word on every bad one."""

from __future__ import annotations

from datetime import date

import pytest

from pipelines.outcomes.ga4 import MAX_ROWS, NotAnExport, Visits, read_ga4, without_overlap

HEAD = """# ----------------------------------------
# Traffic acquisition: Session manual ad content
# Account: Example
# Property: Shoes
# ----------------------------------------
#
# All Users
# Start date: 20260901
# End date: 20260930
"""
HEADER = "Session manual ad content,Sessions,Engaged sessions,Engagement rate,Key events,Total revenue\n"
SEPTEMBER = {"first_day": date(2026, 9, 1), "last_day": date(2026, 9, 30)}


def visits(utm_content: str, sessions: int, **fields: object) -> Visits:
    unknown = {"engaged_sessions": None, "key_events": None, "revenue": None}
    return Visits(**({"utm_content": utm_content, "sessions": sessions} | SEPTEMBER | unknown | fields))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no table"),
        (b"\x00\x01\x02", "binary"),
        (b"\xff\xfe\x41\x00", "UTF-8"),
        (b"PK\x03\x04 \xc3\x28", "UTF-8"),
        (b"Session source,Sessions\nx,1\n", "no table"),
        (b"Session manual ad content\nx\n", "no table"),
        (HEADER.encode() + b"a,1,1,1,1,1\n", "no dates"),
        (b"# Start date: 20260901\n" + HEADER.encode() + b"a,1,1,1,1,1\n", "no dates"),
        (b"# Start date: 20260930\n# End date: 20260901\n" + HEADER.encode(), "after the end"),
        (b"# Start date: 20260231\n# End date: 20260901\n" + HEADER.encode(), "does not exist"),
        (HEAD.encode() + b"a," * 300 + b"\n", "columns"),
        (HEAD.encode() + b'"' + b"a" * 200_000 + b'",1\n', "no CSV"),
    ],
)
def test_what_is_no_export_is_refused_with_the_reason(content: bytes, said: str) -> None:
    with pytest.raises(NotAnExport, match=said):
        read_ga4(content)


def test_too_many_rows_are_refused() -> None:
    with pytest.raises(NotAnExport, match="rows"):
        read_ga4(f"{HEAD}{HEADER}".encode() + b"a,1,1,1,1,1\n" * (MAX_ROWS + 1))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a,one,1,1,1,1", "sessions is no number"),
        ("a,-1,1,1,1,1", "sessions is negative"),
        ("a,1.5,1,1,1,1", "sessions is no whole number"),
        ("a,,1,1,1,1", "sessions are missing"),
        ("a,1e999,1,1,1,1", "sessions is no number"),
        ("a,nan,1,1,1,1", "sessions is no number"),
        ("a,1,1,1,inf,1", "key_events is no number"),
        ("a,1", "2 cells where the header has 6"),
        (f"{'a' * 256},1,1,1,1,1", "a content of more than 255 characters"),
        ("=cmd|'/c calc'!A1,=1+1,1,1,1,1", "sessions is no number"),
    ],
)
def test_a_row_that_makes_no_sense_is_named_by_its_line_and_costs_no_other(row: str, reason: str) -> None:
    export = read_ga4(f"{HEAD}{HEADER}good,3,2,0.5,1,9.5\n{row}\n".encode())

    assert [(one.line, one.reason) for one in export.rejected] == [(12, reason)]
    assert export.visits == (visits("good", 3, engaged_sessions=2, key_events=1.0, revenue=9.5),)


def test_a_whole_export_is_read_with_its_dates_and_figures() -> None:
    rows = '"bold, red","1,234",1000,0.81,12.5,"$2,345.67"\n(not set),9,1,1,1,1\n,5,1,1,1,1\n=plain,7,-,,,-3\n'
    totals = ",1255,1001,0.8,13.5,2345.67,Grand total\n"

    export = read_ga4(f"\ufeff{HEAD}{HEADER}{totals}{rows}".replace("\n", "\r\n").encode())

    assert export.visits == (
        visits("bold, red", 1234, engaged_sessions=1000, key_events=12.5, revenue=2345.67),
        visits("=plain", 7, revenue=-3.0),
    )
    assert (export.rows, export.untagged, export.rejected) == (4, 2, ())


def test_days_of_their_own_go_before_the_dates_of_the_file_and_conversions_are_key_events() -> None:
    table = "Date,Session manual ad content,Sessions,Conversions\n20260902,a,1,0\n20260903,a,2,1\n2026-09-04,a,4,1\n"

    export = read_ga4(f"{HEAD}{table}".encode())

    days = [(one.first_day, one.last_day, one.sessions, one.key_events) for one in export.visits]
    assert days == [(date(2026, 9, 2),) * 2 + (1, 0.0), (date(2026, 9, 3),) * 2 + (2, 1.0)]
    assert [one.reason for one in export.rejected] == ["a date that is no YYYYMMDD"]


def test_rows_that_a_second_dimension_divides_are_summed_and_an_unknown_makes_the_sum_unknown() -> None:
    table = (
        "Session manual ad content,Session source,Sessions,Engaged sessions,Key events\n"
        "a,x,3,2,1\na,(direct),4,3,\nb,x,1,1,1\n"
    )

    export = read_ga4(f"{HEAD}{table}".encode())

    assert export.visits == (
        visits("a", 7, engaged_sessions=5),
        visits("b", 1, engaged_sessions=1, key_events=1.0),
    )


def test_a_table_of_something_else_in_the_same_file_is_passed_over() -> None:
    chart = "Nth day,Sessions\n0000,5\n0001,6\n"

    export = read_ga4(f"{HEAD}{chart}\n# Start date: 20260901\n# End date: 20260930\n{HEADER}a,1,1,1,1,1\n".encode())

    assert [one.utm_content for one in export.visits] == ["a"]


def span(first: int, last: int) -> Visits:
    return visits("a", 1, first_day=date(2026, 9, first), last_day=date(2026, 9, last))


@pytest.mark.parametrize(
    ("spans", "kept"),
    [
        ([], []),
        ([(1, 30), (3, 4), (1, 1)], [(1, 30)]),
        ([(1, 10), (10, 12), (11, 30)], [(1, 10), (11, 30)]),
        ([(5, 5), (1, 1), (3, 3)], [(1, 1), (3, 3), (5, 5)]),
        ([(1, 15), (16, 30), (1, 30)], [(1, 30)]),
        ([(1, 20), (10, 30), (21, 25)], [(1, 20), (21, 25)]),
    ],
)
def test_of_spans_that_overlap_those_are_summed_that_cover_most_days_once(
    spans: list[tuple[int, int]], kept: list[tuple[int, int]]
) -> None:
    chosen = without_overlap([span(*one) for one in spans])

    assert [(one.first_day.day, one.last_day.day) for one in chosen] == kept
