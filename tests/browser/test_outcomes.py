"""From a file of X to a post in the plan, as a person goes."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.exports import sentence
from tests.integration.test_import_api import HEADER

HOSTILE = "<img src=x onerror=alert(1)>"


def export(path: Path, n: int) -> Path:
    """A month-like export of n posts, one every twelve hours or so, whose readers are there from 18 h UTC on."""
    draw = random.Random(3)
    rows = [HEADER]
    for number in range(n):
        moment = datetime.now(UTC) - timedelta(days=3, hours=12 * number + draw.uniform(0, 12))
        identity = (int(moment.timestamp() * 1000) - 1_288_834_974_657) << 22
        likes = int(math.exp(3 + 1.2 * (moment.hour >= 18) + draw.gauss(0, 0.4)))
        text = f"{HOSTILE} {sentence(draw)}" if number == 0 else sentence(draw)
        rows.append(f'{identity},{moment:%Y-%m-%d},"{text}",,1000,{likes},{likes}' + ",0" * 10)
    path.write_text("\n".join([*rows, "7,2026-07-14,,,-3" + ",0" * 12]), "utf-8")
    return path


def accessible(page: Page) -> None:
    """Nothing that axe calls serious or worse."""
    found = Axe().run(page).response["violations"]
    assert [one["id"] for one in found if one["impact"] in {"serious", "critical"}] == []


def test_a_file_becomes_a_record_best_hours_and_a_place_in_the_plan(
    open_page: Open, tmp_path: Path, shoot: Callable[[Page, str], None]
) -> None:
    page = open_page("/studio/imports", refusals=(422,))
    broken = tmp_path / "broken.csv"
    broken.write_text("a,b\n1,2\n", "utf-8")
    page.set_input_files("#file", [broken, export(tmp_path / "posts.csv", 250)])
    page.click("#upload button.primary")
    reports = page.locator("#uploads .report")
    expect(reports.nth(0)).to_contain_text("The columns of this file are not known.")
    expect(reports.nth(1)).to_contain_text("1 row was left out", timeout=60_000)
    expect(page.locator("#imports")).to_contain_text("posts.csv")
    accessible(page)
    shoot(page, "imports")

    page.goto("/studio/record")
    expect(page.locator("#days-chart canvas")).to_be_visible()
    expect(page.locator("#posts")).to_contain_text(HOSTILE)
    accessible(page)
    shoot(page, "record")

    page.goto("/studio/best-times", wait_until="domcontentloaded", timeout=60_000)
    expect(page.locator("main")).to_contain_text("The time matters")
    picture = page.locator("img.picture")
    picture.scroll_into_view_if_needed()
    assert picture.evaluate("(picture) => picture.decode().then(() => picture.naturalWidth)") > 0
    accessible(page)
    shoot(page, "best-times")

    page.click("a.button.primary")
    page.fill("#text", f"Our new map {HOSTILE}")
    page.click("#add button.primary")
    expect(page.locator("#add [role=status]")).to_contain_text("1 post is planned")
    page.click("#week p button.plain >> text=the next on")
    expect(page.locator("#week .slot")).to_contain_text(HOSTILE)
    accessible(page)
    shoot(page, "plan")
