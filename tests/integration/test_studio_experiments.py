"""The pages of experiments: what the API says in words, forms that name what is wrong, and names as text."""

from __future__ import annotations

import json
import re
from datetime import datetime, time
from html import unescape
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import httpx
import pytest

from deployments.http.gate import Gate
from tests.integration.conftest import caller
from tests.integration.experiment_calls import counts, created, told

HOSTILE = "<img src=x onerror=alert(1)>{{7*7}}"
JSON = {"content-type": "application/json"}
ENDS = ("start", "end")
SPANISH = {"accept-language": "es"}
FORM = {
    "name": "hooks",
    "variant": ["a", "b"],
    "content": ["one", "two"],
    "template_id": ["", ""],
    "where": "ads",
    "start": "1",
}


async def text(client: httpx.AsyncClient, path: str, **options: Any) -> str:
    answer = await client.get(path, **options)
    assert answer.status_code == 200, answer.text
    return unescape(re.sub(r"\s+", " ", answer.text))


@pytest.mark.parametrize("rest", ["", "/now"])
async def test_an_experiment_of_another_account_is_said_not_to_be_there(
    client: httpx.AsyncClient, gate: Gate, rest: str
) -> None:
    experiment = await created(client)
    async with caller(gate, "acme") as stranger:
        answer = await stranger.get(f"/studio/experiments/{experiment['id']}{rest}")
        assert answer.status_code == 404
        assert "no such experiment in this account" in answer.text
        assert (
            await stranger.post(f"/studio/experiments/{experiment['id']}/stop", data={"version": 1})
        ).status_code == 404
    assert (await client.post(f"/studio/experiments/{experiment['id']}/burn")).status_code == 404


async def test_an_empty_list_leads_on(client: httpx.AsyncClient) -> None:
    page = await text(client, "/studio/experiments")
    assert "No experiment yet." in page
    assert 'href="/studio/experiments/new"' in page
    assert "Aún no hay experimentos." in await text(client, "/studio/experiments", headers=SPANISH)


async def test_a_refused_form_names_the_field_and_keeps_what_was_typed(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/studio/experiments",
        data=FORM | {"name": "", "variant": ["a", ""], "content": [HOSTILE, "two"], "mde": "much"},
    )

    assert answer.status_code == 422
    for field in ("name-wrong", "variant-2-wrong", "mde-wrong"):
        assert f'id="{field}"' in answer.text
    assert HOSTILE not in answer.text
    assert HOSTILE in unescape(answer.text)
    assert (await client.get("/ab-test")).json()["experiments"] == []


async def test_a_variant_can_be_added_and_taken_away_and_nothing_typed_is_lost(client: httpx.AsyncClient) -> None:
    more = (await client.post("/studio/experiments/form", data=FORM | {"more": "1"})).text
    assert more.count('name="variant"') == 3
    three = FORM | {"variant": ["a", "b", "c"], "content": ["1", "2", "3"], "template_id": ["", "", ""]}
    less = (await client.post("/studio/experiments/form", data=three | {"drop": "1"})).text
    assert re.findall(r'name="variant"[^>]* value="(\w)"', less) == ["a", "c"]


async def test_the_form_creates_what_it_says_and_percents_are_shares(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/studio/experiments", data=FORM | {"baseline_rate": "12,3", "mde": "20", "power": "90", "alpha": "0.01"}
    )

    assert answer.status_code == 204
    experiment = (await client.get(answer.headers["hx-redirect"].replace("/studio/experiments", "/ab-test"))).json()
    plan = experiment["plan"]
    assert [plan[name] for name in ("channel", "baseline_rate", "mde", "power", "alpha")] == [
        "ads",
        0.123,
        0.2,
        0.9,
        0.01,
    ]
    assert [variant["content"] for variant in experiment["variants"]] == ["one", "two"]
    assert experiment["state"] == "running"


async def test_the_needed_people_are_said_before_anything_is_created(client: httpx.AsyncClient) -> None:
    said = (await client.post("/studio/experiments/size", data=FORM | {"baseline_rate": "10", "mde": "20"})).text
    size = await client.post(
        "/ab-test/size",
        json={"name": "n", "variants": [{"name": "a"}, {"name": "b"}], "baseline_rate": 0.1, "mde": 0.2},
    )
    assert f"{size.json()['units_needed']:,} people" in said
    assert "Tell the usual rate" in (await client.post("/studio/experiments/size", data=FORM)).text


async def test_a_result_is_said_in_words_in_both_languages(client: httpx.AsyncClient) -> None:
    experiment = await created(client, channel="ads")
    path = f"/studio/experiments/{experiment['id']}"
    assert "Nobody has seen it yet." in await text(client, path)
    await told(client, experiment, *counts("control", 900, 60), *counts("b", 900, 150))

    page, spanish = await text(client, path), await text(client, path, headers=SPANISH)

    assert "“b” works better than “control”. The difference is real enough to act on." in page
    assert "For one look: p < 0.001." in page
    assert "Para una sola lectura: p < 0,001." in spanish
    assert "«b» funciona mejor que «control»." in spanish
    assert f"/ab-test/{experiment['id']}/lift.svg?language=es" in spanish
    row = await text(client, f"{path}/row")
    assert "winner: “b”" in row
    assert "split as planned" in row


async def test_one_other_variant_is_not_others_and_the_list_says_the_rates(client: httpx.AsyncClient) -> None:
    variants = [{"name": "1. Your text"}, {"name": "b"}]
    experiment = await created(client, variants=variants, channel="ads")
    await told(client, experiment, *counts("1. Your text", 900, 150), *counts("b", 900, 60))

    page = await text(client, f"/studio/experiments/{experiment['id']}")
    row = await text(client, f"/studio/experiments/{experiment['id']}/row")

    assert "Keep “1. Your text”: the other one does worse." in page
    assert "“1. Your text” 16.7% · “b” 6.7%" in row
    assert "1,800 people" in row


@pytest.mark.parametrize("start", [False, True])
@pytest.mark.parametrize("allocation", ["equal", "bandit"])
async def test_the_example_tells_what_its_person_is_given(
    client: httpx.AsyncClient, start: bool, allocation: str
) -> None:
    # Enough of them that the first variant would be wrong for some.
    for _ in range(4):
        variants = [{"name": "it's <a>"}, {"name": "b"}]
        experiment = await created(client, variants=variants, start=start, allocation=allocation)
        page = unescape((await client.get(f"/studio/experiments/{experiment['id']}")).text)
        (unit,) = re.findall(r"/assign\?unit=([\w-]+)'", page)
        (body,) = re.findall(r"-d '(.*)'</pre>", page)
        events = json.loads(body)["events"]
        if not start:
            await client.post(f"/ab-test/{experiment['id']}/start")
        given = (await client.get(f"/ab-test/{experiment['id']}/assign", params={"unit": unit})).json()

        assert [event["type"] for event in events] == ["impression", "engagement"]
        assert {(event["unit"], event["variant"]) for event in events} == {(unit, given["variant"])}
        taken = await client.post(f"/ab-test/{experiment['id']}/events", content=body, headers=JSON)
        assert taken.json()["accepted"] == 2
        results = (await client.get(f"/ab-test/{experiment['id']}/results")).json()
        assert not any("told with" in warning for warning in results["warnings"])


async def test_stop_and_conclude_ask_first(client: httpx.AsyncClient) -> None:
    for experiment in (await created(client), await created(client, design="switchback")):
        path = f"/studio/experiments/{experiment['id']}"
        (stop,) = re.findall(r'id="do-stop".*?hx-confirm="(.*?)"', await text(client, path))
        assert "can never be started again" in stop
        stopped = (await client.post(f"{path}/stop", data={"version": 1})).text
        (conclude,) = re.findall(r'id="do-conclude".*?hx-confirm="(.*?)"', stopped)
        assert "can never be changed" in conclude


async def test_without_a_programmer_the_same_variants_are_posts_in_turns(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"/studio/experiments/new?like={uuid4()}")).status_code == 404
    variants = [{"name": HOSTILE, "content": "one & two"}, {"name": "b", "content": HOSTILE}]
    experiment = await created(client, name="hooks & more", variants=variants)
    page = await text(client, f"/studio/experiments/{experiment['id']}")
    assert "This needs somebody who can program" in page
    (link,) = re.findall(r'href="(/studio/experiments/new\?like=[^"]*)"', page)

    form = (await client.get(link)).text

    assert "<img src=x" not in form
    assert 'value="hooks &amp; more"' in form
    assert re.search(r'value="organic" checked', form)
    assert unescape(form).count(HOSTILE) == 2
    assert "one &amp; two</textarea>" in form


async def test_turns_lie_in_the_waking_hours_of_the_account_and_posts_are_counted(client: httpx.AsyncClient) -> None:
    await client.put("/account", json={"time_zone": "Asia/Tokyo"})
    form = FORM | {"where": "organic"}
    said = (await client.post("/studio/experiments/size", data=form)).text
    # Not from 8 on: that is the UTC day before, and a block lies within one day.
    assert "40 posts: 20 of each variant, up to 2 a day, between 09:00 and 22:00" in said
    refused = await client.post("/studio/experiments", data=form | {"from_hour": "soon"})
    assert refused.status_code == 422
    answer = await client.post("/studio/experiments", data=form)

    experiment = (await client.get(answer.headers["hx-redirect"].replace("/studio/experiments", "/ab-test"))).json()
    assert len(experiment["schedule"]) == 40
    tokyo = ZoneInfo("Asia/Tokyo")
    moments = [datetime.fromisoformat(slot[end]).astimezone(tokyo) for slot in experiment["schedule"] for end in ENDS]
    assert all(time(8) <= moment.time() <= time(22) for moment in moments)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("https://x.com/some_one/status/1234567890123456789?s=20", "1234567890123456789"),
        ("mobile.twitter.com/a/status/17/photo/1", "17"),
        ("https://x.com/i/web/status/18", "18"),
        ("19", "19"),
        ("https://example.com/status/20", "https://example.com/status/20"),
    ],
)
async def test_the_address_of_a_post_is_its_id(client: httpx.AsyncClient, given: str, taken: str) -> None:
    experiment = await created(client, design="switchback")
    post = {"posted_at": "2026-03-02T10:00", "impressions": "100", "likes": "3", "retweets": "1"}
    path = f"/studio/experiments/{experiment['id']}/posts"
    assert "Stored." in (await client.post(path, data=post | {"post_id": given})).text

    await client.post(
        f"/ab-test/{experiment['id']}/posts",
        json={"posts": [{"post_id": taken, "posted_at": "2026-03-02T10:00:00Z", "likes": 3, "retweets": 1}]},
    )

    results = (await client.get(f"/ab-test/{experiment['id']}/results")).json()
    assert results["warnings"] == ["posts in a washout or outside the schedule, not counted: 1"]


async def test_a_broken_split_is_a_warning_and_no_winner(client: httpx.AsyncClient) -> None:
    experiment = await created(client, channel="ads")
    await told(client, experiment, *counts("control", 300, 10), *counts("b", 500, 100))

    page = await text(client, f"/studio/experiments/{experiment['id']}")

    assert "Do not trust this test." in page
    assert "split broken" in page
    assert "works better" not in page


async def test_the_part_that_updates_is_sent_where_something_changed(client: httpx.AsyncClient) -> None:
    experiment = await created(client, channel="ads")
    path = f"/studio/experiments/{experiment['id']}/now"
    (seen,) = re.findall(r"now\?seen=(\w+)", await text(client, path))

    assert (await client.get(path, params={"seen": seen})).status_code == 204
    await told(client, experiment, *counts("b", 3, 1))
    assert (await client.get(path, params={"seen": seen})).status_code == 200


async def test_a_change_of_what_somebody_else_changed_is_said_and_changes_nothing(client: httpx.AsyncClient) -> None:
    experiment = await created(client, start=False)
    path = f"/studio/experiments/{experiment['id']}"
    await client.post(f"/ab-test/{experiment['id']}/start")

    late = await client.post(f"{path}/start", data={"version": experiment["version"]})
    assert "Somebody was quicker" in late.text
    stopped = await client.post(f"{path}/stop", data={"version": 2})
    assert "every 5s" in stopped.text
    concluded = await client.post(f"{path}/conclude", data={"version": 3})
    assert "The result is final." in concluded.text
    assert "every 5s" not in concluded.text


async def test_a_post_of_a_switchback_is_taken_or_its_field_named(client: httpx.AsyncClient) -> None:
    experiment = await created(client, design="switchback")
    path = f"/studio/experiments/{experiment['id']}/posts"
    post = {"post_id": "1", "posted_at": "2026-03-02T10:00", "impressions": "100", "likes": "3", "retweets": "1"}

    for change, field in (({"likes": "many"}, "likes"), ({"posted_at": "2099-01-01T00:00"}, "posted_at")):
        refused = await client.post(path, data=post | change)
        assert refused.status_code == 422
        assert f'id="{field}-wrong"' in refused.text
    assert "Stored." in (await client.post(path, data=post)).text
    assert "Stored." in (await client.post(path, data=post | {"likes": "4"})).text


async def test_names_and_texts_are_text(client: httpx.AsyncClient) -> None:
    variants = [{"name": HOSTILE, "content": HOSTILE}, {"name": "'\"><script>", "content": "{% raw %}"}]
    experiment = await created(client, name=HOSTILE, variants=variants, channel="ads")
    await told(client, experiment, *(one for each in variants for one in counts(each["name"], 40, 9)))

    for path in (
        "/studio/experiments",
        *(f"/studio/experiments/{experiment['id']}{rest}" for rest in ("", "/now", "/row")),
    ):
        page = (await client.get(path)).text
        assert "<img src=x" not in page
        assert "<script>" not in page
        assert "49" not in re.findall(r"alert\(1\)&gt;(\d+)", page)
    given = await client.get("/studio/experiments/new", params={"name": HOSTILE, "content": [HOSTILE, "two"]})
    assert "<img src=x" not in given.text
    assert HOSTILE in unescape(given.text)
