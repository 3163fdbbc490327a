"""A test from its first line to its conclusion, as somebody without a terminal lives it."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Dialog, Page, expect

from tests.browser.conftest import Open
from tests.integration.experiment_calls import counts
from tests.serve.conftest import Cluster


def test_a_test_is_created_watched_stopped_and_concluded(
    open_page: Open, studio: Cluster, account: str, shoot: Callable[[Page, str], None]
) -> None:
    page = open_page("/studio/experiments/new")
    page.fill("#name", "our <b>hooks</b>")
    page.fill("#variant-1", "statement")
    page.fill("#variant-2", "question")
    page.fill("#content-2", "Ready for your next run?")
    page.click("text=Add a variant")
    expect(page.locator("#variant-3")).to_be_focused()
    page.click("text=Remove variant 3")
    expect(page.locator("#variant-3")).to_have_count(0)
    page.check("text=In ads")
    page.click("summary")
    page.fill("#baseline_rate", "10")
    page.fill("#mde", "20")
    page.press("#mde", "Tab")
    expect(page.locator("#size")).to_contain_text("people are needed")
    page.uncheck("text=Start at once")
    page.click("text=Create")

    expect(page.locator("h1")).to_have_text("our <b>hooks</b>")
    number = page.url.rpartition("/")[2]
    page.click("#do-start")
    expect(page.locator("#now")).to_contain_text("Nobody has seen it yet.")
    with studio.client(account) as client:
        events = [*counts("statement", 700, 60), *counts("question", 700, 130)]
        assert client.post(f"/ab-test/{number}/events", json={"events": events}).status_code == 200
    # Without a reload: the page asks for what changed.
    expect(page.locator("#now h2")).to_contain_text("“question” works better than “statement”")
    expect(page.locator(".pictures img")).to_have_count(3)
    for picture in page.locator(".pictures img").all():
        expect(picture).not_to_have_js_property("naturalWidth", 0)
    shoot(page, "result")

    # The page asks for what changed every five seconds: not between the other's press and ours.
    page.route("**/now?seen=*", lambda route: route.fulfill(status=204))
    with studio.client(account) as client:
        assert client.post(f"/ab-test/{number}/stop").status_code == 200
    asked: list[str] = []

    def agree(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.accept()

    page.on("dialog", agree)
    # Whoever presses a button that somebody else pressed is told so, and sees how it stands.
    page.click("#do-stop")
    expect(page.locator("#now [role=alert]")).to_contain_text("Somebody was quicker")
    page.unroute("**/now?seen=*")
    expect(page.locator("#do-conclude")).to_be_visible()
    page.click("#do-conclude")
    expect(page.locator("#now")).to_contain_text("The result is final.")
    assert [text.partition("?")[0] for text in asked] == ["Stop the test", "Conclude the test"]
    assert page.locator("#now[hx-trigger]").count() == 0

    page.goto("/studio/experiments")
    expect(page.locator("tr", has=page.locator(f"a[href$='{number}']"))).to_contain_text("winner: “question”")
