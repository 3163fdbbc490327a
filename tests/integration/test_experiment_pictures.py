"""How an experiment went, as series and as pictures, over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from defusedxml import ElementTree

from deployments.http.gate import Gate
from tests.integration.conftest import caller, fields
from tests.integration.experiment_calls import counts, created, event, results, told

PICTURES = [f"{subject}.{kind}" for subject in ("lift", "boundaries", "srm") for kind in ("png", "svg")]
NOBODY = "00000000-0000-4000-8000-000000000000"
SWITCHBACK = {"design": "switchback", "slots": {"blocks": 6, "slot_minutes": 10, "washout_minutes": 0}}


async def series(client: httpx.AsyncClient, experiment: dict[str, Any]) -> dict[str, Any]:
    response = await client.get(f"/ab-test/{experiment['id']}/series")
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize("what", ["series", *PICTURES])
async def test_an_unknown_experiment_and_another_accounts_are_404(
    client: httpx.AsyncClient, gate: Gate, what: str
) -> None:
    experiment = await created(client)

    async with caller(gate, "acme") as stranger:
        for number in (experiment["id"], NOBODY, "../x", "'"):
            assert (await stranger.get(f"/ab-test/{number}/{what}")).status_code == 404
    assert (await client.get(f"/ab-test/{experiment['id']}/{what}")).status_code == 200


@pytest.mark.parametrize("query", ["language=fr", "tz=Atlantis", "colour=red"])
async def test_a_parameter_that_no_picture_has_is_refused_by_name(client: httpx.AsyncClient, query: str) -> None:
    experiment = await created(client)
    response = await client.get(f"/ab-test/{experiment['id']}/lift.svg?{query}")
    assert response.status_code == 422
    assert fields(response) == [query.partition("=")[0]]


async def test_a_switchback_has_no_boundary_and_no_split_and_a_bandit_no_split(client: httpx.AsyncClient) -> None:
    switchback, bandit = await created(client, **SWITCHBACK), await created(client, allocation="bandit")

    for experiment, subject, reason in (
        (switchback, "boundaries", "read once"),
        (switchback, "srm", "splits no units"),
        (bandit, "srm", "moves units"),
    ):
        response = await client.get(f"/ab-test/{experiment['id']}/{subject}.svg")
        assert response.status_code == 422
        assert reason in response.json()["errors"][0]["message"]
    assert (await client.get(f"/ab-test/{bandit['id']}/boundaries.svg")).status_code == 200


async def test_without_events_a_series_is_empty_and_a_picture_says_so(client: httpx.AsyncClient) -> None:
    experiment = await created(client)

    assert (await series(client, experiment))["points"] == []
    spanish = await client.get(f"/ab-test/{experiment['id']}/lift.svg?language=es")
    assert "ningún evento" in spanish.text
    assert "no events" in (await client.get(f"/ab-test/{experiment['id']}/lift.svg")).text


async def test_the_last_point_of_a_series_is_what_the_results_say(client: httpx.AsyncClient) -> None:
    experiment = await created(client)
    await told(client, experiment, *counts("control", 200, 20), *counts("b", 220, 44))

    found, shown = await results(client, experiment), await series(client, experiment)
    last = shown["points"][-1]

    assert (shown["id"], shown["state"], shown["version"], shown["control"]) == (
        experiment["id"], "running", 1, "control",
    )  # fmt: skip
    assert last["srm_p"] == found["srm_p"]
    assert last["units"] == 420
    for variant in found["variants"]:
        standing = last["variants"][variant["name"]]
        assert (
            variant.items()
            >= {name: standing[name] for name in ("impressions", "engagements", "rate", "interval")}.items()
        )
    lift, tests, b = found["lift"]["b"], found["tests"]["b"], last["variants"]["b"]
    assert all(b[name] == lift[name] for name in ("relative", "relative_interval", "always_valid_interval"))
    assert all(b[name] == tests[name] for name in ("adjusted_p_value", "adjusted_always_valid_p"))
    assert (b["statistic"] >= b["boundary"]) == (tests["adjusted_always_valid_p"] <= 0.05)


async def test_counts_grow_at_the_moments_that_the_events_name(
    client: httpx.AsyncClient, connection: asyncpg.Connection
) -> None:
    experiment = await created(client)
    await connection.execute("UPDATE experiments SET started_at = now() - interval '3 days'")
    start = datetime.now(UTC) - timedelta(days=2)

    def at(hours: float) -> str:
        return (start + timedelta(hours=hours)).isoformat()

    await told(
        client,
        experiment,
        event(1, "first", at=at(0)),
        event(2, "second", "b", at=at(10)),
        event(3, "first", kind="engagement", at=at(30)),
        # It engaged before its impression and again after it.
        event(4, "third", "b", "engagement", at=at(1)),
        event(5, "third", "b", at=at(20)),
        event(6, "third", "b", "engagement", at=at(40)),
        # Before the start, after now, and without an impression.
        event(7, "early", at=at(-999)),
        event(8, "late", at=at(999)),
        event(9, "unseen", kind="engagement", at=at(2)),
    )
    points = (await series(client, experiment))["points"]

    def known(hours: float) -> list[tuple[int, int]]:
        (*_, last) = [point for point in points if point["at"] <= at(hours)]
        return [
            (last["variants"][name]["impressions"], last["variants"][name]["engagements"]) for name in ("control", "b")
        ]

    assert known(6) == [(2, 0), (0, 0)]
    assert known(15) == [(2, 0), (1, 0)]
    assert known(25) == [(2, 0), (2, 0)]
    assert known(35) == [(2, 1), (2, 0)]
    assert known(50) == [(3, 1), (2, 1)]
    assert len(points) <= 40


async def test_a_fixed_test_goes_no_farther_than_its_size(client: httpx.AsyncClient) -> None:
    experiment = await created(client, method="fixed", baseline_rate=0.5, mde=0.9)
    needed = experiment["units_needed"]
    await told(client, experiment, *counts("control", needed, needed // 2), *counts("b", needed, needed - 1))

    found, last = await results(client, experiment), (await series(client, experiment))["points"][-1]

    assert last["units"] == needed == found["size"]["units"]
    assert [last["variants"][name]["engagements"] for name in ("control", "b")] == [
        variant["engagements"] for variant in found["variants"]
    ]


async def test_the_blocks_of_a_switchback_are_drawn(client: httpx.AsyncClient, connection: asyncpg.Connection) -> None:
    experiment = await created(client, **SWITCHBACK)
    await connection.execute("UPDATE experiments SET started_at = started_at - interval '5 days'")
    schedule = (await client.get(f"/ab-test/{experiment['id']}")).json()["schedule"]
    posts = [
        {"post_id": str(number), "posted_at": slot["start"], "impressions": 100, "likes": number, "retweets": 0}
        for number, slot in enumerate(schedule)
    ]
    assert (await client.post(f"/ab-test/{experiment['id']}/posts", json={"posts": posts})).status_code == 200

    found = await series(client, experiment)

    assert [(one["block"], one["variant"]) for one in found["blocks"]] == [
        (slot["block"], slot["variant"]) for slot in schedule
    ]
    assert found["points"] == []
    assert b"rate-1" in (await client.get(f"/ab-test/{experiment['id']}/lift.svg")).content


async def test_hostile_names_are_text_in_the_pictures(client: httpx.AsyncClient) -> None:
    names = (
        "<script>alert(1)</script>",
        "--><svg onload=alert(1)>",
        "$\\frac{1}{0}$ {{7*7}}",
        "\N{ROCKET}\N{COMBINING ENCLOSING KEYCAP}",
    )
    experiment = await created(client, variants=[{"name": name} for name in names])
    await told(client, experiment, *(one for name in names for one in counts(name, 60, 12)))

    for subject in ("lift", "boundaries", "srm"):
        drawn = await client.get(f"/ab-test/{experiment['id']}/{subject}.svg")
        tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(drawn.content).iter()}
        assert not tags & {"script", "image", "a", "foreignObject"}


async def test_a_picture_that_the_caller_has_is_not_sent_again(client: httpx.AsyncClient) -> None:
    experiment = await created(client)
    address = f"/ab-test/{experiment['id']}/lift.png"
    tag = (await client.get(address)).headers["etag"]

    same = await client.get(address, headers={"if-none-match": tag})
    await told(client, experiment, *counts("control", 60, 20), *counts("b", 60, 30))
    other = await client.get(address, headers={"if-none-match": tag})

    assert (same.status_code, same.content) == (304, b"")
    assert other.status_code == 200


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda body: body | {"mde": 0.000001}, "mde"),
        (lambda body: body | {"baseline_rate": 2}, "baseline_rate"),
        (lambda body: body | {"channel": "organic"}, "design"),
        (lambda body: body | {"variants": [{"name": "a"}]}, "variants"),
    ],
)
async def test_a_plan_that_nobody_can_carry_out_has_no_size(
    client: httpx.AsyncClient, change: Callable[[dict[str, Any]], dict[str, Any]], field: str
) -> None:
    body = {"name": "n", "variants": [{"name": "a"}, {"name": "b"}], "baseline_rate": 0.1}
    response = await client.post("/ab-test/size", json=change(body))
    assert response.status_code == 422
    assert fields(response) == [field]


async def test_a_size_is_what_the_experiment_will_need_and_nothing_is_stored(client: httpx.AsyncClient) -> None:
    body = {"name": "n", "variants": [{"name": "a"}, {"name": "b"}], "baseline_rate": 0.1, "units_per_day": 500}
    size = (await client.post("/ab-test/size", json=body)).json()

    assert (await client.get("/ab-test")).json()["experiments"] == []
    assert size["units_needed"] == (await created(client, **body))["units_needed"]
    assert size["expected_days"] == -(-size["units_needed"] // 500)
    unplanned = (await client.post("/ab-test/size", json={**body, "baseline_rate": None})).json()
    assert unplanned == {"units_needed": None, "expected_days": None}
    alternating = (
        await client.post("/ab-test/size", json={"name": "n", "variants": body["variants"], **SWITCHBACK})
    ).json()
    assert alternating["units_needed"] is None
    assert alternating["expected_days"] in {1, 2}
