"""Files in, everything out, and deleted: the routes behind the gate on a real Postgres, without a cluster."""

from __future__ import annotations

import asyncio
import csv
import gzip
import hashlib
import io
import json
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import httpx
import jsonschema
import pandas as pd
import pyarrow.parquet as pq
import pytest
from starlette.types import Message

from deployments.http.gate import Gate
from deployments.http.ingress import create_api
from deployments.imports import Imports, import_in_thread
from deployments.library import Library
from deployments.own_posts import OwnPosts
from pipelines.outcomes.posts import Counts
from store.cache import Cache, cache_key
from store.postgres import Store
from tests.integration.conftest import KEYS, Answer, Front, caller, fields, save_metrics
from tests.integration.test_template_api import READING, created

EXPORTS = Path(__file__).parent / "exports"
REAL = Path(__file__).parents[2] / "../shared/data/analytics_export"
ACTIVITY = "tweet_activity_metrics_sea_club_20200201_20200301_en.csv"
CONTENT = "account_analytics_content_2026-07-01_2026-07-31.csv"
HEADER = (EXPORTS / CONTENT).read_text("utf-8-sig").splitlines()[0]
TABLES_WITH = """
SELECT table_name FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND column_name = $1
"""
EXPORTING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'murmuration-outcomes'
"""


@pytest.fixture
def gate(store: Store, library: Library, cache: Cache, database: str) -> Gate:
    answers = SimpleNamespace(library=library, store=store, cache=cache, own_posts=OwnPosts(store))
    front = Front(answers, Imports(database, import_in_thread))
    gate = Gate(create_api(front), KEYS, lambda *_: None)
    gate.max_requests = 64
    return gate


async def send(client: httpx.AsyncClient, content: bytes, name: str = "posts.csv", **fields: str) -> httpx.Response:
    return await client.post("/metrics/import", files={"file": (name, content)}, data=fields)


async def imported(client: httpx.AsyncClient, name: str, **fields: str) -> dict[str, Any]:
    response = await send(client, (EXPORTS / name).read_bytes(), name, **fields)
    assert response.status_code == 200, response.text
    return response.json()


def content(*rows: str) -> bytes:
    return "\n".join([HEADER, *rows]).encode()


def deleted(response: httpx.Response) -> dict[str, int]:
    """The tables of which rows went, and how many."""
    return {table: rows for table, rows in response.json()["deleted"].items() if rows}


def row(post_id: object, text: str = "hello", date: str = "2026-07-14", impressions: str = "10") -> str:
    return f'{post_id},{date},"{text}",,{impressions}' + ",0" * 12


async def export(client: httpx.AsyncClient) -> list[dict[str, str]]:
    response = await client.get("/metrics/export")
    assert response.status_code == 200
    return list(csv.DictReader(io.StringIO(response.text, newline="")))


def zipped() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("data/tweets.js", b"0" * 10_000_000)
    return packed.getvalue()


REFUSED_FILES = [
    (b"", "empty"),
    (b"\x7fELF\x02\x01\x01" + bytes(500), "binary"),
    (HEADER.encode() + b"\n" + b"1" * 70_000 + b"\0", "binary"),
    (zipped(), "zip: unpack it and send data/tweets.js"),
    (gzip.compress(b"0" * 10_000_000), "gzip"),
    (b"a,b,c\n1,2,3\n", "Known are: tweet activity"),
    (b"a," * 2_000_000, "more than 200 columns"),
    (HEADER.encode() + b"," * 2_000_000 + b"\n", "more than 200 columns"),
    (content(row(1), '2,"' + "\n" * 5), "Line 7"),
    (content('1,"' + "x" * 2_000_000), "Line 2: a row of over 1,048,576 characters"),
    (content(row(1, "café")).decode().encode("latin-1"), "not UTF-8"),
    (content(*[row(n) for n in range(1, 9_000)], row(9, "café")).decode().encode("latin-1"), "not UTF-8"),
    (b"window.YTD.like.part0 = [ {} ]", "window.YTD.like.part0, not posts: send data/tweets.js"),
    (b"window.YTD.tweets.part0 = [ {", "cut off"),
    (b"window.YTD.tweets.part0 = [" + b'{"a":' * 100_000, "no whole post"),
    (b"[1, 2, 3]", "no whole post"),
    (b"[] and more", "something follows"),
    (HEADER.replace("Likes", "Impressions").encode() + b"\n", "two columns"),
]


async def test_a_file_that_is_none_is_refused_as_a_whole_and_leaves_nothing(
    client: httpx.AsyncClient, connection: asyncpg.Connection
) -> None:
    for file, said in REFUSED_FILES:
        response = await send(client, file)
        assert (said, response.status_code, fields(response)) == (said, 422, ["file"])
        assert said in response.json()["errors"][0]["message"]

    assert await connection.fetchval("SELECT count(*) FROM imports") == 0
    assert await connection.fetchval("SELECT count(*) FROM posts") == 0


REFUSED_FORMS = [
    ({"files": {"other": ("a.csv", b"x")}}, "other"),
    ({"files": {"file": ("a.csv", b"x")}, "data": {"captured_at": "yesterday"}}, "captured_at"),
    ({"files": {"file": ("a.csv", b"x")}, "data": {"captured_at": "2026-07-01T00:00:00"}}, "captured_at"),
    ({"files": {"file": ("a.csv", b"x")}, "data": {"captured_at": "2099-01-01T00:00:00Z"}}, "captured_at"),
    ({"files": {"file": ("a.csv", b"x")}, "data": {"captured_at": "x" * 2_000}}, "captured_at"),
    ({"files": {"file": ("a.csv", b"x")}, "data": {"account_id": "acme"}}, "account_id"),
    ({"files": [("file", ("a.csv", b"x")), ("file", ("b.csv", b"x"))]}, "file"),
    ({"files": {"captured_at": (None, "2026-07-01T00:00:00Z")}}, "file"),
    ({"content": b"x", "headers": {"content-type": f"multipart/form-data; boundary={'b' * 300}"}}, "body"),
    ({"content": b"--b\r\nno header", "headers": {"content-type": "multipart/form-data; boundary=b"}}, "body"),
    (
        {
            "content": b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nhalf',
            "headers": {"content-type": "multipart/form-data; boundary=b"},
        },
        "body",
    ),
]


async def test_a_form_that_cannot_be_read_is_named_by_field(client: httpx.AsyncClient) -> None:
    for form, field in REFUSED_FORMS:
        response = await client.post("/metrics/import", **form)
        assert (form, response.status_code, fields(response)) == (form, 422, [field])


async def test_another_media_type_is_refused_and_so_is_a_compressed_form(client: httpx.AsyncClient) -> None:
    for headers in (
        {"content-type": "text/csv"},
        {"content-type": "application/json"},
        {"content-type": "multipart/form-data"},
        {"content-type": "multipart/form-data; boundary=b", "content-encoding": "gzip"},
    ):
        response = await client.post("/metrics/import", content=b"x", headers=headers)
        assert response.status_code == 415


async def test_a_file_over_the_limit_is_413_by_what_is_said_and_by_what_comes(
    gate: Gate, client: httpx.AsyncClient, connection: asyncpg.Connection
) -> None:
    gate.upload_limit = 1 << 20
    form = httpx.Request("POST", "http://test", files={"file": ("a.csv", content(row(1)) + b"\n" * (2 << 20))})
    body = form.read()

    async def in_parts() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    told = await client.post("/metrics/import", content=body, headers=form.headers)
    headers = {"content-type": form.headers["content-type"]}
    untold = await client.post("/metrics/import", content=in_parts(), headers=headers)
    lied = await client.post("/metrics/import", content=in_parts(), headers=headers | {"content-length": "1000"})

    assert [told.status_code, untold.status_code, lied.status_code] == [413, 413, 413]
    assert await connection.fetchval("SELECT count(*) FROM imports") == 0
    assert (await send(client, content(row(1)) + b"\n" * (1 << 19))).status_code == 200


async def test_uploads_beyond_the_places_wait_outside(client: httpx.AsyncClient, gate: Gate) -> None:
    imports = gate.app.state.front.imports
    imports._free = 0

    refused = await send(client, content(row(1)))

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert (await client.get("/metrics/export")).status_code == 503
    imports._free = 1
    assert (await send(client, content(row(1)))).status_code == 200
    assert imports._free == 1


async def test_an_account_that_takes_its_time_leaves_places_to_others(client: httpx.AsyncClient, gate: Gate) -> None:
    form = httpx.Request("POST", "http://test", files={"file": ("a.csv", content(row(1)))})
    body, arrived, go_on = form.read(), asyncio.Barrier(3), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield body[:100]
        await arrived.wait()
        await go_on.wait()
        yield body[100:]

    def upload() -> asyncio.Task[httpx.Response]:
        return asyncio.create_task(client.post("/metrics/import", content=slow(), headers=form.headers))

    slow_ones = [upload(), upload()]
    await arrived.wait()
    for refused in (await send(client, content(row(1))), await client.get("/metrics/export")):
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert "imports and exports of this account" in refused.json()["detail"]
    async with caller(gate, "acme") as other:
        assert (await send(other, content(row(1)))).status_code == 200
        assert (await other.get("/metrics/export")).status_code == 200
    go_on.set()
    assert [(await task).status_code for task in slow_ones] == [200, 200]
    assert (await client.get("/metrics/export")).status_code == 200
    assert not gate.app.state.front.imports._taken  # type: ignore[attr-defined]


async def test_every_rejected_row_is_told_with_its_line_and_why(client: httpx.AsyncClient) -> None:
    report = (
        await send(
            client,
            content(
                row(1, "fine"),
                row("", "two\nlines"),
                row("abc"),
                row("1.2E+18"),
                row(5, impressions="-3"),
                row(6, impressions="many"),
                row(7, impressions="1.000"),
                row(8, date="soon"),
                row(9, date="03/04/2026"),
                row(10, text="x" * 25_001),
                "11,2026-07-14",
                row(12, "first"),
                row(12, "again"),
            ),
        )
    ).json()

    assert (report["rows"], report["imported"], report["updated"], report["unchanged"]) == (13, 2, 0, 0)
    assert report["rejected_rows"] == 11
    assert report["rejected"] == [
        {"line": 3, "reason": "no id"},
        {"line": 5, "reason": "the id is no id of a post"},
        {"line": 6, "reason": "a spreadsheet cut the digits of the id: send the file as X made it"},
        {"line": 7, "reason": "impressions: '-3' is negative"},
        {"line": 8, "reason": "impressions: 'many' is no count"},
        {"line": 9, "reason": "impressions: '1.000' may be 1 or 1000"},
        {"line": 10, "reason": "'soon' is no date"},
        {"line": 11, "reason": "'03/04/2026' is a date of which nobody knows the month"},
        {"line": 12, "reason": "a text of 25,001 characters, and a post has 25,000 at most"},
        {"line": 13, "reason": "2 cells where the header has 17"},
        {"line": 14, "reason": "the post or day stands in line 15 again, which counts"},
    ]


async def test_of_very_many_rejected_rows_all_are_counted_and_the_first_listed(client: httpx.AsyncClient) -> None:
    report = (await send(client, content(*[row("") for _ in range(1_500)], *[row(7) for _ in range(1_501)]))).json()

    assert (report["rows"], report["imported"], report["rejected_rows"]) == (3_001, 1, 3_000)
    assert [entry["line"] for entry in report["rejected"]] == list(range(2, 1_002))


async def test_the_old_export_is_stored_with_every_count_and_what_was_paid_for(
    client: httpx.AsyncClient, store: Store, connection: asyncpg.Connection
) -> None:
    report = await imported(client, ACTIVITY)
    posts = await store.outcomes.posts("default", limit=10)

    assert (report["source"], report["rows"], report["imported"]) == ("tweet_activity", 3, 3)
    assert report["captured_at"] == "2020-03-02T00:00:00+00:00"
    assert [post.kind for post in posts] == ["reply", "post", "post"]
    last = posts[-1]
    assert last.text == "The boats are back in the water.\nCome and see them & bring tea"
    assert last.posted_at.isoformat() == "2020-02-10T18:00:15.250000+00:00"
    counted = {name: getattr(last, name) for name in Counts.__dataclass_fields__}
    assert counted == {
        "impressions": 1203,
        "engagements": 39,
        "retweets": 7,
        "replies": 1,
        "likes": 12,
        "profile_clicks": 2,
        "clicks": 3,
        "hashtag_clicks": 0,
        "detail_expands": 5,
        "permalink_clicks": 0,
        "app_opens": 0,
        "app_installs": 0,
        "follows": 1,
        "email_posts": 0,
        "dial_phone": 0,
        "media_views": 12,
        "media_engagements": 4,
        "quotes": None,
        "bookmarks": None,
        "shares": None,
    }
    paid = await connection.fetch("SELECT promoted FROM performance_metrics ORDER BY post_id")
    assert [promoted for (promoted,) in paid if promoted] == [
        '{"likes": 9, "retweets": 1, "engagements": 20, "impressions": 500}'
    ]


async def test_the_export_of_2015_calls_likes_favorites(client: httpx.AsyncClient, store: Store) -> None:
    await imported(client, "tweet_activity_2015.csv")
    (post,) = await store.outcomes.posts("default", limit=10)

    assert (post.likes, post.retweets, post.text) == (11, 4, "Our first regatta")


async def test_the_new_export_takes_its_clock_from_the_ids(client: httpx.AsyncClient, store: Store) -> None:
    report = await imported(client, CONTENT)
    posts = await store.outcomes.posts("default", limit=10)

    assert (report["source"], report["captured_at"]) == ("content", "2026-08-01T00:00:00+00:00")
    assert report["rejected"] == [{"line": 5, "reason": "no id"}]
    assert [post.posted_at.isoformat() for post in posts] == [
        "2026-07-15T08:00:00+00:00",
        "2026-07-14T23:59:59.500000+00:00",
        "2026-07-14T16:20:05.123000+00:00",
    ]
    assert [(post.impressions, post.bookmarks, post.shares) for post in posts] == [
        (12, None, None),
        (120, None, None),
        (1234, 3, 2),
    ]


async def test_days_and_videos_are_stored_by_day_and_an_older_reading_does_not_overwrite_a_newer(
    client: httpx.AsyncClient, connection: asyncpg.Connection
) -> None:
    first = await imported(client, "account_overview_analytics.csv", captured_at="2026-08-02T00:00:00Z")
    again = await imported(client, "account_overview_analytics.csv")
    video = await imported(client, "account_video_overview.csv")
    overview = (EXPORTS / "account_overview_analytics.csv").read_bytes().replace(b'"1,354"', b"1")
    older = (await send(client, overview, captured_at="2026-08-01T00:00:00Z")).json()
    newer = (await send(client, overview, captured_at="2026-08-03T00:00:00Z")).json()

    assert (first["source"], first["imported"], again["imported"], again["unchanged"]) == ("overview", 2, 0, 2)
    assert (video["source"], video["imported"]) == ("video", 2)
    assert (older["unchanged"], older["updated"]) == (2, 0)
    assert (newer["unchanged"], newer["updated"]) == (1, 1)
    listed = (await client.get("/metrics/days")).json()["days"]
    assert sorted(day["source"] for day in listed) == ["overview", "overview", "video", "video"]
    assert [day["day"] for day in listed] == sorted((day["day"] for day in listed), reverse=True)
    assert (await client.get(f"/metrics/days?before={listed[-1]['day']}")).json() == {"days": []}
    assert (await client.get("/metrics/days?before=yesterday")).status_code == 422
    lines = (await client.get("/metrics/export?of=days")).text.splitlines()
    table = pq.read_table(io.BytesIO((await client.get("/metrics/export?of=days&format=parquet")).content))
    assert (lines[0], len(lines), table.num_rows) == ("day,source,captured_at,counts", 5, 4)
    assert sorted(map(str, table["day"].to_pylist()), reverse=True) == [day["day"] for day in listed]
    rows = await connection.fetch(
        "SELECT source, counts->>'impressions', counts FROM account_days ORDER BY source, day"
    )
    assert [tuple(row)[:2] for row in rows] == [("overview", "1"), ("overview", "12"), ("video", None), ("video", None)]
    assert rows[2]["counts"] == (
        '{"views": 40, "watch_time_ms": 120000, "completion_rate": 0.25, "estimated_revenue": 1.5, '
        '"average_watch_time_ms": 3000}'
    )


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("tweets.js", ["Lee: ñandú 🌊 \ufffd", "RT @harbour: storm on Sunday", 'Fog & foghorns <3 "quoted ] }" end']),
        ("tweet.js", ["An older archive"]),
    ],
)
async def test_the_archive_is_stored_with_the_counts_that_it_knows(
    client: httpx.AsyncClient, store: Store, name: str, texts: list[str]
) -> None:
    report = await imported(client, name)
    posts = await store.outcomes.posts("default", limit=10)

    assert (report["source"], report["imported"], report["rejected_rows"]) == ("archive", len(texts), 0)
    assert [post.text for post in posts] == texts
    assert {post.impressions for post in posts} == {None}
    assert (posts[-1].likes, posts[-1].retweets) in {(5, 2), (3, 1)}


@pytest.mark.parametrize("name", [ACTIVITY, CONTENT, "tweets.js"])
async def test_the_same_file_again_changes_nothing_and_is_of_the_same_moment(
    client: httpx.AsyncClient, store: Store, name: str
) -> None:
    first = await imported(client, name)
    posts = await store.outcomes.posts("default", limit=10)
    renamed = (await send(client, (EXPORTS / name).read_bytes(), "renamed.bin")).json()

    assert renamed["captured_at"] == first["captured_at"]
    assert (renamed["imported"], renamed["updated"], renamed["unchanged"]) == (0, 0, first["imported"])
    assert await store.outcomes.posts("default", limit=10) == posts


async def test_the_same_file_at_once_is_stored_once(client: httpx.AsyncClient, store: Store) -> None:
    reports = await asyncio.gather(*(imported(client, "tweets.js") for _ in range(2)))

    assert sorted(report["imported"] for report in reports) == [0, 3]
    assert len({report["captured_at"] for report in reports}) == 1
    assert (await store.counts())["performance_metrics"] == 3


async def test_a_later_reading_stands_beside_the_first_and_a_corrected_one_replaces_it(
    client: httpx.AsyncClient, store: Store
) -> None:
    await send(client, content(row(1), row(2)), captured_at="2026-07-20T00:00:00Z")
    corrected = await send(client, content(row(1, impressions="11"), row(2)), captured_at="2026-07-20T00:00:00Z")
    later = await send(client, content(row(1, impressions="15")), captured_at="2026-07-21T00:00:00Z")

    assert (corrected.json()["updated"], corrected.json()["unchanged"]) == (1, 1)
    assert later.json()["imported"] == 1
    assert (await store.counts())["performance_metrics"] == 3
    assert [post.impressions for post in await store.outcomes.posts("default", limit=9)] == [10, 15]


def archive(*posts: tuple[int, int, int]) -> bytes:
    """tweets.js with these posts: id, likes and reposts."""
    tweets = [
        {"id_str": str(post_id), "created_at": "Tue Jul 14 12:00:00 +0000 2026", "full_text": f"post {post_id}",
         "favorite_count": str(likes), "retweet_count": str(retweets)}
        for post_id, likes, retweets in posts
    ]  # fmt: skip
    return b"window.YTD.tweets.part0 = " + json.dumps([{"tweet": tweet} for tweet in tweets]).encode()


@pytest.mark.parametrize("archive_first", [True, False])
async def test_an_archive_hides_nothing_that_an_export_told(
    client: httpx.AsyncClient, store: Store, connection: asyncpg.Connection, archive_first: bool
) -> None:
    rows = [f'{n},2026-07-14,"post {n}",,1000,20,60,1,1,0,2,5,3,0,7,0,0' for n in range(1, 7)]
    # Read long after the export, when more had been liked.
    files = [(content(*rows), CONTENT), (archive(*[(n, 90, 9) for n in range(1, 7)]), "tweets.js")]
    for file, name in reversed(files) if archive_first else files:
        assert (await send(client, file, name)).status_code == 200

    (listed, *_) = (await client.get("/metrics/posts")).json()["posts"]
    assert (listed["likes"], listed["retweets"], listed["engagement"]) == (90, 9, 99)
    assert (listed["impressions"], listed["engagements"], listed["clicks"]) == (1000, 60, 7)
    assert listed["source"] == "archive"
    rates = {one["action"]: one["rate"] for one in (await client.get("/metrics/summary")).json()["rates"]}
    assert (rates["engagements"], rates["clicks"]) == (0.06, 0.007)
    # What was liked later is set against no earlier impressions.
    assert rates["likes"] == 0.02
    weighted = (await client.get("/predict/x-weighted")).json()
    assert (weighted["supported"], weighted["impressions"]) == (True, 6000)
    assert {one["action"]: one["count"] for one in weighted["actions"]}["like"] == 120
    known = await connection.fetch("SELECT engagement_rate FROM post_outcomes")
    assert [float(rate) for (rate,) in known] == [0.06] * 6
    (post, *_) = await store.outcomes.posts("default", limit=1)
    assert post.together is not None
    assert (post.together.likes, post.together.media_engagements, post.likes) == (20, None, 90)


async def test_each_count_is_that_of_the_latest_reading_that_knows_it(
    client: httpx.AsyncClient, store: Store, connection: asyncpg.Connection
) -> None:
    unknown = '1,2026-07-14,"hello",,{},5,{},-,-,-,-,1,-,-,-,-,-'
    await send(client, content(row(1, impressions="10")), captured_at="2026-07-20T00:00:00Z")
    await send(client, content(unknown.format(30, "-")), captured_at="2026-07-21T00:00:00Z")
    # What an experiment says comes later still, and is no sum of X's.
    await save_metrics(store, [replace(READING, impressions=40, engagements=9, likes=8, retweets=1)])
    await connection.execute("UPDATE performance_metrics SET captured_at = '2026-07-22Z' WHERE source IS NULL")

    (post,) = await store.outcomes.posts("default", limit=9)
    assert (post.impressions, post.likes, post.engagements, post.clicks, post.source) == (40, 8, 0, 0, None)
    # Of one moment alone: the last that tells impressions and X's engagements.
    assert (post.rated.impressions, post.rated.likes, post.rated.engagements) == (10, 0, 0)


async def test_a_range_that_is_downloaded_again_takes_no_reading_of_the_first(
    client: httpx.AsyncClient, store: Store
) -> None:
    first = (await send(client, content(row(1, impressions="10"), row(2)), CONTENT)).json()
    again = (await send(client, content(row(1, impressions="30"), row(2)), CONTENT)).json()
    once_more = (await send(client, content(row(1, impressions="30"), row(2)), CONTENT)).json()

    assert first["captured_at"] == "2026-08-01T00:00:00+00:00" < again["captured_at"] == once_more["captured_at"]
    assert [report["imported"] for report in (first, again, once_more)] == [2, 2, 0]
    assert [post.impressions for post in await store.outcomes.posts("default", limit=9)] == [10, 30]
    await client.delete(f"/metrics/imports/{again['id']}")
    assert [post.impressions for post in await store.outcomes.posts("default", limit=9)] == [10, 10]


async def test_pages_of_days_lose_no_row_of_a_day_that_two_exports_tell(client: httpx.AsyncClient) -> None:
    await imported(client, "account_overview_analytics.csv")
    await imported(client, "account_video_overview.csv")

    async def days(asked: dict[str, Any]) -> list[dict[str, Any]]:
        return (await client.get("/metrics/days", params=asked)).json()["days"]

    whole = await days({})
    found: list[dict[str, Any]] = []
    before = None
    while page := await days({"limit": 1} | ({"before": before} if before else {})):
        found += page
        before = page[-1]["day"]

    assert found == whole
    assert [day["source"] for day in found] == ["overview", "video"] * 2


SAVED_AS = [
    lambda text: text.encode("utf-8-sig"),
    lambda text: text.encode("utf-16"),
    lambda text: text.replace(",", "\t").replace('"', "").encode("utf-16"),
    lambda text: text.replace(",", ";").encode("utf-8"),
    lambda text: text.replace("\n", "\r\n").encode("utf-8"),
    lambda text: ("sep=,\n\n" + text).encode("utf-8"),
]


async def test_spreadsheets_may_have_saved_it_in_their_ways(client: httpx.AsyncClient, store: Store) -> None:
    for first, encoded in enumerate(SAVED_AS, 1):
        file = encoded(content(row(10 * first, "café 🌊"), row(10 * first + 1)).decode())
        report = (await send(client, file)).json()
        assert (first, report["imported"], report["rejected"]) == (first, 2, [])
        posts = await store.outcomes.posts("default", limit=9)
        assert {post.post_id: post.text for post in posts}[str(10 * first)] == "café 🌊"


async def test_what_a_spreadsheet_would_run_is_neutralized_in_csv_exact_in_parquet_and_imports_as_it_was(
    client: httpx.AsyncClient, store: Store
) -> None:
    texts = ["=1+1", "+1 for tea", "-1", "@harbour hi", "'=quoted", 'plain, "quoted"\nand more', "'tis"]
    await send(client, content(*[row(n, text.replace('"', '""')) for n, text in enumerate(texts, 1)]))
    # A leading ' before one of these cannot be told from one that a spreadsheet was given.
    stored = [*texts[:4], "=quoted", *texts[5:]]

    exported = await export(client)
    table = pq.read_table(io.BytesIO((await client.get("/metrics/export?format=parquet")).content))

    assert [post.text for post in (await store.outcomes.posts("default", limit=9))[::-1]] == stored
    assert table["text"].to_pylist() == stored
    assert [line["text"] for line in exported] == [f"'{text}" if text[0] in "=+-@" else text for text in stored]
    again = (await send(client, (await client.get("/metrics/export")).content)).json()
    assert (again["source"], again["imported"], again["updated"], again["unchanged"]) == ("export", 0, 0, 7)
    assert [post.text for post in (await store.outcomes.posts("default", limit=9))[::-1]] == stored


async def test_what_was_exported_comes_in_again_as_it_was_in_another_account(
    gate: Gate, client: httpx.AsyncClient, store: Store
) -> None:
    for name in (ACTIVITY, CONTENT, "tweets.js"):
        await imported(client, name, captured_at="2026-08-01T00:00:00.123456Z")
    await imported(client, CONTENT, captured_at="2026-09-01T00:00:00Z")
    # A reading without a post, as an experiment tells one.
    await save_metrics(store, [READING])
    exported = (await client.get("/metrics/export")).content

    async with caller(gate, "acme") as other:
        report = (await send(other, exported)).json()
        back = (await other.get("/metrics/export")).content
        repeated = (await send(other, exported)).json()

    assert (report["imported"], report["updated"], report["unchanged"], report["rejected_rows"]) == (12, 0, 0, 1)
    told = "source: an experiment told this reading, and it stays with the experiment"
    assert report["rejected"] == [{"line": 2, "reason": told}]
    assert sorted(back.splitlines()) == sorted(line for line in exported.splitlines() if not line.startswith(b"1,"))
    assert (repeated["imported"], repeated["updated"], repeated["unchanged"]) == (0, 0, 12)


async def test_a_reading_that_is_exported_wrong_is_told(client: httpx.AsyncClient) -> None:
    await imported(client, ACTIVITY)
    good = (await client.get("/metrics/export")).text
    wrong = [
        (good.replace("2020-03-02T00:00:00+00:00", "2020-03-02T00:00:00"), "captured_at: '2020-03-02T00:00:00' is no"),
        (good.replace(",tweet_activity,", ",elsewhere,"), "source: 'elsewhere' is none of"),
        (good.replace('""likes"": 9', '""likes"": -9'), "promoted: "),
        (good.replace('""likes"": 9', '""hearts"": 9'), "promoted: "),
    ]

    for file, said in wrong:
        rejected = (await send(client, file.encode())).json()["rejected"]
        assert rejected
        assert all(entry["reason"].startswith(said) for entry in rejected), rejected


async def test_everything_that_is_stored_is_exported_in_both_formats(client: httpx.AsyncClient) -> None:
    await imported(client, ACTIVITY)
    await imported(client, CONTENT)
    await imported(client, CONTENT, captured_at="2026-09-01T00:00:00Z")

    exported = pd.read_csv(io.BytesIO((await client.get("/metrics/export")).content), dtype={"post_id": str})
    parquet = await client.get("/metrics/export?format=parquet")
    frame = pq.read_table(io.BytesIO(parquet.content)).to_pandas()

    assert parquet.headers["content-disposition"] == 'attachment; filename="posts.parquet"'
    assert len(exported) == len(frame) == 9
    assert exported["post_id"].tolist() == frame["post_id"].tolist()
    assert exported["impressions"].sum() == frame["impressions"].sum() == 1203 + 88 + 40 + 2 * (1234 + 120 + 12)
    assert (pd.to_datetime(exported["posted_at"], format="ISO8601") == frame["posted_at"]).all()
    assert set(frame["source"]) == {"tweet_activity", "content"}


async def test_an_account_without_posts_exports_a_table_without_rows(client: httpx.AsyncClient) -> None:
    assert await export(client) == []
    assert pq.read_table(io.BytesIO((await client.get("/metrics/export?format=parquet")).content)).num_rows == 0
    response = await client.get("/metrics/export?format=xlsx")
    assert (response.status_code, fields(response)) == (422, ["format"])


@pytest.mark.parametrize("amid", ["http.response.start", "http.response.body"])
async def test_an_export_whose_client_leaves_while_it_is_sent_gives_its_place_and_its_transaction_back(
    gate: Gate, client: httpx.AsyncClient, connection: asyncpg.Connection, amid: str
) -> None:
    await imported(client, CONTENT)
    began = asyncio.Event()

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send_on(message: Message) -> None:
        if message["type"] == amid:
            began.set()
            await asyncio.Event().wait()

    headers = [(b"x-api-key", KEYS["default"].encode()), (b"host", b"test")]
    scope = {"type": "http", "method": "GET", "path": "/metrics/export", "query_string": b"", "headers": headers}
    exporting = asyncio.create_task(gate(scope, receive, send_on))
    await began.wait()
    exporting.cancel()
    # The error holds the frames of what was cancelled, so that the garbage collector cannot help.
    with pytest.raises(asyncio.CancelledError) as left:
        await exporting

    assert not gate.app.state.front.imports._taken  # type: ignore[attr-defined]
    async with asyncio.timeout(5):
        while await connection.fetchval(EXPORTING):  # noqa: ASYNC110  # a backend ends after its connection
            await asyncio.sleep(0.01)
    assert left.value


async def test_another_account_neither_sees_nor_deletes_what_was_brought(gate: Gate, client: httpx.AsyncClient) -> None:
    report = await imported(client, CONTENT)
    posts = [line["post_id"] for line in await export(client)]
    async with caller(gate, "acme") as other:
        assert (await other.get("/metrics/imports")).json() == {"imports": [], "next_cursor": None}
        assert await export(other) == []
        for path in (f"/metrics/imports/{report['id']}", f"/metrics/posts/{posts[0]}"):
            assert (await other.delete(path)).status_code == 404
        theirs = await imported(other, CONTENT)
        assert (await other.delete("/account?confirm=default")).status_code == 422
        assert (await other.delete("/account?confirm=acme")).status_code == 200

    assert theirs["imported"] == 3
    assert [line["post_id"] for line in await export(client)] == posts


async def test_imports_are_listed_in_pages_the_newest_first(client: httpx.AsyncClient) -> None:
    for name in (ACTIVITY, CONTENT, "tweets.js"):
        await imported(client, name)
    first = (await client.get("/metrics/imports?limit=2")).json()
    second = (await client.get(f"/metrics/imports?limit=2&cursor={first['next_cursor']}")).json()

    assert [entry["file_name"] for entry in first["imports"]] == ["tweets.js", CONTENT]
    assert [entry["file_name"] for entry in second["imports"]] == [ACTIVITY]
    assert second["next_cursor"] is None
    assert (first["imports"][1]["rows"], first["imports"][1]["rejected_rows"]) == (4, 1)
    assert (await client.get("/metrics/imports?cursor=next")).status_code == 422


async def test_a_files_name_is_only_a_label(client: httpx.AsyncClient) -> None:
    await send(client, content(row(1)), "..\\..\\etc/pass\x00wd\x1b[2J")
    await send(client, content(row(1)), "é" * 400)

    names = [entry["file_name"] for entry in (await client.get("/metrics/imports")).json()["imports"]]
    assert names[0] == "é" * 255
    assert "/" not in names[1]
    assert names[1].isprintable()


async def test_a_deleted_file_takes_with_it_what_it_alone_told(
    client: httpx.AsyncClient, connection: asyncpg.Connection
) -> None:
    kept = (await send(client, content(row(1, "one"), row(2, "two")), captured_at="2026-07-20T00:00:00Z")).json()
    gone = (await send(client, content(row(2, "zwei"), row(3, "drei")), captured_at="2026-07-21T00:00:00Z")).json()

    response = await client.delete(f"/metrics/imports/{gone['id']}")

    assert deleted(response) == {
        "performance_metrics": 2,
        "posts": 1,
        "texts": 1,
        "imports": 1,
    }
    rows = await connection.fetch("SELECT post_id, text, import_id FROM posts ORDER BY post_id")
    assert [(row["post_id"], row["text"]) for row in rows] == [("1", "one"), ("2", None)]
    assert {str(row["import_id"]) for row in rows} == {kept["id"]}
    for table in [row[0] for row in await connection.fetch(TABLES_WITH, "import_id")]:
        left = await connection.fetchval(f'SELECT count(*) FROM "{table}" WHERE import_id = $1', gone["id"])
        assert (table, left) == (table, 0)
    assert (await client.delete(f"/metrics/imports/{gone['id']}")).status_code == 404
    assert (await client.delete("/metrics/imports/none")).status_code == 404


async def test_a_deleted_post_is_in_no_table(client: httpx.AsyncClient, connection: asyncpg.Connection) -> None:
    await imported(client, CONTENT)
    await imported(client, CONTENT, captured_at="2026-09-01T00:00:00Z")
    post = (await export(client))[0]["post_id"]
    await connection.execute(
        "INSERT INTO experiments (id, name, state, plan, started_at) "
        "VALUES ('00000000-0000-7000-8000-000000000001', 'slots', 'running', '{}', now())"
    )
    await connection.execute(
        "INSERT INTO experiment_posts (experiment_id, post_id, posted_at, likes, retweets, captured_at) "
        "VALUES ('00000000-0000-7000-8000-000000000001', $1, now(), 1, 1, now())",
        post,
    )

    response = await client.delete(f"/metrics/posts/{post}")

    assert deleted(response) == {"performance_metrics": 2, "posts": 1, "experiment_posts": 1}
    for table in [row[0] for row in await connection.fetch(TABLES_WITH, "post_id")]:
        left = await connection.fetchval(f'SELECT count(*) FROM "{table}" WHERE post_id = $1', post)
        assert (table, left) == (table, 0)
    assert (await client.delete(f"/metrics/posts/{post}")).status_code == 404


async def test_what_a_template_achieved_goes_with_the_posts_that_said_so(
    client: httpx.AsyncClient, store: Store
) -> None:
    template = await created(client)
    await save_metrics(store, [READING, *[_written_by(template["id"], str(n)) for n in (2, 3)]])
    assert (await client.get(f"/templates/{template['id']}")).json()["usage_count"] == 2

    await client.delete("/metrics/posts/3")
    assert (await client.get(f"/templates/{template['id']}")).json()["usage_count"] == 1
    await client.delete("/metrics/posts/2")
    assert (await client.get(f"/templates/{template['id']}")).json()["usage_count"] == 0


def _written_by(template: int, post_id: str) -> Any:
    return replace(READING, template_id=template, post_id=post_id)


async def test_a_deleted_account_is_in_no_table_and_in_no_cache(
    client: httpx.AsyncClient, store: Store, cache: Cache, connection: asyncpg.Connection, answer: Answer
) -> None:
    for name in (ACTIVITY, CONTENT, "account_overview_analytics.csv"):
        await imported(client, name)
    template = await created(client)
    await save_metrics(store, [_written_by(template["id"], "2")])
    experiment = await client.post(
        "/ab-test/create",
        json={"name": "tea", "variants": [{"name": "a", "template_id": template["id"]}, {"name": "b"}]},
    )
    assert experiment.status_code == 201, experiment.text
    event = {"event_id": "1", "unit": "u", "variant": "a", "type": "impression"}
    await client.post(f"/ab-test/{experiment.json()['id']}/events", json={"events": [event]})
    await store.save_queries([answer(), answer(account_id="acme")])
    await store.claim(answer(), "key", "/analyze-query", hashlib.sha256(b"").digest(), b"{}", 200)
    await connection.execute("INSERT INTO account_settings (account_id) VALUES ('default'), ('acme')")
    await connection.execute("INSERT INTO audience_analysis (account_id, audience_segment) VALUES ('default', 'tea')")
    keys = {account: cache_key(account, "/x", {}, b"{}") for account in ("default", "acme")}
    for key in keys.values():
        await cache.set(key, b"kept")
    # What is not filled here could not be missed below.
    tables = [row[0] for row in await connection.fetch(TABLES_WITH, "account_id")]
    known = {"analyzed_queries", "content_templates", "performance_metrics", "audience_analysis", "idempotency_keys"}
    known |= {"experiments", "experiment_variants", "imports", "posts", "account_days", "account_settings"}
    for table in known:
        held = await connection.fetchval(f"SELECT count(*) FROM {table} WHERE account_id = 'default'")
        assert (table, held > 0) == (table, True)

    assert fields(await client.delete("/account")) == ["confirm"]
    response = await client.delete("/account?confirm=default")

    assert response.status_code == 200
    assert response.json()["cache"] is True
    assert known <= set(tables)
    for table in tables:
        left = await connection.fetchval(f"SELECT count(*) FROM \"{table}\" WHERE account_id = 'default'")
        assert (table, left) == (table, 0)
    for table in ("experiment_events", "experiment_units", "experiment_posts"):
        assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0
    assert await connection.fetchval("SELECT count(*) FROM analyzed_queries WHERE account_id = 'acme'") == 1
    assert (await cache.get(keys["default"]), await cache.get(keys["acme"])) == (None, b"kept")
    assert (await client.get("/templates")).json()["templates"] == []
    assert (await client.post("/templates", json={})).status_code == 422


async def test_the_openapi_document_describes_what_is_sent_and_answered(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    report = await imported(client, CONTENT)
    answers = {
        ("/metrics/import", "post"): report,
        ("/metrics/imports", "get"): (await client.get("/metrics/imports")).json(),
        ("/metrics/imports/{import_id}", "delete"): (await client.delete(f"/metrics/imports/{report['id']}")).json(),
        ("/account", "delete"): (await client.delete("/account?confirm=default")).json(),
    }

    for (path, method), answer in answers.items():
        described = document["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.validate(answer, described | {"components": document["components"]})
    form = document["paths"]["/metrics/import"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert (form["required"], sorted(form["properties"])) == (["file"], ["captured_at", "file"])


@pytest.mark.skipif(not REAL.is_dir(), reason="the real exports are not here: ../shared/data/analytics_export")
async def test_real_exports_import_without_a_lost_row_and_with_the_sums_that_pandas_finds(
    client: httpx.AsyncClient, connection: asyncpg.Connection
) -> None:
    files = sorted(REAL.glob("*.csv"))
    reports = [(await send(client, file.read_bytes(), file.name)).json() for file in files]

    frame = pd.concat([pd.read_csv(file, dtype={"Tweet id": str}, na_values="-") for file in files])
    assert sum(report["rejected_rows"] for report in reports) == 0
    assert sum(report["rows"] for report in reports) == len(frame) > 700
    stored = dict(
        await connection.fetchrow(
            "SELECT count(DISTINCT post_id) AS posts, sum(impressions)::bigint AS impressions, "
            "sum(engagements)::bigint AS engagements, sum(retweets)::bigint AS retweets, sum(likes)::bigint AS likes, "
            "sum(replies)::bigint AS replies, sum(clicks)::bigint AS clicks, sum(media_views)::bigint AS media_views "
            "FROM performance_metrics"
        )
    )
    assert stored.pop("posts") == frame["Tweet id"].nunique()
    columns = {"clicks": "url clicks", "media_views": "media views"}
    assert stored == {name: int(frame[columns.get(name, name)].sum()) for name in stored}
    assert await connection.fetchval("SELECT count(*) FROM posts WHERE extract(second FROM posted_at) <> 0") > 700


async def test_a_post_from_after_its_counts_were_taken_is_rejected(client: httpx.AsyncClient) -> None:
    later = content(row(1, date="2026-07-14"), row(2, date="2026-09-14"))

    report = (await send(client, later, captured_at="2026-08-01T00:00:00Z")).json()

    assert (report["imported"], report["rejected"]) == (
        1,
        [{"line": 3, "reason": "posted after its counts were taken"}],
    )
