"""What holds for every page: in both languages, wide and narrow, for eyes, keyboards and screen readers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import PHONE, WIDE, Open

PAGES = (
    *("/", "/studio/compare", "/studio/plan", "/studio/experiments", "/studio/experiments/new", "/studio/templates"),
    *("/studio/record", "/studio/imports", "/studio/best-times", "/studio/audience", "/studio/track-record"),
    *("/studio/live", "/studio/audit", "/studio/models", "/studio/settings"),
)
GRAVE = {"serious", "critical"}


@pytest.mark.parametrize(
    ("language", "viewport", "scheme"),
    [("en-US", WIDE, "light"), ("es-ES", PHONE, "dark")],
    ids=["english, wide, light", "spanish, phone, dark"],
)
def test_every_page_is_there_in_its_language_fits_and_hides_nothing_from_a_screen_reader(
    open_page: Open, shoot: Callable[[Page, str], None], language: str, viewport: Any, scheme: Any
) -> None:
    page = open_page("/", language=language, viewport=viewport)
    page.emulate_media(color_scheme=scheme)
    titles = set()
    for path in PAGES:
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 200, path
        assert page.get_attribute("html", "lang") == language[:2], path
        assert page.locator("h1").count() == 1, path
        titles.add(page.title())
        found = Axe().run(page).response["violations"]
        assert [(path, one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in GRAVE] == []
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (path, "scrolls sideways")
        shoot(page, path.strip("/").replace("/", "-") or "write")
    assert len(titles) == len(PAGES), "every page has a title of its own"


def test_a_language_chosen_by_hand_stays(open_page: Open) -> None:
    page = open_page("/studio/plan", language="en-US")
    assert page.get_attribute("html", "lang") == "en"
    with page.expect_navigation():
        page.get_by_role("button", name="Español").click()
    page.goto("/studio/experiments")
    assert page.get_attribute("html", "lang") == "es"


def test_the_menu_of_a_narrow_screen_opens_by_keyboard(open_page: Open) -> None:
    page = open_page("/", viewport=PHONE)
    menu = page.get_by_role("button", name="Menu")
    assert not page.locator("#nav").is_visible()
    menu.focus()
    page.keyboard.press("Enter")
    assert page.locator("#nav").is_visible()
    assert menu.get_attribute("aria-expanded") == "true"
