"""The routes under /ab-test behind the gate, on a real Postgres, without a cluster."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import jsonschema
import pytest
from scipy.stats import chi2_contingency

from deployments.auth import Gate
from deployments.experiment_schemas import EXAMPLE_EXPERIMENT
from deployments.template_routes import EXAMPLE_TEMPLATE
from pipelines.experiments.assignment import assign
from store.embedded import EmbeddedPostgres
from store.postgres import Store
from store.templates import Reading
from tests.integration.conftest import caller, fields

TWO = {"name": "hooks", "variants": [{"name": "control"}, {"name": "b"}]}


async def created(client: httpx.AsyncClient, **fields: object) -> dict[str, Any]:
    response = await client.post("/ab-test/create", json=TWO | fields)
    assert response.status_code == 201, response.text
    return response.json()


async def told(client: httpx.AsyncClient, experiment: dict[str, Any], *events: dict[str, Any]) -> dict[str, Any]:
    response = await client.post(f"/ab-test/{experiment['id']}/events", json={"events": events})
    assert response.status_code == 200, response.text
    return response.json()


async def results(client: httpx.AsyncClient, experiment: dict[str, Any]) -> dict[str, Any]:
    response = await client.get(f"/ab-test/{experiment['id']}/results")
    assert response.status_code == 200, response.text
    return response.json()


def event(
    number: object, unit: str = "u", variant: str = "control", kind: str = "impression", **fields: object
) -> dict:
    return {"event_id": str(number), "unit": unit, "variant": variant, "type": kind, **fields}


def counts(variant: str, exposed: int, engaged: int) -> list[dict[str, Any]]:
    """Events of `exposed` units of their own, of which `engaged` engage."""
    units = [f"{variant}-{number}" for number in range(exposed)]
    seen = [event(f"{unit}-seen", unit, variant) for unit in units]
    return seen + [event(f"{unit}-liked", unit, variant, "engagement") for unit in units[:engaged]]


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

    assert (assigned.status_code, taken.status_code) == (409, 409)
    assert "draft" in assigned.json()["detail"]


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


async def test_a_bad_event_never_costs_the_rest_of_its_batch(client: httpx.AsyncClient) -> None:
    experiment = await created(client)
    bad = [
        event(1, variant="c"),
        event("", "u"),
        event(2, unit=""),
        event(3, kind="click"),
        event(4, at="yesterday"),
        event(5, at="2026-01-01T00:00:00"),
        event("nul\x00", "u"),
        {"event_id": "6"},
        7,
        event(8, variant=""),
        event(9, extra=1),
        event(10, unit="\u202e" * 3 + "\x85"),
    ]

    answer = await told(client, experiment, event("a"), *bad, event("b", "v", "b"))

    assert (answer["accepted"], answer["duplicates"]) == (2, 0)
    assert [one["index"] for one in answer["rejected"]] == list(range(1, len(bad) + 1))
    assert answer["rejected"][0]["reason"] == "variant: the experiment has no such variant"
    assert answer["rejected"][2]["reason"].startswith("unit: ")


async def test_a_batch_of_bad_events_alone_is_answered_event_by_event(client: httpx.AsyncClient) -> None:
    experiment = await created(client)

    answer = await told(client, experiment, event(1, variant="c"), {"event_id": 3})

    assert (answer["accepted"], [one["index"] for one in answer["rejected"]]) == (0, [0, 1])


async def test_more_than_ten_thousand_events_are_refused_as_a_whole(client: httpx.AsyncClient) -> None:
    experiment = await created(client)
    path = f"/ab-test/{experiment['id']}/events"

    over = await client.post(path, json={"events": [event(number) for number in range(10_001)]})
    full = await client.post(path, json={"events": [event(number, f"u{number}") for number in range(10_000)]})

    assert (over.status_code, fields(over)) == (422, ["events"])
    assert full.json()["accepted"] == 10_000


async def test_events_late_twice_and_out_of_order_count_each_unit_once(client: httpx.AsyncClient) -> None:
    experiment = await created(client)
    story = [
        event(1, "u", "b", "engagement", at="2026-03-02T12:00:00Z"),
        event(2, "u", "b", at="2026-03-02T11:00:00+02:00"),
        event(3, "u", "b"),
        event(4, "v", "b", "engagement"),
    ]

    first = await told(client, experiment, *story, story[0])
    second = await told(client, experiment, *reversed(story))
    found = await results(client, experiment)

    assert (first["accepted"], first["duplicates"]) == (4, 1)
    assert (second["accepted"], second["duplicates"]) == (0, 4)
    (b,) = (variant for variant in found["variants"] if variant["name"] == "b")
    assert (b["impressions"], b["engagements"], b["rate"]) == (1, 1, 1.0)
    assert found["warnings"][:2] == [
        "units dated before the start or after now: 1",
        "units engaged without an impression, and not counted: 1",
    ]


async def test_eight_writers_at_once_lose_nothing(client: httpx.AsyncClient) -> None:
    experiment = await created(client)

    async def write(writer: int) -> int:
        accepted = 0
        for batch in range(10):
            events = [event(f"{writer}-{batch}-{n}", f"{writer}-{batch}-{n}") for n in range(100)]
            accepted += (await told(client, experiment, *events))["accepted"]
        return accepted

    assert sum(await asyncio.gather(*(write(writer) for writer in range(8)))) == 8_000
    assert (await results(client, experiment))["variants"][0]["impressions"] == 8_000


async def test_units_told_with_another_variant_than_theirs_count_as_told_and_are_reported(
    client: httpx.AsyncClient,
) -> None:
    experiment = await created(client)
    units = [f"u{number}" for number in range(100)]
    swapped = [event(u, u, ("b", "control")[assign(experiment["id"], u, [0.5, 0.5])]) for u in units]

    await told(client, experiment, *swapped)
    found = await results(client, experiment)

    assert sum(variant["impressions"] for variant in found["variants"]) == 100
    assert "100.0% of the units were told with another variant than /assign gives them" in found["warnings"]


async def test_an_experiment_without_events_says_what_it_waits_for(client: httpx.AsyncClient) -> None:
    found = await results(client, await created(client))

    assert (found["decision"], found["decided_by"], found["winner"]) == ("keep_going", "impressions", None)
    assert found["reason"] == "No impressions yet of control, b."
    assert [variant["rate"] for variant in found["variants"]] == [None, None]


async def test_a_clear_difference_wins_and_the_reason_names_the_figure_it_used(client: httpx.AsyncClient) -> None:
    experiment = await created(client)
    await told(client, experiment, *counts("control", 1000, 100), *counts("b", 1000, 200))
    found = await results(client, experiment)

    assert (found["decision"], found["winner"], found["decided_by"]) == ("win", "b", "adjusted_always_valid_p")
    assert found["p_value"] == pytest.approx(chi2_contingency([[100, 900], [200, 800]], correction=False).pvalue)
    assert found["p_value"] < found["always_valid_p"] < 0.001
    assert found["lift"]["b"]["relative"] == pytest.approx(1.0)
    assert found["chance_to_beat"]["b"] > 0.999
    assert found["reason"].startswith("b beats control by 100.0%, of which 86.9% is to be expected (p ")


async def test_a_worse_variant_keeps_the_control(client: httpx.AsyncClient) -> None:
    experiment = await created(client)
    await told(client, experiment, *counts("control", 1000, 200), *counts("b", 1000, 100))
    found = await results(client, experiment)

    assert (found["decision"], found["winner"]) == ("lose", "control")
    assert found["verdicts"] == {"b": "lose"}


async def test_units_that_are_not_split_as_planned_make_the_experiment_invalid_whatever_else_it_shows(
    client: httpx.AsyncClient,
) -> None:
    experiment = await created(client)
    await told(client, experiment, *counts("control", 1000, 50), *counts("b", 700, 300))
    found = await results(client, experiment)

    assert found["srm_p"] < 0.001
    assert (found["decision"], found["decided_by"], found["winner"]) == ("invalid", "srm_p", None)


async def test_a_fixed_test_is_read_at_its_size_and_units_beyond_it_change_nothing(client: httpx.AsyncClient) -> None:
    experiment = await created(client, method="fixed", baseline_rate=0.1, mde=1.0)
    half = experiment["units_needed"] // 2
    early = await results(client, experiment)
    await told(client, experiment, *counts("control", half, half // 10), *counts("b", half, half // 9))
    at_size = await results(client, experiment)
    late = [event(f"late-{n}", f"late-{n}", "b", kind) for n in range(400) for kind in ("impression",)]
    await told(client, experiment, *late, *(event(f"liked-{n}", f"late-{n}", "b", "engagement") for n in range(400)))
    after = await results(client, experiment)

    assert (early["decision"], at_size["decision"]) == ("keep_going", "futile")
    assert {key: after[key] for key in ("variants", "p_value", "decision", "reason")} == {
        key: at_size[key] for key in ("variants", "p_value", "decision", "reason")
    }
    assert "units beyond the planned size, at which a fixed test is read, and not counted: 400" in after["warnings"]


async def test_units_told_with_two_variants_are_reported(client: httpx.AsyncClient) -> None:
    experiment = await created(client, channel="ads")
    both = [event(f"{u}-{v}", f"u{u}", v) for u in range(30) for v in ("control", "b")]

    await told(client, experiment, *both)
    found = await results(client, experiment)

    assert found["warnings"] == ["units told with more than one variant, and counted for each: 30"]


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
    await store.save_metrics([post, dull])
    learned = {n: (await client.get(f"/templates/{n}")).json() for n in (good, bad)}

    assert (learned[good]["usage_count"], learned[good]["success_rate"]) == (1, 1.0)
    assert (learned[bad]["usage_count"], learned[bad]["success_rate"]) == (2, 0.5)


async def test_the_control_is_the_variant_that_was_named(client: httpx.AsyncClient) -> None:
    experiment = await created(client, control="b")
    await told(client, experiment, *counts("control", 1000, 200), *counts("b", 1000, 100))
    found = await results(client, experiment)

    assert found["control"] == "b"
    assert list(found["lift"]) == ["control"]
    assert found["winner"] == "control"


async def test_a_bandit_moves_its_units_and_says_what_that_costs(client: httpx.AsyncClient) -> None:
    experiment = await created(client, allocation="bandit", floor=0.1)
    path = f"/ab-test/{experiment['id']}"
    await told(client, experiment, *counts("control", 400, 20), *counts("b", 400, 80))

    moved = await client.post(f"{path}/reallocate")
    found = await results(client, experiment)
    met = await client.get(f"{path}/assign", params={"unit": "control-7"})

    assert [variant["weight"] for variant in moved.json()["variants"]] == pytest.approx([0.1, 0.9], abs=0.01)
    assert met.json()["variant"] == "control"
    assert (found["srm_p"], found["decision"], found["decided_by"]) == (None, "win", "adjusted_always_valid_p")
    assert "p-values and intervals for one look do not hold their level" in found["warnings"][-1]
    assert (await client.post(f"/ab-test/{(await created(client))['id']}/reallocate")).status_code == 409


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


async def test_a_switchback_gives_each_slot_its_variant_and_is_read_once_it_is_over(
    client: httpx.AsyncClient, connection: asyncpg.Connection
) -> None:
    slots = {"blocks": 8, "slot_minutes": 30, "washout_minutes": 10}
    experiment = await created(client, design="switchback", slots=slots)
    path = f"/ab-test/{experiment['id']}"
    schedule = experiment["schedule"]
    assert experiment["plan"]["channel"] == "organic"
    assert len(schedule) == 16
    assert all({one["variant"], two["variant"]} == {"control", "b"}
               for one, two in zip(schedule[::2], schedule[1::2], strict=True))  # fmt: skip

    def moment(slot: dict[str, Any], minutes: int) -> str:
        return (datetime.fromisoformat(slot["start"]) + timedelta(minutes=minutes)).isoformat()

    early = await results(client, experiment)
    now = await client.get(f"{path}/assign", params={"at": moment(schedule[3], 5)})
    washout = await client.get(f"{path}/assign", params={"at": moment(schedule[3], 35)})
    tomorrow = {"post_id": "early", "posted_at": moment(schedule[-1], 24 * 60), "likes": 1, "retweets": 0}
    refused = (await client.post(f"{path}/posts", json={"posts": [tomorrow]})).json()
    await connection.execute("UPDATE experiments SET started_at = started_at - interval '2 days'")
    schedule = (await client.get(path)).json()["schedule"]
    posts = [
        {"post_id": str(number), "posted_at": moment(slot, 7), "impressions": 1000 + 13 * number,
         "likes": (20 + number) * (3 if slot["variant"] == "b" else 1), "retweets": 0}
        for number, slot in enumerate(schedule)
    ]  # fmt: skip
    posts.append(posts[0] | {"post_id": "washed out", "posted_at": moment(schedule[0], 35)})
    taken = (await client.post(f"{path}/posts", json={"posts": posts})).json()
    late = await results(client, experiment)

    assert now.json()["variant"] == experiment["schedule"][3]["variant"]
    assert (washout.status_code, "the next slot starts" in washout.json()["detail"]) == (409, True)
    assert (taken["accepted"], taken["rejected"]) == (17, [])
    assert (refused["accepted"], refused["rejected"]) == (0, [{"index": 0, "reason": "posted_at: lies in the future"}])
    assert (early["decision"], early["decided_by"]) == ("keep_going", "schedule")
    assert (late["decision"], late["winner"], late["decided_by"]) == ("win", "b", "adjusted_p_value")
    assert late["p_value"] == pytest.approx(2 / 2**8)
    assert late["lift"]["b"]["relative"] == pytest.approx(2.0, abs=0.2)
    assert late["always_valid_p"] is None
    assert "posts in a washout or outside the schedule, not counted: 1" in late["warnings"]

    await client.post(f"{path}/stop")
    assert (await client.post(f"{path}/conclude")).status_code == 200
    assert await connection.fetchval("SELECT count(*) FROM performance_metrics WHERE likes > 0") == 16


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
