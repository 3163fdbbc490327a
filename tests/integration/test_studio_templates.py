"""The pages of the library: lists, forms that name what is wrong, and what a template achieved."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import httpx
import pytest

from deployments.http.gate import Gate
from store.postgres import Store
from store.templates import Reading
from tests.integration.conftest import caller, save_metrics

TEMPLATE = {"name": "ours", "type": "announcement", "language": "en", "objective": "awareness", "tone": "bold",
            "intent": "announce", "content": "{It is here|New}: {topic}."}  # fmt: skip
HOSTILE = "<svg onload=alert(1)>"


async def added(client: httpx.AsyncClient, **fields: str) -> str:
    answer = await client.post("/studio/templates", data=TEMPLATE | fields)
    assert answer.status_code == 204, answer.text
    return answer.headers["hx-redirect"]


@pytest.mark.parametrize("rest", ["", "/edit"])
async def test_a_template_of_another_account_is_said_not_to_be_there(
    client: httpx.AsyncClient, gate: Gate, rest: str
) -> None:
    path = await added(client)
    async with caller(gate, "acme") as stranger:
        assert (await stranger.get(path + rest)).status_code == 404
        assert (await stranger.post(f"{path}/archive")).status_code == 404
    assert (await client.get("/studio/templates/0" + rest)).status_code == 404


async def test_a_list_without_any_leads_on(client: httpx.AsyncClient) -> None:
    page = (await client.get("/studio/templates?origin=own")).text
    assert "No template is like that." in page
    assert 'href="/studio/templates/new"' in page


@pytest.mark.parametrize(("field", "value"), [("content", "{nonsense}"), ("content", "{a.b}"), ("name", "")])
async def test_a_refused_form_names_the_field_and_keeps_what_was_typed(
    client: httpx.AsyncClient, field: str, value: str
) -> None:
    answer = await client.post("/studio/templates", data=TEMPLATE | {field: value, "type": HOSTILE})

    assert answer.status_code == 422
    assert f'id="{field}-wrong"' in answer.text
    assert HOSTILE not in answer.text
    assert HOSTILE in unescape(answer.text)


async def test_a_name_that_is_taken_is_said_beside_the_name(client: httpx.AsyncClient) -> None:
    await added(client)
    assert 'id="name-wrong"' in (await client.post("/studio/templates", data=TEMPLATE)).text


async def test_a_change_of_what_was_changed_in_between_is_said(client: httpx.AsyncClient) -> None:
    path = await added(client)
    assert (await client.post(path, data=TEMPLATE | {"tone": "witty", "version": "1"})).status_code == 204
    late = await client.post(path, data=TEMPLATE | {"version": "1"})
    assert late.status_code == 422
    assert "changed this template in between" in late.text


async def test_an_archived_template_is_listed_on_demand_and_can_be_copied(
    client: httpx.AsyncClient,
) -> None:
    path = await added(client)
    assert (await client.post(f"{path}/archive")).headers["hx-redirect"] == path

    assert "ours" not in (await client.get("/studio/templates")).text
    assert "ours" in (await client.get("/studio/templates?archived=true")).text
    page = (await client.get(path, headers={"accept-language": "es"})).text
    assert "Ya no se escribe nada con ella" in page
    copy = (await client.get("/studio/templates/new", params={"from": path.rpartition("/")[2]})).text
    assert "{It is here|New}: {topic}." in unescape(copy)


async def test_what_a_template_achieved_is_told_with_its_range_and_without_a_base_it_says_so(
    client: httpx.AsyncClient, store: Store
) -> None:
    path = await added(client)
    assert "has an outcome yet" in (await client.get(path)).text
    now = datetime.now(UTC)
    number = int(path.rpartition("/")[2])
    readings = [
        Reading(
            account_id="default",
            post_id=str(age),
            template_id=number,
            impressions=1000,
            engagements=40 + age,
            retweets=None,
            likes=None,
            captured_at=now - timedelta(days=age),
        )
        for age in range(1, 6)
    ]
    await save_metrics(store, readings)
    page = unescape(re.sub(r"\s+", " ", (await client.get(path)).text))

    assert "5 posts · 4.30% of the impressions engaged" in page
    assert "No comparison: the span before it has no posts with impressions." in page
    assert page.count('class="interval"') == 5
