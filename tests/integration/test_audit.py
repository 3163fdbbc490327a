"""Who changed what: written with the change or not at all, told to the account alone, and never a text."""

from __future__ import annotations

import asyncio
import csv
import io
from typing import Any

import asyncpg
import httpx
import pytest

from deployments.http.gate import Gate
from deployments.weights import Weights
from store.cache import Cache
from store.imports import delete_account
from store.postgres import Store, load_queries
from tests.integration.conftest import caller, fields
from tests.integration.experiment_calls import created, event, told

KIND = {"type": "announcement", "language": "en", "objective": "awareness", "tone": "friendly", "intent": "announce"}
TEMPLATE = {"name": "mine", "content": "Here it is: {topic}."} | KIND
SLOTS = {"posts": [{"text": "one secret text"}, {"text": "another secret text"}]}


@pytest.fixture
def gate(gate: Gate, cache: Cache) -> Gate:
    """With a cache, out of which a deletion takes what is the account's."""
    gate.app.state.front.answers.cache = cache  # type: ignore[attr-defined]  # FastAPI's
    return gate


async def audit(client: httpx.AsyncClient, **parameters: Any) -> list[dict[str, Any]]:
    """The account's entries, the oldest first."""
    answer = await client.get("/audit", params=parameters)
    assert answer.status_code == 200, answer.text
    return list(reversed(answer.json()["entries"]))


async def did(client: httpx.AsyncClient, **parameters: Any) -> list[tuple[str, str]]:
    return [(entry["kind"], entry["action"]) for entry in await audit(client, **parameters)]


async def imported(client: httpx.AsyncClient, content: str = "", name: str = "posts.csv") -> dict[str, Any]:
    rows = content or (
        "Post id,Date,Post text,Impressions,Likes,Engagements,Bookmarks,Shares,New follows,Replies,Reposts,"
        "Profile visits,Detail Expands,URL Clicks,Hashtag Clicks,Permalink Clicks\n1800000000000000001,"
        '"Mon, Jan 5, 2026",a secret text,10,1,2,0,0,0,0,0,0,0,0,0,0\n'
    )
    answer = await client.post("/metrics/import", files={"file": (name, rows.encode())})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("query", "field"),
    [("limit=0", "limit"), ("before=x", "before"), ("action=stolen", "action"), ("kind=robot", "kind"), ("x=1", "x")],
)
async def test_what_cannot_be_asked_is_named(client: httpx.AsyncClient, query: str, field: str) -> None:
    assert fields(await client.get(f"/audit?{query}")) == [field]


async def test_a_change_that_is_rolled_back_or_refused_leaves_no_entry(
    client: httpx.AsyncClient, connection: asyncpg.Connection
) -> None:
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("INSERT INTO account_settings (account_id, length_limit) VALUES ('default', 4000)")
    assert await connection.fetchval("SELECT count(*) FROM audit_log") == 1
    await transaction.rollback()
    assert (await client.post("/templates", json=TEMPLATE)).status_code == 201
    assert (await client.post("/templates", json=TEMPLATE)).status_code == 409
    bad = {"name": "hooks", "variants": [{"name": "a", "template_id": 999_999}, {"name": "b"}]}
    assert (await client.post("/ab-test/create", json=bad)).status_code == 422
    experiment = await created(client)
    assert (await client.post(f"/ab-test/{experiment['id']}/conclude")).status_code == 409
    assert (await client.delete("/plan/00000000-0000-4000-8000-000000000000")).status_code == 404
    assert (await client.delete("/metrics/posts/1")).status_code == 404

    assert await did(client) == [("template", "created"), ("experiment", "created"), ("experiment", "started")]


async def test_the_life_of_an_experiment_and_none_of_its_events(client: httpx.AsyncClient) -> None:
    draft = await created(client, name="=hooks <b>", start=False)
    path = f"/ab-test/{draft['id']}"
    await client.post(f"{path}/start", headers={"x-request-id": "starts-it"})
    await told(client, draft, event(1), event(2, kind="engagement"))
    await client.post(f"{path}/stop")
    await client.post(f"{path}/conclude")

    entries = await audit(client)

    assert [entry["action"] for entry in entries] == ["created", "started", "stopped", "concluded"]
    assert {(entry["kind"], entry["object_id"], entry["name"], entry["actor"]) for entry in entries} == {
        ("experiment", draft["id"], "=hooks <b>", "default")
    }
    assert entries[1]["request_id"] == "starts-it"
    assert [entry["detail"] for entry in entries] == [{}, {"version": 2}, {"version": 3}, {"version": 4}]


async def test_a_bandit_that_moves_its_shares_says_so(client: httpx.AsyncClient) -> None:
    bandit = await created(client, allocation="bandit")
    answer = await client.post(f"/ab-test/{bandit['id']}/reallocate")
    assert answer.status_code == 200, answer.text

    assert (await did(client))[-1] == ("experiment", "reallocated")


async def test_files_posts_templates_slots_and_settings_without_their_texts(
    client: httpx.AsyncClient, connection: asyncpg.Connection
) -> None:
    report = await imported(client)
    await client.delete("/metrics/posts/1800000000000000001")
    await client.delete(f"/metrics/imports/{report['id']}")
    template = (await client.post("/templates", json=TEMPLATE)).json()
    await client.put(f"/templates/{template['id']}", json=TEMPLATE | {"version": 1, "content": "Look: {topic}."})
    await client.delete(f"/templates/{template['id']}")
    await client.delete(f"/templates/{template['id']}")
    planned = await client.post("/plan", json=SLOTS)
    assert planned.status_code == 201, planned.text
    slot = planned.json()["slots"][0]
    await client.put(f"/plan/{slot['id']}", json={"at": "2099-01-01T10:00:00Z"})
    await client.delete(f"/plan/{slot['id']}")
    for limit in (4000, 4000, 280):
        await client.put("/account", json={"length_limit": limit})

    entries = await audit(client)

    assert [(entry["kind"], entry["action"]) for entry in entries] == [
        *(("import", "imported"), ("post", "deleted"), ("import", "deleted")),
        *(("template", "created"), ("template", "changed"), ("template", "archived")),
        *(("slot", "created"), ("slot", "moved"), ("slot", "deleted")),
        *(("settings", "changed"), ("settings", "changed")),
    ]
    assert (entries[0]["name"], entries[0]["detail"]["imported"]) == ("posts.csv", 1)
    assert (entries[1]["object_id"], entries[1]["detail"]) == (None, {"posts": 1})
    assert entries[4]["detail"] == {"language": "en", "version": 2}
    assert (entries[6]["detail"]["slots"], entries[8]["detail"]["slots"]) == (2, 1)
    assert entries[10]["detail"] == {"length_limit": {"before": 4000, "after": 280}}
    stored = str([tuple(row.values()) for row in await connection.fetch("SELECT * FROM audit_log")])
    assert "secret" not in stored
    assert "1800000000000000001" not in stored


async def test_what_a_release_ships_and_what_outcomes_teach_is_nobodys_deed(
    client: httpx.AsyncClient, store: Store, connection: asyncpg.Connection
) -> None:
    from pipelines.generator.templates import load_templates

    await store.seed_templates(load_templates())
    await store.seed_templates(load_templates()[:3])
    await store.seed_templates(load_templates())
    await connection.execute("UPDATE content_templates SET usage_count = 5, success_rate = 0.5")

    assert await audit(client) == []


async def test_a_file_of_many_rows_is_one_entry_and_so_is_the_deletion_of_all_its_posts(
    client: httpx.AsyncClient, connection: asyncpg.Connection
) -> None:
    await connection.execute(
        """
        INSERT INTO posts (account_id, post_id, posted_at, text, import_id)
        SELECT 'default', n::text, now(), 'text', '00000000-0000-4000-8000-000000000000'
        FROM generate_series(1, 200000) n
        """
    )
    await connection.execute(
        """
        INSERT INTO imports (id, source, file_name, captured_at, imported, updated, unchanged, rejected)
        VALUES ('00000000-0000-4000-8000-000000000000', 'content', 'many.csv', now(), 200000, 0, 0, 0)
        """
    )
    await connection.execute("DELETE FROM posts")

    entries = await audit(client)

    assert [(entry["kind"], entry["action"]) for entry in entries] == [("import", "imported"), ("post", "deleted")]
    assert entries[1]["detail"] == {"posts": 200_000}


async def test_what_the_collector_does_is_not_said_to_be_the_accounts_own(
    client: httpx.AsyncClient, store: Store, connection: asyncpg.Connection
) -> None:
    await connection.execute(
        """
        INSERT INTO imports (id, source, captured_at, imported, updated, unchanged, rejected)
        VALUES (gen_random_uuid(), 'x_api', now(), 1, 0, 0, 0)
        """
    )
    await connection.execute("INSERT INTO posts (post_id, posted_at, import_id) VALUES ('1', now(), gen_random_uuid())")
    assert await store.collector.forget("default", ["1"]) == 1
    await store.collector.learn_from_api("default", True)

    assert [entry["actor"] for entry in await audit(client)] == ["collector", "collector", "default"]


async def test_another_account_sees_nothing_of_it(gate: Gate, client: httpx.AsyncClient) -> None:
    await client.post("/templates", json=TEMPLATE)
    async with caller(gate, "acme") as other:
        assert await audit(other) == []
        await created(other)
        assert await did(other) == [("experiment", "created"), ("experiment", "started")]
    assert await did(client) == [("template", "created")]


async def test_of_a_deleted_account_one_entry_is_left_that_it_alone_is_told(
    gate: Gate, client: httpx.AsyncClient, connection: asyncpg.Connection
) -> None:
    await imported(client)
    await created(client)
    await client.post("/plan", json=SLOTS)
    await client.put("/account", json={"length_limit": 4000})
    answer = await client.delete("/account?confirm=default", headers={"x-request-id": "ends-it"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["deleted"]["audit_log"] == 5

    (entry,) = await audit(client)

    assert (entry["kind"], entry["action"], entry["object_id"], entry["actor"]) == (
        "account",
        "deleted",
        "default",
        "default",
    )
    assert (entry["name"], entry["detail"], entry["request_id"]) == (None, {}, "ends-it")
    assert await connection.fetchval("SELECT count(*) FROM audit_log") == 1
    async with caller(gate, "acme") as other:
        assert await audit(other) == []


async def test_a_deletion_that_fails_leaves_the_audit_as_it_was(
    client: httpx.AsyncClient, connection: asyncpg.Connection, database: str
) -> None:
    await created(client)
    await connection.execute("ALTER TABLE audit_log ADD CONSTRAINT no_end CHECK (kind <> 'account')")

    with pytest.raises(Exception, match=r"23514|refuses"):
        await delete_account(database, load_queries(), "default")

    assert await did(client) == [("experiment", "created"), ("experiment", "started")]


async def test_pages_follow_each_other_without_a_gap_and_filters_hold(client: httpx.AsyncClient) -> None:
    for number in range(5):
        await client.put("/account", json={"query_retention_days": number + 1})
    await client.post("/templates", json=TEMPLATE)
    first = (await client.get("/audit?limit=4")).json()
    second = (await client.get(f"/audit?limit=4&before={first['next_before']}")).json()

    ids = [entry["id"] for page in (first, second) for entry in page["entries"]]
    assert ids == sorted(ids, reverse=True)
    assert (len(ids), second["next_before"]) == (6, None)
    assert await did(client, kind="template") == [("template", "created")]
    assert len(await audit(client, action="changed")) == 5
    assert await audit(client, action="changed", kind="template") == []


async def test_a_spreadsheet_runs_nothing_of_it(client: httpx.AsyncClient) -> None:
    await imported(client, name='=cmd|"x".csv')
    answer = await client.get("/audit.csv")

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert row["name"].startswith("'=cmd")
    assert (row["kind"], row["action"]) == ("import", "imported")


class Seen:
    """The stages as far as weights go."""

    def __init__(self, **versions: str) -> None:
        self.model_versions = versions
        self.wording_version: str | None = None


async def test_weights_are_told_once_however_many_replicas_see_them_and_again_when_others_come(
    gate: Gate, client: httpx.AsyncClient, store: Store
) -> None:
    seen: Any = Seen()
    replicas = [Weights(store, seen) for _ in range(5)]
    assert await replicas[0].tell() is False
    seen.model_versions = {"sentiment": "vader-1+learned"}
    assert sum(await asyncio.gather(*(replica.tell() for replica in replicas))) == 1
    assert [await replica.tell() for replica in replicas] == [False] * 5
    # A replica that starts later has compared nothing yet: that takes nothing back.
    seen.wording_version = "w1"
    assert await replicas[1].tell() is True
    late: Any = Seen(sentiment="vader-1+learned")
    assert await Weights(store, late).tell() is False
    seen.model_versions = {"sentiment": "vader-1+specification"}
    assert [await replica.tell() for replica in replicas] == [True, *[False] * 4]

    async with caller(gate, "acme") as other:
        entries = await audit(other)
    assert entries == await audit(client)
    assert {(entry["kind"], entry["action"], entry["actor"]) for entry in entries} == {
        ("weights", "changed", "installation")
    }
    assert [(entry["detail"]["sentiment"], entry["detail"].get("wording")) for entry in entries] == [
        ("vader-1+learned", None),
        ("vader-1+learned", "w1"),
        ("vader-1+specification", "w1"),
    ]
    assert "x_weights" in entries[0]["detail"]


async def test_the_openapi_document_describes_the_audit(client: httpx.AsyncClient) -> None:
    import jsonschema

    await created(client)
    document = (await client.get("/openapi.json")).json()
    schema = document["paths"]["/audit"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    answer = (await client.get("/audit")).json()
    jsonschema.validate(answer, schema | {"components": document["components"]})


async def test_tables_of_many_rows_have_no_trigger_of_the_audit(connection: asyncpg.Connection) -> None:
    rows = await connection.fetch(
        "SELECT tgrelid::regclass::text AS of FROM pg_trigger WHERE NOT tgisinternal AND tgname LIKE 'audit%'"
    )

    assert {row["of"] for row in rows} == {
        *("experiments", "imports", "posts", "content_templates", "plan_slots", "account_settings", "api_keys"),
    }
