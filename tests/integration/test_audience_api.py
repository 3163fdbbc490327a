"""The routes under /audience behind the gate, on a real Postgres; the work runs on a thread, without an encoder."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import asyncpg
import httpx
import jsonschema
import pytest
import uuid_utils.compat

from deployments.audience import compute
from deployments.http.gate import Gate
from deployments.http.ingress import create_api
from deployments.library import Library
from deployments.own_posts import OwnPosts
from deployments.upkeep import Upkeep
from pipelines.outcomes.posts import PostReading, StoredPost
from store.audience import ABANDONED
from store.outcomes import Import
from store.postgres import Store
from supervisor.embedded import EmbeddedPostgres
from tests.integration.conftest import COLLECTOR, KEYS, caller
from tests.unit.audience.test_segments import planted

Found = Any


class Work:
    """Computes as a task does, on a thread; counts how often, waits where it is told to, fails where it is told to."""

    def __init__(self) -> None:
        self.posts: list[Sequence[StoredPost]] = []
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.began = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self, posts: Sequence[StoredPost], until: datetime) -> Found:
        self.posts.append(posts)
        self.began.set()
        await self.may_end.wait()
        if self.error:
            raise self.error
        return await asyncio.to_thread(compute, posts, until, None)


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def gate(store: Store, work: Work) -> Gate:
    front = SimpleNamespace(
        answers=SimpleNamespace(library=Library(store), store=store),
        not_ready=(),
        read_audience=work,
        upkeep=Upkeep(store, None, COLLECTOR),
    )
    gate = Gate(create_api(front), KEYS, lambda *_: None)  # type: ignore[arg-type]
    gate.max_requests = 64
    return gate


async def imported(store: Store, n: int, account: str = "default") -> None:
    """Store the planted posts, the last of them of yesterday but one, as an import brings them."""
    posts, _ = planted(n)
    now = datetime.now(UTC)
    names = ("impressions", "likes", "retweets", "replies", "clicks", "text", "post_id")
    readings = [
        PostReading(
            posted_at=now - timedelta(hours=40 + 7 * (n - place)), **{name: getattr(one, name) for name in names}
        )
        for place, one in enumerate(posts)
    ]
    told = Import(id=uuid_utils.compat.uuid7(), account_id=account, source="content", captured_at=now)
    await store.outcomes.save(told, readings)


async def test_before_the_first_refresh_nothing_is_known_and_it_says_so(client: httpx.AsyncClient) -> None:
    audience = (await client.get("/audience")).json()
    trends = (await client.get("/audience/trends")).json()

    assert (audience["supported"], audience["segments"], audience["computed_at"]) == (False, [], None)
    assert (trends["supported"], trends["bursts"], trends["until"]) == (False, [], None)
    assert audience["note"] == trends["note"] == "Nothing was computed yet: POST /audience/refresh."


async def test_what_is_no_segment_is_unknown(client: httpx.AsyncClient) -> None:
    for name in ("nobody", "refresh", "other", "a%00b", "%F0%9F%98%80", "x" * 4000, "%2e"):
        response = await client.get(f"/audience/{name}")

        assert response.status_code == 404, name
        assert response.headers["content-type"] == "application/problem+json"


async def test_too_few_posts_are_said_and_nothing_is_stored(
    client: httpx.AsyncClient, store: Store, connection: asyncpg.Connection
) -> None:
    await imported(store, 20)

    body = (await client.post("/audience/refresh")).json()

    assert (body["supported"], body["n_posts"], body["n_other"], body["segments"]) == (False, 20, 20, [])
    assert "50" in body["note"]
    assert body["computed_at"]
    assert await connection.fetchval("SELECT count(*) FROM audience_analysis") == 0


async def test_a_second_refresh_at_once_is_a_conflict_and_another_accounts_is_none(
    gate: Gate, client: httpx.AsyncClient, work: Work
) -> None:
    work.may_end.clear()
    first = asyncio.create_task(client.post("/audience/refresh"))
    await work.began.wait()

    second = await client.post("/audience/refresh")
    seen = (await client.get("/audience")).json()
    async with caller(gate, "acme") as other:
        others = asyncio.create_task(other.post("/audience/refresh"))
        work.may_end.set()
        assert (await others).status_code == 200

    assert (second.status_code, second.headers["retry-after"]) == (409, "5")
    assert seen["refreshing"]
    assert (await first).status_code == 200
    assert (await client.post("/audience/refresh")).status_code == 200


@pytest.mark.parametrize("error", [TimeoutError(), ValueError("a bug")])
async def test_work_that_fails_leaves_what_was_known_and_the_way_free(
    client: httpx.AsyncClient, store: Store, work: Work, error: Exception
) -> None:
    await imported(store, 120)
    before = (await client.post("/audience/refresh")).json()
    work.error = error

    try:
        response = await client.post("/audience/refresh")
        assert response.status_code == 503
    except ValueError:
        assert not isinstance(error, TimeoutError)

    work.error = None
    assert (await client.get("/audience")).json() == before
    assert (await client.post("/audience/refresh")).status_code == 200


async def test_a_refresh_whose_process_died_lapses(
    client: httpx.AsyncClient, store: Store, connection: asyncpg.Connection
) -> None:
    await store.audience.claim("default", datetime.now(UTC))
    assert (await client.post("/audience/refresh")).status_code == 409

    await connection.execute("UPDATE audience_refreshes SET refreshing_since = now() - $1::interval", ABANDONED)

    assert (await client.get("/audience")).json()["refreshing"] is False
    assert (await client.post("/audience/refresh")).status_code == 200


async def test_a_late_refresh_does_not_overwrite_the_one_that_took_over(store: Store) -> None:
    audience, trends = compute([], datetime.now(UTC), None)
    late = await store.audience.claim("default", datetime.now(UTC))
    newer = await store.audience.claim("default", datetime.now(UTC) + ABANDONED * 2)
    assert late
    assert newer

    now = datetime.now(UTC)
    assert not await store.audience.save("default", late, replace(audience, note="late"), trends, now)
    assert await store.audience.save("default", newer, replace(audience, note="newer"), trends, now)

    found = await store.audience.find_refresh("default", now)
    assert found
    assert (found.result or {})["note"] == "newer"


async def test_a_database_that_is_down_is_said(postgres: EmbeddedPostgres, client: httpx.AsyncClient) -> None:
    postgres.stop()

    for call in (
        client.get("/audience"),
        client.get("/audience/x"),
        client.get("/audience/trends"),
        client.post("/audience/refresh"),
    ):
        response = await call
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")


async def test_segments_are_found_stored_listed_and_another_accounts_unknown(
    gate: Gate, client: httpx.AsyncClient, store: Store, connection: asyncpg.Connection
) -> None:
    await imported(store, 150)

    body = (await client.post("/audience/refresh")).json()

    assert body == (await client.get("/audience")).json()
    assert (body["supported"], body["note"], body["n_posts"], body["n_other"]) == (True, None, 150, 0)
    assert len(body["segments"]) == 3
    assert sum(segment["n"] for segment in body["segments"]) == 150
    for segment in body["segments"]:
        assert (await client.get(f"/audience/{segment['segment']}")).json() == segment
        assert (segment["demographics"], segment["optimal_timing"]) == (None, None)
        assert segment["interests"][0]["weight"] == 1.0
        assert segment["outcome"]["interval"][0] < segment["outcome"]["percentile"] < segment["outcome"]["interval"][1]
        assert {row["action"] for row in segment["behavior_patterns"]["actions"]} == {
            "likes", "retweets", "replies", "clicks",
        }  # fmt: skip
    preferred = [row for one in body["segments"] for row in one["content_preferences"]["preferences"]]
    assert [row["feature"] for row in preferred] == ["link"]
    trends = (await client.get("/audience/trends")).json()
    assert (trends["supported"], trends["x"]["supported"], trends["computed_at"]) == (True, False, body["computed_at"])
    async with caller(gate, "acme") as other:
        assert (await other.get("/audience")).json()["segments"] == []
        assert (await other.get(f"/audience/{body['segments'][0]['segment']}")).status_code == 404

    document = (await client.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    jsonschema.validate(body, {"$ref": "#/components/schemas/AudienceView", "components": {"schemas": schemas}})
    jsonschema.validate(trends, {"$ref": "#/components/schemas/TrendsView", "components": {"schemas": schemas}})


async def test_what_is_no_segment_any_more_goes_and_what_another_part_knows_of_it_stays(
    client: httpx.AsyncClient, store: Store, connection: asyncpg.Connection
) -> None:
    await imported(store, 120)
    await client.post("/audience/refresh")
    names = [segment["segment"] for segment in (await client.get("/audience")).json()["segments"]]
    await connection.execute(
        """UPDATE audience_analysis SET optimal_timing = '{"hour": 9}' WHERE audience_segment = $1""", names[0]
    )
    await connection.execute("INSERT INTO audience_analysis (audience_segment, optimal_timing) VALUES ('all', '{}')")
    await connection.execute("DELETE FROM posts")

    body = (await client.post("/audience/refresh")).json()

    assert (body["supported"], body["segments"], body["n_posts"]) == (False, [], 0)
    assert (await client.get(f"/audience/{names[0]}")).status_code == 404
    rows = await connection.fetch("SELECT audience_segment, n, interests FROM audience_analysis")
    assert {tuple(row) for row in rows} == {(names[0], None, None), ("all", None, None)}


async def test_the_work_gets_own_posts_of_the_account_alone(
    client: httpx.AsyncClient, store: Store, work: Work, connection: asyncpg.Connection
) -> None:
    await imported(store, 20, "acme")
    await imported(store, 60)
    await connection.execute("UPDATE posts SET text = '@you ' || text WHERE post_id = '3'")
    await connection.execute("UPDATE posts SET text = 'RT @you ' || text WHERE post_id = '4'")

    await client.post("/audience/refresh")

    assert len(work.posts[0]) == 58
    assert {one.kind for one in work.posts[0]} == {"post"}


async def test_what_bursts_is_known_once_the_audience_was_read_and_belongs_to_the_record(
    store: Store, client: httpx.AsyncClient
) -> None:
    before = await OwnPosts(store).record("default")

    await client.post("/audience/refresh")

    after = await OwnPosts(store).record("default")
    assert before.trends is None
    assert (after.trends is not None, after.version != before.version) == (True, True)
