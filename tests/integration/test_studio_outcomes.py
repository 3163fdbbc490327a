"""The studio's pages of what posts achieved, on a real Postgres and without models: words, hostile texts, refusals."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from deployments.audience import compute
from deployments.http.gate import Gate
from deployments.http.ingress import create_api
from deployments.imports import Imports, import_in_thread
from deployments.library import Library
from deployments.own_posts import OwnPosts
from deployments.studio.said import file_in_words, plan_in_words, row_in_words
from deployments.upkeep import Upkeep
from store.cache import Cache
from store.postgres import Store
from tests.integration.conftest import COLLECTOR, KEYS, Front, caller
from tests.integration.test_audience_api import imported as planted_posts
from tests.integration.test_import_api import content, send
from tests.integration.test_plan_api import bring_in

PAGES = ("imports", "record", "best-times", "track-record", "audience", "plan")
INJECTIONS = [one["text"] for one in json.loads((Path(__file__).parents[1] / "injections.json").read_text("utf-8"))]
MARKUP = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{7*7}}{% for x in y %}",
    "=cmd|'/C calc'!A0",
    "</script><svg onload=alert(1)>",
    "' onclick=alert(1) x='",
]
SPANISH = {"accept-language": "es-ES"}
DATA = {"type": "application/json", "id": "days"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
def gate(store: Store, library: Library, cache: Cache, database: str) -> Gate:
    answers = SimpleNamespace(library=library, store=store, cache=cache, own_posts=OwnPosts(store))
    front = Front(answers, Imports(database, import_in_thread), Upkeep(store, None, COLLECTOR))

    async def read(posts: Any, until: datetime) -> Any:
        return compute(posts, until, None)

    front.read_audience = read  # type: ignore[attr-defined]
    gate = Gate(create_api(front), KEYS, lambda *_: None)
    gate.max_requests = 64
    return gate


@pytest.fixture
async def spanish(gate: Gate) -> AsyncIterator[httpx.AsyncClient]:
    async with caller(gate, "default") as client:
        client.headers.update(SPANISH)
        yield client


async def seen(client: httpx.AsyncClient, path: str, status: int = 200) -> str:
    answer = await client.get(path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    return answer.text


class Tags(HTMLParser):
    """Every tag of a page with its attributes, as a browser reads them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def clean(page: str) -> None:
    """No tag may come of a text: none with a handler or a style, no script that is not ours, no picture of nothing."""
    for tag, attributes in Tags(page).tags:
        assert not any(name.startswith("on") or name == "style" for name in attributes), (tag, attributes)
        assert tag not in {"svg", "iframe", "object", "style", "base"}, attributes
        if tag == "script":
            assert str(attributes.get("src", "")).startswith("/studio/static/") or attributes == DATA, attributes
        if tag == "img":
            assert str(attributes["src"]).startswith("/"), attributes


@pytest.mark.parametrize("name", PAGES)
async def test_a_page_without_data_says_the_next_step_in_both_languages(
    client: httpx.AsyncClient, spanish: httpx.AsyncClient, name: str
) -> None:
    english, translated = await seen(client, f"/studio/{name}"), await seen(spanish, f"/studio/{name}")
    for page, language in ((english, "en"), (translated, "es")):
        assert f'<html lang="{language}">' in page
        assert 'class="empty"' in page
        assert 'href="/studio/imports"' in page
        assert page.count("<h1") == 1
        clean(page)
    assert english != translated
    # English after Spanish is English still.
    assert await seen(client, f"/studio/{name}") == english


async def test_posts_are_text_on_every_page_and_another_account_sees_none(
    client: httpx.AsyncClient, gate: Gate
) -> None:
    # A file is UTF-8 text: what neither is never comes in.
    texts = [text.encode("utf-8", "ignore").decode().replace("\0", "") for text in [*MARKUP, *INJECTIONS]]
    rows = [
        f'{n},2026-07-14,"{text.replace(chr(34), chr(34) * 2)}",,1000,{n},0' + ",0" * 10
        for n, text in enumerate(texts, start=1)
    ]
    assert (await send(client, content(*rows), name="<img src=x onerror=alert(1)>.csv")).status_code == 200
    shown = await seen(client, "/studio/record?sort=engagement")
    listed = await seen(client, "/studio/imports")
    assert "&lt;img src=x onerror=alert(1)&gt;.csv" in listed
    for page in (shown, listed, *[await seen(client, f"/studio/{name}") for name in PAGES]):
        clean(page)
    async with caller(gate, "acme") as other:
        for name in PAGES:
            page = await seen(other, f"/studio/{name}")
            assert 'class="empty"' in page
            assert "alert(1)" not in page


async def test_every_post_is_reached_page_by_page_and_can_be_deleted(client: httpx.AsyncClient) -> None:
    rows = [f'{n},2026-07-14,"{MARKUP[0]} {n}",,1000,{n},0' + ",0" * 10 for n in range(1, 41)]
    await send(client, content(*rows))
    first = await seen(client, "/studio/record")
    assert "&lt;script&gt;alert(1)&lt;/script&gt; 40" in first
    (more,) = re.findall(r'hx-get="([^"]+cursor=[^"]+)"', first)
    second = await seen(client, more.replace("&amp;", "&"))
    assert "&lt;/script&gt; 1<" in second
    best = await seen(client, "/studio/record/posts?sort=engagement")
    assert best.index("&gt; 40<") < best.index("&gt; 39<")
    clean(first + second + best)
    deleted = await client.delete("/studio/record/posts/40?sort=engagement")
    assert deleted.status_code == 200
    assert "&gt; 40<" not in deleted.text
    again = await client.delete("/studio/record/posts/40")
    assert (again.status_code, "no longer there" in again.text) == (422, True)


async def test_the_report_of_a_file_is_in_words_and_anything_else_is_refused(
    client: httpx.AsyncClient, spanish: httpx.AsyncClient
) -> None:
    answer = await send(
        client,
        content("1,2026-07-14,ok,,10" + ",0" * 12, ",2026-07-14,x,,10" + ",0" * 12, "3,2026-07-14,x,,-5" + ",0" * 12),
    )
    told = (await client.post("/studio/imports/report", data={"answer": answer.text})).text
    assert "It has no post id." in told
    assert "A count is negative: impressions &#39;-5&#39;." in told
    told = (await spanish.post("/studio/imports/report", data={"answer": answer.text})).text
    assert "No lleva el id" in told
    assert "Se han descartado 2 filas" in told
    refused = await send(client, b"a,b\n1,2\n")
    told = (await spanish.post("/studio/imports/report", data={"answer": refused.text})).text
    assert "No reconocemos las columnas" in told
    for strange in (
        "",
        "[]",
        "null",
        "<b>",
        '{"rows": "<b>", "rejected": 7}',
        '{"detail": "<script>alert(1)</script>"}',
    ):
        answer = await client.post("/studio/imports/report", data={"answer": strange})
        assert answer.status_code == 200, strange
        clean(answer.text)


async def test_an_import_is_deleted_once(client: httpx.AsyncClient) -> None:
    report = (await send(client, content("1,2026-07-14,ok,,10" + ",0" * 12))).json()
    assert report["id"] in await seen(client, "/studio/imports/list")
    deleted = await client.delete(f"/studio/imports/{report['id']}")
    assert (deleted.status_code, "1 post that no other file tells" in deleted.text) == (200, True)
    assert (await client.delete(f"/studio/imports/{report['id']}")).status_code == 422


async def test_links_are_tagged_and_what_is_missing_is_named(client: httpx.AsyncClient) -> None:
    form = {"text": f"{MARKUP[0]} https://example.org/a", "campaign": "spring", "content": "one"}
    tagged = await client.post("/studio/record/tag", data=form)
    assert tagged.status_code == 200
    assert "https://example.org/a?utm_source=x" in tagged.text
    clean(tagged.text)
    refused = await client.post("/studio/record/tag", data=form | {"campaign": ""})
    assert (refused.status_code, "Campaign" in refused.text) == (422, True)
    assert "No visits" in await seen(client, "/studio/record/visits?content=%2F..%2F<b>")


async def test_best_hours_are_in_words_where_there_is_evidence(client: httpx.AsyncClient, store: Store) -> None:
    few = await seen(client, "/studio/best-times")
    assert "Not enough yet: 0 of 25 posts." in few
    assert "best-times.svg" not in few
    await bring_in(store, 600)
    page = await seen(client, "/studio/best-times")
    assert "The time matters" in page
    assert re.search(r"(Mon|Tues|Wednes|Thurs|Fri)day, 1[78]:00", page)
    assert 'src="/audience/best-times.svg?language=en"' in page
    assert page.count("<tr>") > 24


async def test_the_track_record_says_how_many_are_missing(
    client: httpx.AsyncClient, spanish: httpx.AsyncClient, store: Store
) -> None:
    await bring_in(store, 60)
    page = await seen(client, "/studio/track-record?basis=nonsense")
    assert "Not enough yet: 0 of 25 posts." in page
    assert "a backtest on your 60 posts" in page
    assert "This takes five posts with imported impressions" in page
    assert "Hacen falta cinco publicaciones" in await seen(spanish, "/studio/track-record")


async def test_segments_are_read_shown_and_their_names_quoted(client: httpx.AsyncClient, store: Store) -> None:
    assert "Nothing was read yet" in await seen(client, "/studio/audience")
    await planted_posts(store, 300)
    answer = await client.post("/studio/audience-refresh")
    assert answer.status_code == 200
    names = re.findall(r'href="/studio/audience/([^"]+)"', answer.text)
    assert names
    page = await seen(client, f"/studio/audience/{names[0]}")
    assert "What readers do" in page
    for name in ("none", "trends", "best-times", "%3Cscript%3Ealert(1)%3C%2Fscript%3E", "..%2F..%2Faccount", "%00"):
        page = await seen(client, f"/studio/audience/{name}", 404)
        assert "There is no such group" in page
        clean(page)


async def test_a_segment_with_a_hostile_name_is_text(client: httpx.AsyncClient, store: Store) -> None:
    await planted_posts(store, 300)
    assert (await client.post("/audience/refresh")).status_code == 200
    hostile = '"><img src=x onerror=alert(1)>?#&'
    async with store._transaction() as connection:
        await connection.execute(
            "UPDATE audience_analysis SET audience_segment = $1 WHERE id = (SELECT min(id) FROM audience_analysis)",
            hostile,
        )
    page = await seen(client, "/studio/audience")
    clean(page)
    (quoted,) = [name for name in re.findall(r'href="/studio/audience/([^"]+)"', page) if "img" in name]
    segment = await seen(client, f"/studio/audience/{quoted}")
    assert "&gt;&lt;img src=x" in segment
    clean(segment)


async def test_posts_are_planned_moved_changed_and_removed(
    client: httpx.AsyncClient, spanish: httpx.AsyncClient
) -> None:
    answer = await client.post("/studio/plan", data={"text": f"{MARKUP[1]}\n---\nsecond", "when": "choose"})
    assert answer.status_code == 200
    assert answer.headers["hx-trigger"] == "planned"
    assert "2 posts are planned:" in answer.text
    slots = (await client.get("/plan")).json()["slots"]
    assert {slot["text"] for slot in slots} == {MARKUP[1], "second"}
    week = datetime.fromisoformat(slots[0]["at"]).date().isoformat()
    page = await seen(client, f"/studio/plan/week?week={week}")
    assert "&#34;&gt;&lt;img src=x onerror=alert(1)&gt;" in page
    clean(page)
    path = f"/studio/plan/slots/{slots[0]['id']}"
    assert slots[0]["text"].split(">")[0][1:] in (await seen(client, path)).replace("&#34;", '"')
    at = (datetime.fromisoformat(slots[0]["at"]) + timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M")
    changed = await client.put(path, content=f"text=better&at={at}", headers=FORM)
    assert (changed.status_code, "Saved" in changed.text) == (200, True)
    moved = {slot["id"]: slot for slot in (await client.get("/plan")).json()["slots"]}[slots[0]["id"]]
    assert (moved["text"], moved["at"][:16]) == ("better", at)
    crowded = await spanish.put(path, content=f"text=better&at={slots[1]['at'][:16]}", headers=FORM)
    assert (crowded.status_code, "a menos de 30 minutos" in crowded.text) == (422, True)
    assert (await client.delete(path)).status_code == 200
    assert len((await client.get("/plan")).json()["slots"]) == 1
    assert "no longer in the plan" in await seen(client, path, 404)


async def test_between_posts_of_other_minutes_the_moment_itself_counts(client: httpx.AsyncClient) -> None:
    day = (datetime.now(UTC) + timedelta(days=2)).date()
    for clock in ("10:15", "11:15", "10:45"):
        form = {"text": f"at {clock}", "when": "at", "at": f"{day}T{clock}"}
        assert (await client.post("/studio/plan", data=form)).status_code == 200, clock
    slots = (await client.get("/plan")).json()["slots"]
    assert [slot["text"] for slot in slots] == ["at 10:15", "at 10:45", "at 11:15"]
    assert [slot["local"][11:16] for slot in slots] == ["10:15", "10:45", "11:15"]
    taken = await client.post("/studio/plan", data=form | {"at": f"{day}T11:00"})
    assert (taken.status_code, "less than 30 minutes" in taken.text) == (422, True)
    assert len((await client.get("/plan")).json()["slots"]) == 3


async def test_a_post_stands_at_the_minute_that_was_named_in_the_accounts_zone(client: httpx.AsyncClient) -> None:
    await client.put("/account", json={"time_zone": "America/New_York"})
    day = (datetime.now(UTC) + timedelta(days=2)).date()
    form = {"text": "at ten past nine", "when": "at", "at": f"{day}T09:10"}
    assert (await client.post("/studio/plan", data=form)).status_code == 200
    (slot,) = (await client.get("/plan")).json()["slots"]
    assert slot["local"][:16] == f"{day}T09:10"
    again = await client.post("/studio/plan", data=form)
    assert (again.status_code, "less than 30 minutes" in again.text) == (422, True)
    assert len((await client.get("/plan")).json()["slots"]) == 1


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"text": "", "when": "choose"}, "Write something first."),
        ({"text": "x" * 281, "when": "choose"}, "281 characters as X counts, and you may post 280. Shorten it."),
        ({"text": "a", "when": "at", "at": ""}, "Choose a day and a time."),
        ({"text": "a", "when": "at", "at": "2020-01-01T10:00"}, "This time is over"),
        ({"text": "a", "when": "at", "at": "9999-99-99T10:00"}, "Choose a day and a time."),
        ({"text": "a\n---\nb", "when": "at", "at": "2090-01-01T10:00"}, "Only one post at a time"),
        ({"text": "a", "quiet_from": "09:00", "quiet_to": "09:00"}, "Quiet hours must begin"),
        ({"text": "a", "to": "2020-01-01"}, "This time is over"),
        ({"text": "a", "spacing_hours": "900"}, "must be"),
    ],
)
async def test_a_form_that_cannot_be_planned_says_why_and_keeps_the_text(
    client: httpx.AsyncClient, form: dict[str, str], words: str
) -> None:
    answer = await client.post("/studio/plan", data=form)
    assert answer.status_code == 422
    assert words in answer.text
    assert 'aria-invalid="true"' in answer.text or words == "must be"
    assert form["text"].split("\n")[0] in answer.text
    assert (await client.get("/plan")).json()["slots"] == []


async def test_a_post_without_room_is_named_and_stays_in_the_form(client: httpx.AsyncClient) -> None:
    day = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    form = {"text": "\n---\n".join(f"post {n}" for n in range(5)), "from": day, "to": day, "spacing_hours": "10"}
    answer = await client.post("/studio/plan", data=form)
    assert answer.status_code == 200
    assert "got no time: what is planned already" in answer.text
    assert re.search(r"post \d</textarea>", answer.text)


@pytest.mark.parametrize("week", ["9999-12-31", "0001-01-01", "nonsense", "2026-02-30", "<script>"])
async def test_a_week_that_is_none_is_the_present_one(client: httpx.AsyncClient, week: str) -> None:
    assert "today" in await seen(client, f"/studio/plan/week?week={week}")


def test_a_file_that_comes_too_slowly_or_beside_too_many_is_told_in_the_users_language() -> None:
    many = file_in_words("More than 2 imports and exports of this account at once.", "es")
    assert many[0] == "Ya se están leyendo o escribiendo 2 archivos de esta cuenta."
    slow = {"Nothing of the body came for 20 seconds.", "The body came slower than 8 KiB a second."}
    assert {file_in_words(said, "en")[0] for said in slow} == {"The file came too slowly."}


def test_what_is_said_in_unknown_words_stays_as_it_is() -> None:
    assert row_in_words("something new", "es") == "something new"
    assert file_in_words("something new", "es") == ("something new", "")
    assert plan_in_words("something new", "es") == "something new"
