"""The reader of X's exports, unhappy first: whatever the bytes are, it refuses the file or tells what is wrong."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.outcomes.archive import CHUNK
from pipelines.outcomes.cells import count_of, dates_of, exact, fraction_of, neutralized, post_id_of, posted_at
from pipelines.outcomes.exports import DayReading, end_of_range, open_export
from pipelines.outcomes.files import FileRefused
from pipelines.outcomes.posts import PostReading

CONTENT = b"Post id,Date,Post text,Impressions,Likes\n"
ACTIVITY = b"Tweet id,Tweet text,time,impressions,likes,promoted likes\n"
OVERVIEW = b"Date,Impressions,Unfollows\n"
VIDEO = b"Video overview,,\nDate,Views,Watch Time (ms),Completion Rate\n"
OWN = b"post_id,posted_at,text,captured_at,source,likes,promoted\n"
STARTS = (b"", OWN, CONTENT, ACTIVITY, OVERVIEW, VIDEO, b"window.YTD.tweets.part0 = [", b'[{"tweet": {"id_str": "1", ')
KNOWN_POST = "1226928883355791360"


def read(file: bytes) -> list[Any]:
    with open_export(io.BytesIO(file)) as export:
        return list(export.rows)


def readings(file: bytes) -> list[PostReading]:
    return [reading for _, reading in read(file)]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("-1", "negative"),
        ("-1,234", "negative"),
        ("'-3", "negative"),
        ("--3", "no count"),
        ("1.5", "no count"),
        ("0.123", "no count"),
        ("12,5", "no count"),
        ("1,23", "no count"),
        ("1,2345", "no count"),
        ("01,234", "no count"),
        ("1e3", "no count"),
        ("0x10", "no count"),
        ("١٢", "no count"),
        ("1 ١٢٣", "no count"),
        ("1_000", "no count"),
        ("∞", "no count"),
        ("12k", "no count"),
        ("=1+1", "no count"),
        ("1.000", "may be 1 or 1000"),
        ("100.000", "may be 100 or 100000"),
        (str(2**63), "larger"),
        ("9" * 40, "larger"),
        ("9" * 41, "no count"),
    ],
)
def test_what_is_no_count_is_an_error(cell: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        count_of(cell)


@pytest.mark.parametrize(
    ("cell", "count"),
    [
        *[(unknown, None) for unknown in ("", " ", "-", "'-", "--", "—", "N/A", "NaN", "null")],
        *[("0", 0), ("007", 7), (" 12 ", 12), ("1203.0", 1203), ("1203.00", 1203), ("1203,0", 1203)],
        *[("1,234", 1234), ("1,234,567", 1_234_567), ("1,234.0", 1234), ("1,000", 1000)],
        *[("1.234", 1234), ("1.234.567", 1_234_567), ("1.234,0", 1234), ("1.000.000", 1_000_000)],
        *[("1 234", 1234), ("1\u202f234", 1234), ("12\u00a0345", 12_345), (str(2**63 - 1), 2**63 - 1)],
    ],
)
def test_a_count_is_read_however_it_is_written(cell: str, count: int | None) -> None:
    assert count_of(cell) == count


def test_a_share_or_an_amount_is_a_number_from_zero_on() -> None:
    assert [fraction_of(cell) for cell in ("0.25", "25%", "-", "", "3")] == [0.25, 0.25, None, None, 3.0]
    for wrong in ("-0.5", "1,5", "nan.0", "9" * 50, "half"):
        with pytest.raises(ValueError, match=r"negative|no number"):
            fraction_of(wrong)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        *[(blank, "no id") for blank in ("", "  ", "-", "nan")],
        *[(spoiled, "spreadsheet") for spoiled in ("1.22693E+18", "1,22693e+18", "1E18")],
        *[(wrong, "no id of a post") for wrong in ("0", "-5", "12.0", "abc", "1" * 20, str(2**63), "١٢", "1 2")],
    ],
)
def test_what_is_no_id_is_an_error(cell: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        post_id_of(cell)


def test_an_id_is_its_digits() -> None:
    assert [post_id_of(cell) for cell in (KNOWN_POST, f" {KNOWN_POST} ", "0020")] == [KNOWN_POST, KNOWN_POST, "20"]


@pytest.mark.parametrize(
    "cell",
    [
        *("", "soon", "2026", "14", "Jul 2026", "2026-13-01", "2026-02-30", "1999-01-01", "2101-01-01", "0000-01-01"),
        *("2026-07-14 25:00", "2026-07-14 18:00 +9900", "2026-07-14 18:00 +2500", "14/15/2026", "1/2/26"),
        *("Tue, Foo 14, 2026", "jul 14 mar 2026", "14:00 2026-07-14", "2026-07-14; DROP", "1" * 65, "=1"),
        *("1e999-01-01", "99999999999999999999", "2026-07-14T12:00:00.000000000000Z"),
    ],
)
def test_what_is_no_date_is_an_error(cell: str) -> None:
    with pytest.raises(ValueError, match="is no date"):
        dates_of(cell)


@pytest.mark.parametrize(
    ("cell", "moment"),
    [
        ("2020-02-10 18:00 +0000", datetime(2020, 2, 10, 18, tzinfo=UTC)),
        ("2020-02-10 18:00 +0530", datetime(2020, 2, 10, 12, 30, tzinfo=UTC)),
        ("2020-02-10T18:00:15.250Z", datetime(2020, 2, 10, 18, 0, 15, tzinfo=UTC)),
        ("Wed Oct 10 20:19:24 +0000 2018", datetime(2018, 10, 10, 20, 19, 24, tzinfo=UTC)),
        ("Tue, Jul 14, 2026", datetime(2026, 7, 14, tzinfo=UTC)),
        ("July 4 2026", datetime(2026, 7, 4, tzinfo=UTC)),
        ("mar, 3 mar 2026", datetime(2026, 3, 3, tzinfo=UTC)),
        ("Mar 3, 2026", datetime(2026, 3, 3, tzinfo=UTC)),
        ("mié, 15 de julio de 2026", datetime(2026, 7, 15, tzinfo=UTC)),
        ("14 sept. 2026", datetime(2026, 9, 14, tzinfo=UTC)),
        ("14/07/2026 3:05 p. m.", datetime(2026, 7, 14, 15, 5, tzinfo=UTC)),
        ("7/14/2026 12:05 AM", datetime(2026, 7, 14, 0, 5, tzinfo=UTC)),
        ("2026/7/4", datetime(2026, 7, 4, tzinfo=UTC)),
        ("4.4.2026", datetime(2026, 4, 4, tzinfo=UTC)),
        ("'2026-07-14", None),
    ],
)
def test_a_date_is_read_in_english_spanish_and_numbers(cell: str, moment: datetime | None) -> None:
    if moment is None:
        with pytest.raises(ValueError, match="is no date"):
            dates_of(cell)
    else:
        assert [start for start, _ in dates_of(cell)] == [moment]


def test_the_clock_comes_from_the_id_where_the_file_agrees_with_it() -> None:
    # Vectors of two real posts; the second says its day alone.
    by_id = datetime(2020, 2, 10, 18, 0, 15, tzinfo=UTC)
    assert posted_at("2020-02-10 18:00 +0000", KNOWN_POST).replace(microsecond=0) == by_id
    assert posted_at("Mar 23, 2026", "2035933611212357737").date().isoformat() == "2026-03-23"
    # A day of another time zone agrees, the day after that does not.
    for day in ("2020-02-10", "2020-02-11"):
        assert posted_at(day, KNOWN_POST).replace(microsecond=0) == by_id
    assert posted_at("2020-02-12", KNOWN_POST) == datetime(2020, 2, 12, tzinfo=UTC)
    assert posted_at("2020-02-10 18:05 +0000", KNOWN_POST) == datetime(2020, 2, 10, 18, 5, tzinfo=UTC)
    assert posted_at("2009-05-05 10:00 +0000", "1700000000") == datetime(2009, 5, 5, 10, tzinfo=UTC)


def test_of_a_date_with_two_readings_the_one_of_the_id_counts() -> None:
    assert posted_at("10/02/2020", KNOWN_POST).month == posted_at("2/10/2020", KNOWN_POST).month == 2
    with pytest.raises(ValueError, match="nobody knows the month"):
        posted_at("03/04/2020", KNOWN_POST)


@given(st.text())
@settings(deadline=None)
def test_a_neutralized_text_comes_back_exact_and_never_begins_a_formula(text: str) -> None:
    cell = neutralized(text)

    assert exact(cell) == text
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


def test_a_row_that_is_wrong_is_told_by_the_line_that_it_starts_on() -> None:
    file = CONTENT + b'1,2026-07-14,"two\nlines",5,1\n\n,2026-07-14,x,1,1\n3,2026-07-14,x,1,1,,\n4,2026-07-14,x,1,1,9\n'

    assert [(line, reading if isinstance(reading, str) else reading.post_id) for line, reading in read(file)] == [
        (2, "1"),
        (5, "no id"),
        (6, "3"),
        (7, "6 cells where the header has 5"),
    ]


def test_what_was_paid_for_is_kept_apart_without_dashes_and_zeros() -> None:
    file = ACTIVITY + b"1,a &amp; b,2020-02-10 18:00 +0000,9,1.0,-\n2,b,2020-02-10 18:00 +0000,9,1.0,0.0\n"
    file += b"3,c,2020-02-10 18:00 +0000,9,1.0,4.0\n"

    assert [reading.promoted for reading in readings(file)] == [None, None, {"likes": 4}]
    assert readings(file)[0].text == "a & b"


def test_columns_may_stand_in_any_order_and_unknown_ones_are_left_out() -> None:
    file = b"LIKES, impressions ,Sunshine,Post  text,date,POST ID\n5,10,high,hello,2026-07-14,7\n"
    (reading,) = readings(file)

    assert (reading.post_id, reading.likes, reading.impressions, reading.text) == ("7", 5, 10, "hello")


def test_a_day_is_its_counts_and_what_is_unknown_is_absent() -> None:
    assert read(OVERVIEW + b'"Tue, Jul 14, 2026","1,234",-\n03/04/2026,1,1\nnever,1,1\n') == [
        (2, DayReading(date(2026, 7, 14), {"impressions": 1234})),
        (3, "'03/04/2026' is a date of which nobody knows the month"),
        (4, "'never' is no date"),
    ]
    assert read(VIDEO + b"2026-07-14,3,100,0.5\n2026-07-15,3,100,-1\n") == [
        (3, DayReading(date(2026, 7, 14), {"views": 3, "watch_time_ms": 100, "completion_rate": 0.5})),
        (4, "completion rate: '-1' is negative"),
    ]


def test_posts_of_an_archive_are_told_one_by_one_across_chunks() -> None:
    posts = [
        {"tweet": {"id_str": str(n), "full_text": 'ñ }] " ' * (n % 7) * 99, "created_at": "2018-10-10", "x": [{}] * n}}
        for n in range(1, 400)
    ]
    script = "window.YTD.tweets.part0 = " + json.dumps(posts, indent=2, ensure_ascii=False) + ";\n"
    rows = read(script.encode())

    assert len(script) > 3 * CHUNK
    assert [reading.post_id for _, reading in rows] == [str(n) for n in range(1, 400)]
    lines = script.splitlines()
    assert all(lines[line - 1] == "  {" for line, _ in rows)


def test_a_post_of_an_archive_that_is_wrong_is_told_and_the_others_stay() -> None:
    posts = [
        *({"tweet": []}, {"tweet": {}}, {"tweet": {"id_str": "1", "created_at": "then"}}, {"id": True}),
        {"tweet": {"id_str": "2", "created_at": "2018-10-10", "favorite_count": "-4"}},
        {"tweet": {"id": 3, "created_at": "2018-10-10", "full_text": ["no text"], "retweet_count": "2"}},
    ]
    rows = read(f"window.YTD.tweets.part1 = {json.dumps(posts)}".encode())

    said = ["no post", "no id", "created_at is no date", "no id", "favorite_count is negative"]
    assert [row for _, row in rows[:5]] == said
    assert (rows[5][1].post_id, rows[5][1].text, rows[5][1].retweets, rows[5][1].likes) == ("3", None, 2, None)


def test_the_end_of_a_range_is_that_of_its_last_day() -> None:
    assert end_of_range("tweet_activity_metrics_us_20170101_20170201_en.csv") == datetime(2017, 2, 2, tzinfo=UTC)
    assert end_of_range("account_analytics_content_2026-03-01_2026-03-31.csv") == datetime(2026, 4, 1, tzinfo=UTC)
    for name in ("tweets.js", "a_20170101.csv", "20179901_20179901.csv", "99991231_99991231", "1" * 300):
        assert end_of_range(name) is None


@given(
    st.sampled_from(STARTS),
    st.binary(max_size=400) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")),
)
@settings(deadline=None, max_examples=300)
def test_any_bytes_are_read_or_refused(start: bytes, rest: bytes) -> None:
    _is_read_or_refused(start + rest)


CELLS = st.sampled_from(
    [KNOWN_POST, "1", "", "-", "2026-07-14", '"', '""', "\n", "\r\n", ",", ";", "\t", "'=1", "1,234", "\0"]
)
PIECES = st.sampled_from([*'{}[]",:\\', '"tweet"', '"id_str"', '"1"', "\\ud83d", "NaN", "1e999", "null", "9" * 5_000])


@given(st.sampled_from(STARTS), st.lists(CELLS | PIECES, max_size=40))
@settings(deadline=None, max_examples=300)
def test_any_cells_are_read_or_refused(start: bytes, cells: list[str]) -> None:
    _is_read_or_refused(start + ",".join(cells).encode())
    _is_read_or_refused(start + "".join(cells).encode())


def _is_read_or_refused(file: bytes) -> None:
    try:
        rows = read(file)
    except FileRefused:
        return
    for line, reading in rows:
        assert line >= 1
        if isinstance(reading, PostReading):
            assert (reading.text or "x").encode()
            assert "\0" not in (reading.text or "")
            assert 2005 < reading.posted_at.year < 2102
        else:
            assert isinstance(reading, DayReading) or reading
