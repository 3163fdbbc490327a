"""What /ab-test takes and what it says: events, posts and results on a real Postgres, without a cluster."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from scipy.stats import binomtest, chi2_contingency

from deployments.http.templates import EXAMPLE_TEMPLATE
from pipelines.experiments.assignment import assign
from store.postgres import Store
from tests.integration.conftest import fields, save_metrics
from tests.integration.experiment_calls import counts, created, event, results, told
from tests.integration.test_template_api import READING


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


@pytest.mark.parametrize(
    ("engaged", "counted", "warnings"),
    [
        ([-1], 0, ["units engaged before their first impression alone, and not counted as engaged: 1"]),
        ([-1, 1], 1, []),
        (
            [-30 * 24 * 3600],
            0,
            [
                "units dated before the start or after now: 1",
                "units engaged before their first impression alone, and not counted as engaged: 1",
            ],
        ),
        ([365 * 24 * 3600], 1, ["units dated before the start or after now: 1"]),
        ([1, 365 * 24 * 3600], 1, ["units dated before the start or after now: 1"]),
    ],
)
async def test_an_engagement_counts_by_its_time(
    client: httpx.AsyncClient, engaged: list[int], counted: int, warnings: list[str]
) -> None:
    """Seconds from the impression, which is half a minute after the start."""
    experiment = await created(client, channel="ads")
    seen = datetime.now(UTC) + timedelta(seconds=30)
    times = [(seconds, (seen + timedelta(seconds=seconds)).isoformat()) for seconds in engaged]
    engagements = [event(seconds, kind="engagement", at=at) for seconds, at in times]

    await told(client, experiment, event("seen", at=seen.isoformat()), *engagements)
    found = await results(client, experiment)

    assert (found["variants"][0]["impressions"], found["variants"][0]["engagements"]) == (1, counted)
    assert found["warnings"] == warnings


async def test_units_first_seen_after_the_stop_count_and_are_reported(client: httpx.AsyncClient) -> None:
    experiment = await created(client, channel="ads")
    await told(client, experiment, event(1, "in time"))
    await client.post(f"/ab-test/{experiment['id']}/stop")
    await told(client, experiment, event(2, "late"), event(3, "late", kind="engagement"))
    found = await results(client, experiment)

    assert (found["variants"][0]["impressions"], found["variants"][0]["engagements"]) == (2, 1)
    assert found["warnings"] == ["units first seen after the stop, and counted: 1"]


@pytest.mark.parametrize(("control", "b", "share"), [(5, 5, 0.1), (10, 4, 0.05), (199, 2, 0.001), (18, 2, 0.01)])
async def test_a_sound_split_of_few_units_is_not_invalid(
    client: httpx.AsyncClient, control: int, b: int, share: float
) -> None:
    variants = [{"name": "control", "weight": 1 - share}, {"name": "b", "weight": share}]
    experiment = await created(client, channel="ads", variants=variants)
    await told(client, experiment, *counts("control", control, 1), *counts("b", b, 1))
    found = await results(client, experiment)

    assert found["srm_p"] == pytest.approx(binomtest(b, control + b, share).pvalue)
    assert found["decision"] == "keep_going"


async def test_results_show_each_day_in_order(client: httpx.AsyncClient) -> None:
    experiment = await created(client)
    await told(
        client,
        experiment,
        event(1, "u", "b", at="2026-03-03T00:30:00+01:00"),
        event(2, "v", at="2026-03-03T00:30:00Z"),
        event(3, "u", "b", "engagement", at="2026-03-09T00:00:00Z"),
    )

    assert (await results(client, experiment))["days"] == [
        {"day": "2026-03-02", "variant": "b", "impressions": 1, "engagements": 1},
        {"day": "2026-03-03", "variant": "control", "impressions": 1, "engagements": 0},
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


async def test_the_control_is_the_variant_that_was_named(client: httpx.AsyncClient) -> None:
    experiment = await created(client, control="b")
    await told(client, experiment, *counts("control", 1000, 200), *counts("b", 1000, 100))
    found = await results(client, experiment)

    assert found["control"] == "b"
    assert list(found["lift"]) == ["control"]
    assert found["winner"] == "control"


async def test_a_bandit_that_sends_nobody_to_two_of_its_variants_still_answers(client: httpx.AsyncClient) -> None:
    variants = [{"name": "a", "weight": 1.0}, {"name": "b", "weight": 0.0}, {"name": "c", "weight": 0.0}]
    experiment = await created(client, variants=variants, control="b", allocation="bandit", baseline_rate=0.1)
    await told(client, experiment, *counts("a", 200, 20))

    assert experiment["units_needed"] > 1000
    assert (await results(client, experiment))["reason"] == "No impressions yet of b, c."


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


async def test_a_switchback_gives_each_slot_its_variant_and_is_read_once_it_is_over(
    client: httpx.AsyncClient, store: Store, connection: asyncpg.Connection
) -> None:
    slots = {"blocks": 8, "slot_minutes": 30, "washout_minutes": 10}
    template = (await client.post("/templates", json=EXAMPLE_TEMPLATE)).json()
    variants = [{"name": "control"}, {"name": "b", "template_id": template["id"]}]
    # X's own engagements are far more than likes and retweets.
    await save_metrics(store, [replace(READING, post_id=f"other {n}", engagements=500) for n in range(3)])
    experiment = await created(client, design="switchback", slots=slots, variants=variants)
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
    assert await connection.fetchval("SELECT count(*) FROM performance_metrics WHERE compared_rate > 0") == 16
    learned = (await client.get(f"/templates/{template['id']}")).json()
    assert (learned["usage_count"], learned["success_rate"]) == (8, 1.0)
