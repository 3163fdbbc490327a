"""The routes under /links behind the gate, on a real Postgres."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from deployments.http.gate import Gate
from store.postgres import Store
from supervisor.embedded import EmbeddedPostgres
from tests.integration.conftest import Answer, caller, fields

EXPORT = """# Session manual ad content
# Start date: 20260901
# End date: 20260930
Session manual ad content,Sessions,Engaged sessions,Key events,Total revenue
c1,100,60,5,120.5
c2,40,,1,0
(not set),7,1,0,0
c3,many,1,0,0
"""
TAG = {"text": "Look: https://example.com/a", "campaign": "launch", "content": "c1"}


async def told(client: httpx.AsyncClient, content: str | bytes, media_type: str = "text/csv") -> httpx.Response:
    return await client.post("/links/import-ga4", content=content, headers={"content-type": media_type})


async def test_a_field_that_cannot_be_read_is_named(client: httpx.AsyncClient) -> None:
    wrong: list[dict[str, Any]] = [
        {"text": ""},
        {"campaign": ""},
        {"campaign": "x" * 121},
        {"content": None},
        {"content": "x" * 256},
        {"content": "a\u0000"},
        {"replace": 1},
        {"source": "y"},
    ]
    for fault in wrong:
        response = await client.post("/links/tag", json=TAG | fault)

        assert (response.status_code, fields(response)) == (422, list(fault))


async def test_a_file_that_is_no_export_is_refused_and_leaves_nothing(
    client: httpx.AsyncClient, connection: asyncpg.Connection
) -> None:
    for content in ("", "no table", "a,b\n1,2\n", b"\x00\xff", b"\xff\xfe"):
        response = await told(client, content)

        assert (response.status_code, fields(response)) == (422, ["body"])
    assert await connection.fetchval("SELECT count(*) FROM imports") == 0


async def test_what_a_page_elsewhere_could_send_is_no_file(client: httpx.AsyncClient) -> None:
    for media_type in ("text/plain", "multipart/form-data; boundary=x", "application/json"):
        assert (await told(client, EXPORT, media_type)).status_code == 415


async def test_a_file_beyond_16_mib_is_too_large_and_one_below_is_read(client: httpx.AsyncClient) -> None:
    assert (await told(client, b"#" * (16 * 1024 * 1024 + 1))).status_code == 413
    assert (await told(client, b"#" * 2_000_000)).status_code == 422


async def test_a_content_without_visits_is_unknown(client: httpx.AsyncClient) -> None:
    for content in ("unknown", "a%00b", "x" * 300, "0190f2b6-6f3f-7000-8000-000000000000:bold"):
        assert (await client.get(f"/links/{content}/performance")).status_code == 404


async def test_a_database_that_is_down_is_said(postgres: EmbeddedPostgres, client: httpx.AsyncClient) -> None:
    postgres.stop()

    for response in (await told(client, EXPORT), await client.get("/links/c1/performance")):
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")


async def test_tagged_links_keep_the_length_and_nothing_is_stored(client: httpx.AsyncClient, store: Store) -> None:
    before = await store.counts()

    body = (await client.post("/links/tag", json=TAG)).json()

    link = "https://example.com/a?utm_source=x&utm_medium=social&utm_campaign=launch&utm_content=c1"
    assert body == {
        "text": f"Look: {link}",
        "weighted_length": 29,
        "links": [{"link": "https://example.com/a", "tagged": link, "reason": None}],
    }
    assert await store.counts() == before


async def test_an_export_is_stored_once_reported_and_joined_by_its_content(
    gate: Gate, client: httpx.AsyncClient, connection: asyncpg.Connection
) -> None:
    first = (await told(client, EXPORT)).json()
    again = (await told(client, EXPORT)).json()
    changed = (await told(client, EXPORT.replace("c1,100", "c1,101"))).json()

    def report(body: dict[str, Any]) -> tuple[int, ...]:
        return tuple(body[name] for name in ("rows", "imported", "updated", "unchanged", "untagged", "n_rejected"))

    assert report(first) == (4, 2, 0, 0, 1, 1)
    assert first["rejected"] == [{"line": 8, "reason": "sessions is no number"}]
    assert report(again) == (4, 0, 0, 2, 1, 1)
    assert report(changed) == (4, 0, 1, 1, 1, 1)
    assert await connection.fetchval("SELECT count(*) FROM link_visits") == 2
    assert await connection.fetchval("SELECT count(*) FROM imports WHERE source = 'ga4'") == 3
    body = (await client.get("/links/c1/performance")).json()
    figures = {"sessions": 101, "engaged_sessions": 60, "key_events": 5.0, "revenue": 120.5}
    assert body["totals"] == {"first_day": "2026-09-01", "last_day": "2026-09-30"} | figures
    assert (body["origin"], body["left_out"], body["spans"][0]["import_id"]) == (None, 0, changed["import_id"])
    assert (await client.get("/links/c2/performance")).json()["totals"]["engaged_sessions"] is None
    async with caller(gate, "acme") as other:
        assert (await other.get("/links/c1/performance")).status_code == 404


async def test_a_month_told_whole_and_by_days_is_counted_once(client: httpx.AsyncClient) -> None:
    await told(client, EXPORT)
    await told(client, "Date,Session manual ad content,Sessions\n20260902,c1,50\n20261001,c1,3\n")

    body = (await client.get("/links/c1/performance")).json()

    assert (body["totals"]["sessions"], body["left_out"], len(body["spans"])) == (103, 1, 3)
    assert (body["totals"]["first_day"], body["totals"]["last_day"]) == ("2026-09-01", "2026-10-01")
    assert body["totals"]["revenue"] is None


async def test_visits_name_the_candidate_or_the_variant_that_brought_them(
    gate: Gate, client: httpx.AsyncClient, store: Store, answer: Answer
) -> None:
    candidates = [{"id": "9f86d081884c7d65", "text": "Ours are here", "template": "launch"}, {"id": "b", "text": "x"}]
    row = answer(analysis_result=json.dumps({"analysis": None, "templates": candidates}).encode())
    empty = answer(analysis_result=b'{"templates": null}')
    await store.save_queries([row, empty])
    variants = [{"name": "plain", "content": "one"}, {"name": "bold", "content": "two"}]
    experiment = {"name": "shoes", "design": "split", "variants": variants, "baseline_rate": 0.05, "mde": 0.5}
    created = await client.post("/ab-test/create", json=experiment)
    assert created.status_code == 201, created.text
    bold = f"{created.json()['id']}:bold"
    for account_client in (client, caller(gate, "acme")):
        await told(account_client, EXPORT.replace("c1,", "9f86d081884c7d65,").replace("c2,", f"{bold},"))

    candidate = (await client.get("/links/9f86d081884c7d65/performance")).json()["origin"]
    variant = (await client.get(f"/links/{bold}/performance")).json()["origin"]

    assert (candidate["text"], candidate["template"]) == ("Ours are here", "launch")
    assert UUID(candidate["query_id"]) == row.id
    assert (variant["text"], variant["variant"], variant["experiment_id"]) == ("two", "bold", created.json()["id"])
    async with caller(gate, "acme") as other:
        for content in ("9f86d081884c7d65", bold):
            assert (await other.get(f"/links/{content}/performance")).json()["origin"] is None
