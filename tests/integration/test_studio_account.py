"""The pages of settings, audit, models and comparison, as far as they need no model."""

from __future__ import annotations

import re
from types import SimpleNamespace

import httpx
import pytest

from deployments.http.gate import Gate
from deployments.studio.compare import different
from deployments.studio.models import MODELS
from store.cache import Cache
from tests.integration.conftest import caller
from tests.integration.experiment_calls import created

SPANISH = {"accept-language": "es"}
HOSTILE = """"><img src=x onerror=alert(1)>{{ 7 * 7 }}'--"""


@pytest.fixture
def gate(gate: Gate, cache: Cache) -> Gate:
    """With a cache, and stages that have answered nothing yet."""
    answers = gate.app.state.front.answers  # type: ignore[attr-defined]  # FastAPI's
    answers.cache = cache
    answers.stages = SimpleNamespace(model_versions={}, wording_version=None)
    return gate


async def shown(client: httpx.AsyncClient, path: str, **headers: str) -> str:
    answer = await client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.text


async def test_a_setting_that_is_refused_is_named_beside_its_field_and_nothing_is_saved(
    client: httpx.AsyncClient,
) -> None:
    form = {"length_limit": "281", "time_zone": HOSTILE, "query_retention_days": "0"}
    answer = await client.post("/studio/settings", data=form)

    assert answer.status_code == 422
    for name in form:
        assert f'id="{name}-error"' in answer.text
    assert "<img" not in answer.text
    assert "&lt;img" in answer.text
    assert (await client.get("/account")).json()["length_limit"] == 280


async def test_settings_that_are_saved_are_shown_and_days_may_be_left_empty(client: httpx.AsyncClient) -> None:
    form = {"length_limit": "4000", "time_zone": "Europe/Madrid", "query_retention_days": ""}
    answer = await client.post("/studio/settings", data=form, headers=SPANISH)

    assert answer.status_code == 200
    assert "Guardado" in answer.text
    assert (await client.get("/account")).json() == {
        "length_limit": 4000,
        "time_zone": "Europe/Madrid",
        "query_retention_days": None,
    }
    page = await shown(client, "/studio/settings")
    assert '<option value="4000" selected>' in page
    assert "/metrics/export?format=parquet" in page


async def test_an_account_is_deleted_only_where_its_name_is_typed(client: httpx.AsyncClient) -> None:
    await created(client)
    for typed in ("", "acme", "DEFAULT"):
        answer = await client.post("/studio/settings/delete", data={"confirm": typed})
        assert answer.status_code == 422
        assert "nothing was deleted" in answer.text
    assert len((await client.get("/ab-test")).json()["experiments"]) == 1

    answer = await client.post("/studio/settings/delete", data={"confirm": "default"})

    assert answer.status_code == 200
    assert "<code>experiments</code>" in answer.text
    assert (await client.get("/ab-test")).json()["experiments"] == []
    assert "deletion" in await shown(client, "/studio/audit")


async def test_the_audit_shows_names_as_text_filters_and_pages(gate: Gate, client: httpx.AsyncClient) -> None:
    assert "Nothing was changed yet" in await shown(client, "/studio/audit")
    await created(client, name=HOSTILE)
    for limit in (4000, 280) * 26:
        await client.put("/account", json={"length_limit": limit})

    page = await shown(client, "/studio/audit")
    assert "280 → " in page
    older = re.search(r'href="(/studio/audit\?before=\d+)"', page)
    assert older is not None
    last = await shown(client, older[1])
    assert "&lt;img src=x" in last
    assert "<img src=x" not in last
    assert "{{ 7 * 7 }}" in last
    filtered = await shown(client, "/studio/audit?kind=experiment&action=started", **SPANISH)
    assert "puesta en marcha" in filtered
    assert "kind=experiment" in filtered
    assert "Longitud" not in filtered
    assert "Nothing of that kind" in await shown(client, "/studio/audit?kind=template")
    assert (await client.get("/studio/audit?kind=stolen")).status_code == 422
    async with caller(gate, "acme") as other:
        assert "Nothing was changed yet" in await shown(other, "/studio/audit")


async def test_every_model_has_a_line_and_a_card_whose_tables_scroll(client: httpx.AsyncClient) -> None:
    names = {path.parent.name for path in MODELS.glob("*/CARD.md")}
    page = await shown(client, "/studio/models", **SPANISH)
    assert set(re.findall(r'href="/studio/models/(\w+)"', page)) == names
    for name in names:
        card = await shown(client, f"/studio/models/{name}")
        tables = card.count("<table>")
        assert card.count('<div class="wide" tabindex="0" role="region" aria-label="Table ') == tables
        assert "style=" not in card
        assert set(re.findall(r'href="(/studio/models/\w+)"', card)) <= {f"/studio/models/{each}" for each in names}


@pytest.mark.parametrize("name", ["..", "%2e%2e", "..%2f..%2fREADME", "nothing", "encoder%00", "metadata.json"])
async def test_only_models_that_are_there_have_a_card(client: httpx.AsyncClient, name: str) -> None:
    assert (await client.get(f"/studio/models/{name}")).status_code == 404


async def test_html_in_a_card_is_text() -> None:
    from markdown_it import MarkdownIt

    from deployments.studio.models import _arranged

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    said = "# T\n\n<script>alert(1)</script> [x](javascript:alert(1)) [y](../../../etc/passwd) [z](../judge/CARD.md)"
    body = markdown.renderer.render(_arranged(markdown.parse(said), "encoder"), markdown.options, {})

    assert "<script" not in body
    assert 'href="javascript' not in body
    assert re.findall('href="([^"]*)"', body) == ["/studio/models/judge"]


async def test_the_place_to_compare_says_what_to_do_and_keeps_what_an_address_brings(
    client: httpx.AsyncClient,
) -> None:
    assert "press Compare" in await shown(client, "/studio/compare")
    half = (await client.get("/studio/compare", params={"a": HOSTILE})).text
    assert "&lt;img src=x" in half
    assert "<img src=x" not in half


async def test_a_test_of_two_drafts_starts_and_is_led_to_and_its_name_holds_no_text_of_them(
    client: httpx.AsyncClient,
) -> None:
    drafts = {"a": "One\r\nway", "b": HOSTILE, "channel": "ads"}
    answer = await client.post("/studio/compare/test", data=drafts)

    assert answer.status_code == 200, answer.text
    assert answer.headers["hx-retarget"] == "#test-form"
    (experiment,) = (await client.get("/ab-test")).json()["experiments"]
    assert f'href="/studio/experiments/{experiment["id"]}"' in answer.text
    assert [each["content"] for each in experiment["variants"]] == ["One\nway", HOSTILE]
    assert experiment["plan"]["channel"] == "ads"
    assert "img" not in experiment["name"]
    refused = await client.post("/studio/compare/test", data={"a": "", "b": "x"})
    assert refused.status_code == 422
    assert "was not started" in refused.text
    assert "hx-retarget" not in refused.headers


@pytest.mark.parametrize(
    ("a", "b", "of_a", "of_b"),
    [
        ("We open in Lisbon.", "We open in Porto.", [("We open in ", True), ("Lisbon.", False)], None),
        ("same", "same", [("same", True)], [("same", True)]),
        ("", "new", [], [("new", False)]),
        ("all other", "not this", [("all other", False)], [("not this", False)]),
        ("a  b\nc", "a  b\nd", [("a  b\n", True), ("c", False)], None),
    ],
)
def test_what_two_drafts_have_in_common_is_told_apart_and_no_character_is_lost(
    a: str, b: str, of_a: list[tuple[str, bool]], of_b: list[tuple[str, bool]] | None
) -> None:
    first, second = different(a, b)

    assert list(first) == of_a
    assert of_b is None or list(second) == of_b
    assert ("".join(piece for piece, _ in first), "".join(piece for piece, _ in second)) == (a, b)


async def test_an_address_without_a_page_leads_a_reader_back_and_a_program_gets_a_problem(
    client: httpx.AsyncClient,
) -> None:
    page = await client.get("/studio/nothing/here", headers=SPANISH | {"accept": "text/html"})
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "Esta página no existe" in page.text
    assert 'href="/"' in page.text
    assert (await client.get("/studio/nothing")).headers["content-type"] == "application/problem+json"


async def test_a_refused_setting_is_said_in_the_language_of_the_reader(client: httpx.AsyncClient) -> None:
    form = {"length_limit": "280", "time_zone": "Mars", "query_retention_days": "0"}
    page = (await client.post("/studio/settings", data=form, headers=SPANISH)).text
    assert "No existe esa zona horaria" in page
    assert "Escribe un número entero del 1 al 3650" in page


async def test_an_account_on_utc_can_take_the_time_zone_of_the_browser(client: httpx.AsyncClient) -> None:
    assert 'id="browser-zone"' in await shown(client, "/studio/settings")
    refused = await client.post("/studio/settings/zone", data={"time_zone": "Mars"})
    assert refused.headers["hx-redirect"] == "/studio/settings"
    taken = await client.post("/studio/settings/zone", data={"time_zone": "Europe/Madrid"})
    assert taken.headers["hx-refresh"] == "true"
    assert (await client.get("/account")).json()["time_zone"] == "Europe/Madrid"
    assert 'id="browser-zone"' not in await shown(client, "/studio/settings")


async def test_a_key_is_shown_once_where_it_is_made_and_ends_where_it_is_revoked(client: httpx.AsyncClient) -> None:
    for form in ({"name": "", "scope": "read"}, {"name": "x", "scope": "read", "days": "many"}, {"scope": HOSTILE}):
        answer = await client.post("/studio/keys", data=form)
        assert answer.status_code == 422
        assert "mm_" not in answer.text
    made = await client.post("/studio/keys", data={"name": HOSTILE, "scope": "write", "days": "30"}, headers=SPANISH)
    found = re.search(r"<code>(mm_([0-9a-f]{12})_[\w-]{43})</code>", made.text)
    assert found is not None
    assert "lee y escribe" in made.text
    assert "<img" not in made.text
    assert (await client.get("/account", headers={"x-api-key": found[1]})).status_code == 200
    assert found[1] not in await shown(client, "/studio/settings")

    answer = await client.delete(f"/studio/keys/{found[2]}")

    assert "revoked" in answer.text
    assert (await client.get("/account", headers={"x-api-key": found[1]})).status_code == 401
    assert (await client.delete(f"/studio/keys/{found[2]}")).status_code == 422


async def test_who_is_no_admin_is_shown_neither_keys_nor_deletion(gate: Gate, client: httpx.AsyncClient) -> None:
    key = (await client.post("/keys", json={"name": "x", "scope": "write"})).json()["key"]
    page = await client.get("/studio/settings", headers={"x-api-key": key})
    assert page.status_code == 200
    assert "/studio/keys" not in page.text
    assert "/studio/settings/delete" not in page.text
