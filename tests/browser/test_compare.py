"""Two drafts are compared, a test of both starts, and the audit tells of it."""

from __future__ import annotations

from collections.abc import Callable

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import PHONE, Open

SERIOUS = {"serious", "critical"}


def accessible(page: Page) -> None:
    found = Axe().run(page).response["violations"]
    assert [each["id"] for each in found if each["impact"] in SERIOUS] == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_two_drafts_are_compared_and_a_test_of_both_is_started(
    open_page: Open, shoot: Callable[[Page, str], None]
) -> None:
    page = open_page("/studio/compare", language="es-ES", viewport=PHONE)
    page.fill("#a", "We counted every street tree in Leeds. The map is free to use.")
    page.fill("#b", "TREES!!! #trees #leeds #map #free <b>follow us</b>")
    page.click("text=Intercambiar")
    assert page.input_value("#a").startswith("TREES")
    page.click("button.primary")
    page.wait_for_selector(".verdict")
    # English posts of one author: no verdict is right often enough, and that is said.
    assert "solo una prueba puede decirlo" in page.inner_text("#verdict")
    assert page.locator("#comparison .post").count() == 2
    assert "<b>follow us</b>" in page.inner_text("#comparison")
    accessible(page)
    shoot(page, "compared")
    page.click("text=Empezar una prueba con los dos")
    page.wait_for_selector("#test a")
    assert page.get_attribute("#test a", "href").startswith("/studio/experiments/")  # type: ignore[union-attr]
    assert page.locator("text=Empezar una prueba con los dos").count() == 0
    page.fill("#a", "Abrimos un café en Lisboa el jueves y invita la casa.")
    page.fill("#b", "El jueves abrimos nuestro café en Lisboa. ¡Venid!")
    page.click("#main form button.primary >> nth=0")
    page.wait_for_selector("text=En este idioma no se puede decir")
    for path in ("/studio/audit", "/studio/models", "/studio/models/encoder", "/studio/settings"):
        page.goto(path)
        accessible(page)
        shoot(page, path.rpartition("/")[2])
        if path.endswith("audit"):
            assert "puesta en marcha" in page.inner_text("main")
