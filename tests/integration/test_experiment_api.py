"""The routes under /ab-test behind the gate, on a real Postgres, without a cluster."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx
import jsonschema
import pytest

from deployments.http.experiment_bodies import EXAMPLE_EXPERIMENT
from deployments.http.gate import Gate
from deployments.http.templates import EXAMPLE_TEMPLATE
from pipelines.experiments.assignment import assign
from store.postgres import Store
from store.templates import Reading
from supervisor.embedded import EmbeddedPostgres
from tests.integration.conftest import caller, fields, save_metrics
from tests.integration.experiment_calls import TWO, counts, created, event, results, told

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"variants": [{"name": "only"}]}, "variants"),
        ({"variants": [{"name": str(number)} for number in range(21)]}, "variants"),
        ({"variants": [{"name": "a"}, {"name": "a"}]}, "variants"),
        ({"variants": [{"name": "a"}, {"name": ""}]}, "variants[1].name"),
        ({"variants": [{"name": "a", "weight": 0.5}, {"name": "b"}]}, "variants"),
        ({"variants": [{"name": "a", "weight": 0.5}, {"name": "b", "weight": 0.6}]}, "variants"),
        ({"variants": [{"name": "a", "weight": 1.0}, {"name": "b", "weight": 0.0}]}, "variants"),
        ({"variants": [{"name": "a"}, {"name": "b", "template_id": 10**6}]}, "variants"),
        ({"control": "c"}, "control"),
        ({"alpha": 0.0}, "alpha"),
        ({"alpha": "0.05"}, "alpha"),
        ({"power": 1.0}, "power"),
        ({"mde": 0.0}, "mde"),
        ({"mde": 3.0, "baseline_rate": 0.3}, "mde"),
        ({"mde": 0.001, "baseline_rate": 1e-9}, "mde"),
        ({"alpha": 0.5}, "alpha"),
        ({"design": "multivariate"}, "design"),
        ({"channel": "organic"}, "design"),
        ({"method": "fixed"}, "baseline_rate"),
        ({"slots": {"blocks": 10}}, "slots"),
        ({"design": "switchback", "slots": {"from_hour": 9, "to_hour": 10}}, "slots"),
        ({"design": "switchback", "allocation": "bandit"}, "allocation"),
        ({"design": "switchback", "method": "sequential"}, "method"),
        ({"design": "switchback", "alpha": 0.001, "slots": {"blocks": 8}}, "slots"),
        ({"allocation": "bandit", "method": "fixed", "baseline_rate": 0.1}, "method"),
        ({"variants": [{"name": str(n)} for n in range(11)], "allocation": "bandit", "floor": 0.1}, "floor"),
        ({"sample": 3}, "sample"),
    ],
)
async def test_an_experiment_that_cannot_be_run_is_refused_by_field_and_not_stored(
    client: httpx.AsyncClient, wrong: dict[str, Any], field: str
) -> None:
    response = await client.post("/ab-test/create", json=TWO | wrong)

    assert response.status_code == 422
    assert fields(response) == [field]
    assert (await client.get("/ab-test")).json()["experiments"] == []


async def test_a_split_of_an_organic_audience_is_refused_with_the_reason(client: httpx.AsyncClient) -> None:
    response = await client.post("/ab-test/create", json=TWO | {"channel": "organic", "design": "split"})

    (error,) = response.json()["errors"]
    assert response.status_code == 422
    assert "cannot show a post to half of its followers" in error["message"]
    assert "switchback" in error["message"]


@pytest.mark.parametrize("identity", ["nonsense", "00000000-0000-0000-0000-000000000000", "1", "%00"])
async def test_an_unknown_experiment_is_404_everywhere(client: httpx.AsyncClient, identity: str) -> None:
    for path in ("", "/assign?unit=u", "/results"):
        assert (await client.get(f"/ab-test/{identity}{path}")).status_code == 404
    for path in ("start", "stop", "conclude", "reallocate"):
        assert (await client.post(f"/ab-test/{identity}/{path}")).status_code == 404
    assert (await client.post(f"/ab-test/{identity}/events", json={"events": [event(1)]})).status_code == 404


async def test_another_accounts_experiment_is_an_unknown_one(client: httpx.AsyncClient, gate: Gate) -> None:
    experiment = await created(client)

    async with caller(gate, "acme") as stranger:
        assert (await stranger.get("/ab-test")).json()["experiments"] == []
        assert (await stranger.get(f"/ab-test/{experiment['id']}/results")).status_code == 404
        assert (await stranger.post(f"/ab-test/{experiment['id']}/stop")).status_code == 404
        theirs = await stranger.post(f"/ab-test/{experiment['id']}/events", json={"events": [event(1)]})
    assert theirs.status_code == 404
    assert (await results(client, experiment))["variants"][0]["impressions"] == 0


async def test_an_experiment_goes_from_draft_to_running_to_stopped_to_concluded_and_nowhere_else(
    client: httpx.AsyncClient,
) -> None:
    experiment = await created(client, start=False)
    path = f"/ab-test/{experiment['id']}"
    states = []
    for step in ("stop", "conclude", "start", "start", "conclude", "stop", "stop", "conclude", "conclude", "start"):
        response = await client.post(f"{path}/{step}")
        states.append(response.json()["state"] if response.status_code == 200 else response.status_code)

    assert states == [409, 409, "running", 409, 409, "stopped", 409, "concluded", 409, 409]
    assert (await client.get(path)).json()["version"] == 4


async def test_a_change_at_an_old_version_is_409_and_names_the_version_that_stands(client: httpx.AsyncClient) -> None:
    experiment = await created(client, start=False)
    path = f"/ab-test/{experiment['id']}"

    stale = await client.post(f"{path}/start", json={"version": 7})
    fresh = await client.post(f"{path}/start", json={"version": experiment["version"]})

    assert (stale.status_code, fields(stale)) == (409, ["version"])
    assert "version 1" in stale.text
    assert (fresh.status_code, fresh.json()["state"]) == (200, "running")


async def test_a_draft_assigns_nobody_and_takes_no_events(client: httpx.AsyncClient) -> None:
    experiment = await created(client, start=False)

    assigned = await client.get(f"/ab-test/{experiment['id']}/assign", params={"unit": "u"})
    taken = await client.post(f"/ab-test/{experiment['id']}/events", json={"events": [event(1)]})
    refused = await client.post(f"/ab-test/{experiment['id']}/events", json={"events": [event(1, variant="?")]})

    assert (assigned.status_code, taken.status_code, refused.status_code) == (409, 409, 409)
    assert "draft" in assigned.json()["detail"]


async def test_a_lone_surrogate_costs_its_own_event_or_post_and_no_other(client: httpx.AsyncClient) -> None:
    split = await created(client)
    turns = await created(client, design="switchback")
    lone = "\ud83d"
    at = {"posted_at": "2026-01-05T09:00:00Z", "likes": 1, "retweets": 0}
    events = [event(1), event(2, unit=lone), event(f"3{lone}"), event(4, variant=lone), event(5, note=lone), event(6)]

    told_events = await client.post(
        f"/ab-test/{split['id']}/events", content=json.dumps({"events": events}), headers=JSON
    )
    posts = json.dumps({"posts": [{"post_id": lone, **at}, {"post_id": "2", **at}]})
    told_posts = await client.post(f"/ab-test/{turns['id']}/posts", content=posts, headers=JSON)

    assert (told_events.status_code, told_posts.status_code) == (200, 200)
    assert told_events.json()["accepted"] == 2
    assert [one["index"] for one in told_events.json()["rejected"]] == [1, 2, 3, 4]
    assert told_posts.json()["accepted"] == 1
    assert [one["index"] for one in told_posts.json()["rejected"]] == [0]


async def test_a_variant_is_known_by_its_name_whatever_its_line_ends(client: httpx.AsyncClient) -> None:
    experiment = await created(client, variants=[{"name": "two\r\nlines"}, {"name": "b"}])

    response = await told(client, experiment, event(1, variant="two\r\nlines"), event(2, variant="two\nlines"))

    assert (response["accepted"], response["rejected"]) == (2, [])


async def test_a_unit_keeps_its_variant_and_the_weights_hold(client: httpx.AsyncClient) -> None:
    weighted = [{"name": "control", "weight": 0.8, "content": "Hello."}, {"name": "b", "weight": 0.2}]
    experiment = await created(client, variants=weighted)
    path = f"/ab-test/{experiment['id']}/assign"

    first = [(await client.get(path, params={"unit": f"user {n}"})).json() for n in range(200)]
    again = [(await client.get(path, params={"unit": f"user {n}"})).json() for n in range(200)]

    assert first == again
    assert [("control", "b").index(one["variant"]) for one in first] == [
        assign(experiment["id"], f"user {n}", [0.8, 0.2]) for n in range(200)
    ]
    assert {one["content"] for one in first if one["variant"] == "control"} == {"Hello."}
    assert 0.65 < sum(one["variant"] == "control" for one in first) / 200 < 0.95


@pytest.mark.parametrize("query", ["", "unit=", "unit=a%00b", f"unit={'x' * 257}", "unit=u&user=1"])
async def test_an_assignment_without_a_proper_unit_is_refused(client: httpx.AsyncClient, query: str) -> None:
    experiment = await created(client)

    response = await client.get(f"/ab-test/{experiment['id']}/assign?{query}")

    assert response.status_code == 422
    assert fields(response)[0] in {"unit", "user"}


async def test_a_template_succeeds_where_it_beats_the_others_of_its_test_and_the_posts_median_stays(
    client: httpx.AsyncClient, store: Store
) -> None:
    """The account's posts do far better than any page of a test: that says nothing of either."""
    good, bad = [(await client.post("/templates", json=EXAMPLE_TEMPLATE | {"name": n})).json()["id"] for n in "gb"]
    post = Reading(
        account_id="default", post_id="post", template_id=bad, impressions=100, engagements=90, retweets=40, likes=50,
        captured_at=datetime(2026, 3, 2, tzinfo=UTC),
    )  # fmt: skip
    dull = replace(post, post_id="dull", template_id=None, engagements=80, likes=40)
    variants = [{"name": "control", "template_id": bad}, {"name": "b", "template_id": good}]
    experiment = await created(client, variants=variants)
    await told(client, experiment, *counts("control", 100, 10), *counts("b", 100, 20))
    await client.post(f"/ab-test/{experiment['id']}/stop")
    await client.post(f"/ab-test/{experiment['id']}/conclude")
    await save_metrics(store, [post, dull])
    learned = {n: (await client.get(f"/templates/{n}")).json() for n in (good, bad)}

    assert (learned[good]["usage_count"], learned[good]["success_rate"]) == (1, 1.0)
    assert (learned[bad]["usage_count"], learned[bad]["success_rate"]) == (2, 0.5)


async def test_a_conclusion_freezes_the_results_and_teaches_the_templates(
    client: httpx.AsyncClient, connection: asyncpg.Connection
) -> None:
    template = (await client.post("/templates", json=EXAMPLE_TEMPLATE)).json()
    variants = [{"name": "control"}, {"name": "b", "template_id": template["id"]}]
    experiment = await created(client, variants=variants)
    path = f"/ab-test/{experiment['id']}"
    await told(client, experiment, *counts("control", 1000, 100), *counts("b", 1000, 200))
    before = await results(client, experiment)
    await client.post(f"{path}/stop")

    concluded = (await client.post(f"{path}/conclude")).json()
    late = await client.post(f"{path}/events", json={"events": [event("late")]})
    after = await results(client, experiment)
    learned = (await client.get(f"/templates/{template['id']}/performance")).json()

    assert concluded["conclusion"]["decision"] == "win"
    assert late.status_code == 409
    assert {key: after[key] for key in ("variants", "p_value", "decision", "reason")} == {
        key: before[key] for key in ("variants", "p_value", "decision", "reason")
    }
    assert (learned["usage_count"], learned["success_rate"]) == (1, 1.0)
    assert (learned["totals"]["impressions"], learned["totals"]["engagements"]) == (1000, 200)
    assert await connection.fetchval("SELECT count(*) FROM performance_metrics WHERE likes IS NULL") == 2


async def test_a_switchback_takes_posts_and_a_split_takes_events(client: httpx.AsyncClient) -> None:
    split, switchback = await created(client), await created(client, design="switchback")
    post = {"post_id": "1", "posted_at": datetime.now(UTC).isoformat(), "likes": 1, "retweets": 0}

    assert (await client.post(f"/ab-test/{split['id']}/posts", json={"posts": [post]})).status_code == 409
    assert (await client.post(f"/ab-test/{switchback['id']}/events", json={"events": [event(1)]})).status_code == 409


async def test_the_list_shows_the_newest_first_page_by_page(client: httpx.AsyncClient) -> None:
    made = [(await created(client, name=f"test {number}", start=bool(number % 2)))["id"] for number in range(5)]

    first = (await client.get("/ab-test", params={"limit": 3})).json()
    second = (await client.get("/ab-test", params={"limit": 3, "cursor": first["next_cursor"]})).json()
    drafts = (await client.get("/ab-test", params={"state": "draft"})).json()

    assert [one["id"] for one in first["experiments"] + second["experiments"]] == made[::-1]
    assert second["next_cursor"] is None
    assert [one["id"] for one in drafts["experiments"]] == [made[4], made[2], made[0]]
    assert (await client.get("/ab-test", params={"cursor": "x"})).status_code == 422


async def test_the_plan_says_how_many_units_it_takes(client: httpx.AsyncClient) -> None:
    planned = await created(client, **{key: EXAMPLE_EXPERIMENT[key] for key in ("mde", "baseline_rate")})
    unplanned = await created(client)

    assert 25_000 < planned["units_needed"] < 80_000
    assert unplanned["units_needed"] is None


async def test_a_database_that_is_away_is_503_and_nothing_is_half_done(
    client: httpx.AsyncClient, postgres: EmbeddedPostgres
) -> None:
    experiment = await created(client)
    postgres.stop()
    away = await client.post(f"/ab-test/{experiment['id']}/events", json={"events": [event(1)]})
    postgres.start()
    back = await told(client, experiment, event(1))

    assert (away.status_code, away.headers["retry-after"]) == (503, "1")
    assert (back["accepted"], back["duplicates"]) == (1, 0)


async def test_every_answer_matches_the_openapi_document(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    experiment = await created(client, **{k: v for k, v in EXAMPLE_EXPERIMENT.items() if k != "name"})
    path = f"/ab-test/{experiment['id']}"
    events = {"events": [event(1, variant="statement"), event(2, variant="?")]}
    answers = {
        ("/ab-test/{experiment_id}", "get"): await client.get(path),
        ("/ab-test/{experiment_id}/events", "post"): await client.post(f"{path}/events", json=events),
        ("/ab-test/{experiment_id}/assign", "get"): await client.get(f"{path}/assign", params={"unit": "u"}),
        ("/ab-test/{experiment_id}/results", "get"): await client.get(f"{path}/results"),
        ("/ab-test/{experiment_id}/stop", "post"): await client.post(f"{path}/stop"),
        ("/ab-test", "get"): await client.get("/ab-test"),
    }

    for (route, method), answer in answers.items():
        schema = document["paths"][route][method]["responses"]["200"]["content"]["application/json"]["schema"]
        resolver = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
        jsonschema.validate(answer.json(), resolver | {"components": document["components"]})
