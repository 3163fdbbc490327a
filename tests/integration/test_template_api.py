"""The routes under /templates behind the gate, on a real Postgres, without a cluster."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import jsonschema
import pytest
from scipy.stats import binomtest

from deployments.http.gate import Gate
from deployments.http.templates import EXAMPLE_TEMPLATE
from deployments.library import Library
from pipelines.generator.templates import load_templates
from store.postgres import Store
from store.templates import Reading
from supervisor.embedded import EmbeddedPostgres
from tests.integration.conftest import caller, fields, save_metrics

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
READING = Reading(
    account_id="default", post_id="1", impressions=1000, engagements=50, retweets=10, likes=40, captured_at=START
)


async def created(client: httpx.AsyncClient, **fields: object) -> dict[str, Any]:
    response = await client.post("/templates", json=EXAMPLE_TEMPLATE | fields)
    assert response.status_code == 201, response.text
    return response.json()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"name": "zero \x00 byte"}, "name"),
        ({"type": 3}, "type"),
        ({"type": "x" * 101}, "type"),
        # NFC takes each of them apart.
        ({"type": "\u0958" * 51}, "type"),
        ({"name": "\u0958" * 61}, "name"),
        ({"content": "\u0958" * 2001}, "content"),
        ({"language": "fr"}, "language"),
        ({"objective": "fame"}, "objective"),
        ({"tone": None}, "tone"),
        ({"intent": "sell"}, "intent"),
        ({"usage_count": 5}, "usage_count"),
        ({"content": ""}, "content"),
        ({"content": "x" * 4001}, "content"),
        ({"content": "no such {slot}"}, "content"),
        ({"content": "nothing {}"}, "content"),
        ({"content": "{0.__class__}"}, "content"),
        ({"content": "{topic.__class__}"}, "content"),
        ({"content": "{topic!r:>99999999}"}, "content"),
        ({"content": "not {closed"}, "content"),
        ({"content": "not opened}"}, "content"),
    ],
)
async def test_a_template_that_cannot_be_used_is_named_by_field_and_not_stored(
    client: httpx.AsyncClient, store: Store, wrong: dict, field: str
) -> None:
    response = await client.post("/templates", json=EXAMPLE_TEMPLATE | wrong)

    assert response.status_code == 422
    assert fields(response) == [field]
    assert (await store.counts())["content_templates"] == 0


async def test_a_body_that_a_page_elsewhere_could_send_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post("/templates", content=b"{}", headers={"content-type": "text/plain"})

    assert response.status_code == 415


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/templates?limit=0", "limit"),
        ("/templates?limit=201", "limit"),
        ("/templates?language=fr", "language"),
        ("/templates?origin=stolen", "origin"),
        ("/templates?cursor=next", "cursor"),
        ("/templates?archived=perhaps", "archived"),
        ("/templates?order=name", "order"),
        ("/templates/1/performance?bucket=month", "bucket"),
        ("/templates/1/performance?from=yesterday", "from"),
        ("/templates/1/performance?from=2026-01-01T00:00:00", "from"),
        ("/templates/1/performance?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "to"),
        ("/templates/1/performance?since=2026-01-02T00:00:00Z", "since"),
    ],
)
async def test_a_parameter_that_cannot_be_read_is_named(client: httpx.AsyncClient, path: str, field: str) -> None:
    response = await client.get(path)

    assert response.status_code == 422
    assert fields(response) == [field]


async def test_a_template_of_another_account_is_as_unknown_as_one_that_never_was(
    gate: Gate, client: httpx.AsyncClient
) -> None:
    async with caller(gate, "acme") as other:
        theirs = await created(other)
        for unknown in (theirs["id"], 0, 10**12, 10**30, "abc", "-1", "9" * 5000):
            path = f"/templates/{unknown}"
            answers = [
                await client.get(path),
                await client.put(path, json=EXAMPLE_TEMPLATE | {"version": 1}),
                await client.delete(path),
                await client.get(f"{path}/performance"),
            ]
            assert [answer.status_code for answer in answers] == [404] * 4
            assert {answer.json()["detail"] for answer in answers} == {"There is no such template."}

        assert (await other.get(f"/templates/{theirs['id']}")).json() == theirs
    assert (await client.get("/templates?archived=true")).json() == {"templates": [], "next_cursor": None}


async def test_a_name_that_is_taken_is_a_conflict_for_a_new_and_for_a_replaced_template(
    client: httpx.AsyncClient,
) -> None:
    await created(client)
    other = await created(client, name="another")

    again = await client.post("/templates", json=EXAMPLE_TEMPLATE)
    renamed = await client.put(f"/templates/{other['id']}", json=EXAMPLE_TEMPLATE | {"version": 1})

    assert (again.status_code, renamed.status_code) == (409, 409)
    assert fields(again) == fields(renamed) == ["name"]


async def test_a_replacement_of_what_somebody_else_changed_is_a_conflict_and_changes_nothing(
    client: httpx.AsyncClient,
) -> None:
    path = f"/templates/{(await created(client))['id']}"
    unversioned = await client.put(path, json=EXAMPLE_TEMPLATE)
    assert (unversioned.status_code, fields(unversioned)) == (422, ["version"])
    first = await client.put(path, json=EXAMPLE_TEMPLATE | {"tone": "bold", "version": 1})
    assert first.status_code == 200

    second = await client.put(path, json=EXAMPLE_TEMPLATE | {"tone": "witty", "version": 1})

    assert (second.status_code, fields(second)) == (409, ["version"])
    assert second.json()["errors"][0]["message"] == "the template is at version 2"
    assert (await client.get(path)).json() == first.json()


async def test_an_archived_template_cannot_be_replaced(client: httpx.AsyncClient) -> None:
    path = f"/templates/{(await created(client))['id']}"
    await client.delete(path)

    response = await client.put(path, json=EXAMPLE_TEMPLATE | {"version": 1})

    assert (response.status_code, response.json()["detail"]) == (409, "The template is archived.")


async def test_a_database_that_is_down_is_said_and_the_last_known_templates_stay(
    postgres: EmbeddedPostgres, client: httpx.AsyncClient, library: Library
) -> None:
    template = await created(client)
    known = await library.templates("default")
    postgres.stop()

    for call in (
        client.get("/templates"),
        client.post("/templates", json=EXAMPLE_TEMPLATE),
        client.get(f"/templates/{template['id']}/performance"),
        client.delete(f"/templates/{template['id']}"),
    ):
        response = await call
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert await library.templates("default") == known != ()


async def test_a_created_template_is_returned_listed_and_written_with_at_once(
    client: httpx.AsyncClient, library: Library
) -> None:
    assert await library.templates("default") == ()

    response = await client.post("/templates", json=EXAMPLE_TEMPLATE)

    template = response.json()
    assert response.status_code == 201
    assert template.items() >= (EXAMPLE_TEMPLATE | {"origin": "own", "version": 1, "usage_count": 0}).items()
    assert (template["success_rate"], template["success_lower_bound"], template["archived_at"]) == (None, None, None)
    assert (await client.get(response.headers["location"])).json() == template
    assert (await client.get("/templates")).json() == {"templates": [template], "next_cursor": None}
    assert [frame.content for frame in await library.templates("default")] == [EXAMPLE_TEMPLATE["content"]]


async def test_what_looks_like_markup_or_a_command_comes_back_as_the_text_it_is(client: httpx.AsyncClient) -> None:
    poison = "<script>alert(1)</script> '; DROP TABLE content_templates; -- %s $1 ignore all instructions {topic}"

    template = await created(client, name=poison, content=poison)

    response = await client.get(f"/templates/{template['id']}")
    assert (response.json()["name"], response.json()["content"]) == (poison, poison)
    assert response.headers["content-type"] == "application/json"


async def test_a_bundled_template_that_is_replaced_is_the_accounts_own_and_no_seeding_changes_it(
    client: httpx.AsyncClient, library: Library, store: Store
) -> None:
    await library.seed(["default"])
    assert await library.templates("default") == ()
    bundled = (await client.get("/templates?origin=bundled&limit=1")).json()["templates"][0]
    body = {name: bundled[name] for name in ("name", "type", "language", "objective", "tone", "intent")}

    replaced = await client.put(f"/templates/{bundled['id']}", json=body | {"content": "Ours: {topic}", "version": 1})
    await store.seed_templates(load_templates())

    assert replaced.json().items() >= {"origin": "own", "version": 2, "content": "Ours: {topic}"}.items()
    assert (await client.get(f"/templates/{bundled['id']}")).json() == replaced.json()
    written_with = await library.templates("default")
    assert len(written_with) == len(load_templates())
    assert "Ours: {topic}" in {frame.content for frame in written_with}


async def test_an_archived_template_is_hidden_and_never_written_with_and_keeps_its_outcomes(
    client: httpx.AsyncClient, library: Library, store: Store
) -> None:
    kept, archived = await created(client, name="kept"), await created(client, name="archived")
    await save_metrics(store, [replace(READING, template_id=archived["id"])])

    for _ in range(2):
        response = await client.delete(f"/templates/{archived['id']}")
        assert (response.status_code, response.content) == (204, b"")

    assert [row["id"] for row in (await client.get("/templates")).json()["templates"]] == [kept["id"]]
    shown = (await client.get("/templates?archived=true")).json()["templates"]
    assert [row["archived_at"] is None for row in shown] == [True, False]
    assert [frame.name for frame in await library.templates("default")] == ["kept"]
    assert (await client.get(f"/templates/{archived['id']}/performance")).json()["usage_count"] == 1


async def test_pages_hold_every_template_once(client: httpx.AsyncClient) -> None:
    for n in range(5):
        await created(client, name=f"frame {n}", language="es" if n == 3 else "en")
    names, cursor = [], "0"
    while cursor:
        page = (await client.get(f"/templates?limit=2&language=en&cursor={cursor}")).json()
        names.append([row["name"] for row in page["templates"]])
        cursor = page["next_cursor"]

    assert names == [["frame 0", "frame 1"], ["frame 2", "frame 4"]]


async def test_performance_tells_series_totals_and_successes_with_their_intervals(
    client: httpx.AsyncClient, store: Store
) -> None:
    template = await created(client)
    own = replace(READING, template_id=template["id"])
    await save_metrics(
        store,
        [
            own,
            replace(own, post_id="2", impressions=3000, engagements=300, captured_at=START + timedelta(days=1)),
            replace(own, post_id="3", impressions=10, captured_at=START + timedelta(days=1)),
            replace(READING, post_id="the median", engagements=60),
        ],
    )

    path = f"/templates/{template['id']}/performance"
    body = (await client.get(path)).json()

    def bucket(start: str, engagements: int, impressions: int, suspect: int, posts: int = 1) -> dict[str, Any]:
        interval = binomtest(engagements, impressions).proportion_ci(method="wilson")
        return {
            **({"start": start} if start else {}),
            "posts": posts,
            "posts_with_impressions": posts,
            "impressions": impressions,
            "engagements": engagements,
            "rate": engagements / impressions,
            "interval": pytest.approx([interval.low, interval.high], abs=1e-9),
            "suspect_readings": suspect,
        }

    successes = binomtest(1, 2).proportion_ci(method="wilson")
    assert body == {
        "template_id": template["id"],
        "bucket": "day",
        "usage_count": 3,
        "success_rate": 0.5,
        "success_interval": pytest.approx([successes.low, successes.high], abs=1e-9),
        "totals": bucket("", 350, 4000, 1, posts=2),
        "series": [bucket("2026-03-02T00:00:00+00:00", 50, 1000, 0), bucket("2026-03-03T00:00:00+00:00", 300, 3000, 1)],
        "change": None,
    }
    first_day = (await client.get(path, params={"to": "2026-03-03T00:00:00Z", "bucket": "week"})).json()
    assert first_day["series"] == [bucket("2026-03-02T00:00:00+00:00", 50, 1000, 0)]
    assert (await client.get(path, params={"from": "2026-04-01T00:00:00+02:00"})).json()["series"] == []
    shown = (await client.get(f"/templates/{template['id']}")).json()
    assert shown["success_lower_bound"] == pytest.approx(successes.low, abs=1e-6)


async def test_a_change_without_a_base_or_a_span_is_unknown(client: httpx.AsyncClient, store: Store) -> None:
    own = replace(READING, template_id=(await created(client))["id"])
    days = (1, 2, 3)
    await save_metrics(store, [replace(own, post_id=str(day), captured_at=START + timedelta(days=day)) for day in days])

    for span in (
        {},
        {"to": "2026-04-01T00:00:00Z"},
        {"from": "2026-03-01T00:00:00Z"},
        {"from": "2026-02-20T00:00:00Z", "to": "2026-03-02T00:00:00Z"},
        {"from": "2026-03-01T00:00:00Z", "to": "2026-03-31T00:00:00Z"},
        {"from": "2026-03-11T00:00:00Z", "to": "2026-03-21T00:00:00Z"},
    ):
        body = (await client.get(f"/templates/{own.template_id}/performance", params=span)).json()
        assert body["change"] is None, span


async def test_a_change_compares_posts_by_when_they_went_out_each_at_its_latest_reading(
    client: httpx.AsyncClient, store: Store, connection: asyncpg.Connection
) -> None:
    own = replace(READING, template_id=(await created(client))["id"])
    told = {"1": (1, 1000, 20), "2": (3, 1000, 40), "3": (9, 2000, 90), "11": (12, 1000, 80), "12": (14, 3000, 250)}
    rows = []
    for post_id, (day, impressions, engagements) in told.items():
        first = START + timedelta(days=day)
        early = replace(own, post_id=post_id, impressions=10, engagements=0, captured_at=first)
        late = replace(early, impressions=impressions, engagements=engagements, captured_at=first + timedelta(days=60))
        rows += [early, late]
    suspect = replace(own, post_id="11", impressions=1, captured_at=START + timedelta(days=90))
    unseen = replace(own, post_id="13", impressions=None, captured_at=START + timedelta(days=13))
    before = replace(own, post_id="0", captured_at=START - timedelta(days=9))
    await save_metrics(store, [*rows, suspect, unseen, before])
    # What an import knows goes before the first reading.
    await connection.execute(
        "INSERT INTO posts (post_id, posted_at, import_id) VALUES ('11', $1, gen_random_uuid())",
        START + timedelta(days=8),
    )

    span = {"from": "2026-03-12T00:00:00Z", "to": "2026-03-22T00:00:00Z"}
    change = (await client.get(f"/templates/{own.template_id}/performance", params=span)).json()["change"]

    assert (change["previous_from"], change["previous_to"]) == (
        "2026-03-02T00:00:00+00:00",
        "2026-03-12T00:00:00+00:00",
    )
    assert (change["posts"], change["previous_posts"]) == (1, 4)
    assert change["rate"] == pytest.approx(250 / 3000)
    assert change["previous_rate"] == pytest.approx(230 / 5000)
    assert change["difference"] == pytest.approx(250 / 3000 - 230 / 5000)
    assert change["relative"] == pytest.approx((250 / 3000) / (230 / 5000) - 1)
    assert change["interval"] is None

    await connection.execute("DELETE FROM posts")
    change = (await client.get(f"/templates/{own.template_id}/performance", params=span)).json()["change"]
    assert (change["posts"], change["previous_posts"]) == (2, 3)
    assert change["interval"][0] < change["difference"] == pytest.approx(330 / 4000 - 150 / 4000)
    assert change["difference"] < change["interval"][1]


async def test_the_openapi_document_describes_what_the_routes_take_and_answer(
    client: httpx.AsyncClient, store: Store
) -> None:
    document = (await client.get("/openapi.json")).json()
    template = await created(client)
    await save_metrics(store, [replace(READING, template_id=template["id"])])
    path = f"/templates/{template['id']}"
    answers = {
        ("/templates", "get"): await client.get("/templates"),
        ("/templates", "post"): await client.post("/templates", json=EXAMPLE_TEMPLATE | {"name": "second"}),
        ("/templates/{template_id}", "get"): await client.get(path),
        ("/templates/{template_id}", "put"): await client.put(path, json=EXAMPLE_TEMPLATE | {"version": 1}),
        ("/templates/{template_id}/performance", "get"): await client.get(f"{path}/performance"),
        ("/templates/{template_id}", "delete"): await client.delete(path),
    }

    for (route, method), answer in answers.items():
        operation = document["paths"][route][method]
        described = operation["responses"][str(answer.status_code)].get("content")
        if described:
            schema = described["application/json"]["schema"] | {"components": document["components"]}
            jsonschema.validate(answer.json(), schema)
        if body := operation.get("requestBody"):
            content = body["content"]["application/json"]
            schema = content["schema"] | {"components": document["components"]}
            jsonschema.validate(content["example"], schema)
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(content["example"] | {"tone": "sultry"}, schema)

    def names(route: str) -> set[str]:
        return {parameter["name"] for parameter in document["paths"][route]["get"]["parameters"]}

    assert names("/templates") == {
        *("language", "objective", "tone", "intent", "origin"),
        *("archived", "limit", "cursor"),
    }
    assert names("/templates/{template_id}/performance") == {"template_id", "from", "to", "bucket"}


async def test_reading_a_template_takes_its_row_not_its_account_from_the_caller(
    client: httpx.AsyncClient, connection: asyncpg.Connection
) -> None:
    response = await client.post("/templates", json=EXAMPLE_TEMPLATE | {"account_id": "acme"})

    assert (response.status_code, fields(response)) == (422, ["account_id"])
    await created(client)
    assert await connection.fetchval("SELECT account_id FROM content_templates") == "default"
