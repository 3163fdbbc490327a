"""The whole story, as one person lives it: a draft, its versions, a thread, a comparison, a test and its result, the
posts of before, the best times, and a slot in the plan; in both languages, wide and on a phone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PHONE, WIDE, Open
from tests.browser.test_outcomes import export
from tests.integration.experiment_calls import counts
from tests.serve.conftest import Cluster


@dataclass(frozen=True)
class Words:
    """What the person writes, and what the pages say in their language."""

    language: str
    viewport: Any
    draft: str
    long: str
    thread: str
    works_better: str
    final: str
    planned: str


ENGLISH = Words(
    language="en-US",
    viewport=WIDE,
    draft="the repair cafe is back on saturday 14 march, 10am to 1pm. bring toasters, lamps and anything with a plug",
    long=(
        "We counted every street tree in Leeds. It took 40 volunteers and two summers. There are 57,000 of them, and "
        "one in ten is an ash that will not see 2035. The map is free to use for schools and councils. Next year we "
        "count the parks, and we need people for Saturdays. Write to trees@example.org, no experience needed."
    ),
    thread="Post 1 of",
    works_better="works better than",
    final="The result is final.",
    planned="1 post is planned",
)
SPANISH = Words(
    language="es-ES",
    viewport=PHONE,
    draft="el sabado abrimos la panaderia nueva en la calle mayor. hay pan de masa madre desde las 8 y cafe gratis",
    long=(
        "Hemos contado todos los árboles de las calles de Burgos. Lo han hecho 40 voluntarios en dos veranos. Hay "
        "57.000, y uno de cada diez es un olmo que no verá 2035. El mapa es gratis para colegios y ayuntamientos. El "
        "año que viene contamos los parques y necesitamos gente los sábados. Escribid a arboles@example.org."
    ),
    thread="Publicación 1 de",
    works_better="funciona mejor que",
    final="El resultado es definitivo.",
    planned="1 publicación",
)


@pytest.mark.parametrize("words", [ENGLISH, SPANISH], ids=["english, wide", "spanish, phone"])
def test_from_a_draft_to_a_result_and_a_plan(
    open_page: Open,
    studio: Cluster,
    account: str,
    *,
    tmp_path: Path,
    shoot: Callable[[Page, str], None],
    words: Words,
) -> None:
    page = open_page("/", language=words.language, viewport=words.viewport)
    improve(page, words.long, thread=True)
    expect(page.locator(".candidate").first).to_contain_text(words.thread)
    shoot(page, "story-1-thread")

    improve(page, words.draft, thread=False)
    shoot(page, "story-2-candidates")
    page.locator(".candidate a.button").first.click()
    page.click("main form button.primary")
    page.wait_for_selector(".verdict")
    shoot(page, "story-3-compared")

    page.goto("/")
    improve(page, words.draft, thread=False)
    for box in (page.locator("input[name=pick]").first, page.locator("input[name=pick]").last):
        box.check()
    page.click("#test button")
    page.click("#tested a")
    expect(page.locator("#now")).to_be_visible()
    number = page.url.rpartition("/")[2]
    with studio.client(account) as client:
        control, other = (variant["name"] for variant in client.get(f"/ab-test/{number}").json()["variants"])
        events = [*counts(control, 700, 60), *counts(other, 700, 130)]
        assert client.post(f"/ab-test/{number}/events", json={"events": events}).status_code == 200
    expect(page.locator("#now h2")).to_contain_text(words.works_better)
    shoot(page, "story-4-result")
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("#do-stop")
    page.click("#do-conclude")
    expect(page.locator("#now")).to_contain_text(words.final)

    page.goto("/studio/imports")
    page.set_input_files("#file", [export(tmp_path / "posts.csv", 250)])
    page.click("#upload button.primary")
    expect(page.locator("#imports")).to_contain_text("posts.csv", timeout=60_000)
    page.goto("/studio/best-times", wait_until="domcontentloaded", timeout=60_000)
    expect(page.locator("main table").first).to_be_visible()
    shoot(page, "story-5-best-times")
    page.goto("/studio/plan")
    page.fill("#text", words.draft)
    page.click("#add button.primary")
    expect(page.locator("#add [role=status]")).to_contain_text(words.planned)
    shoot(page, "story-6-plan")


def improve(page: Page, draft: str, *, thread: bool) -> None:
    """Ask for versions of a draft and wait for them."""
    page.fill("#draft", draft)
    if not page.locator("#format").is_visible():
        page.click("details.options > summary")
    page.select_option("#format", "thread" if thread else "post")
    with page.expect_response("**/studio/write"):
        page.press("#draft", "Control+Enter")
    page.wait_for_selector("#candidates h2, #result h2")
