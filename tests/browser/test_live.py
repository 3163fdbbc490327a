"""The page of live figures: it moves by itself, and says when it does not."""

from collections.abc import Callable

import httpx
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.browser.conftest import PHONE, Open
from tests.serve.conftest import Cluster, key_of

NAME = "<img src=x onerror=alert(1)> & hooks"


def call(studio: Cluster, path: str, body: dict) -> dict:
    answer = httpx.post(
        studio.url + path, json=body, headers={"x-api-key": key_of("live")}, timeout=60, trust_env=False
    )
    answer.raise_for_status()
    return answer.json()


# Keeps all that the state has said.
SAID = """
window.said = [];
new MutationObserver(() => said.push(document.querySelector("#state").textContent))
  .observe(document.querySelector("#state"), {childList: true, characterData: true, subtree: true});
"""


def test_the_figures_move_by_themselves_and_say_when_they_do_not(
    open_page: Open, studio: Cluster, shoot: Callable[[Page, str], None]
) -> None:
    page = open_page("/studio/live", language="es-ES", viewport=PHONE)
    expect(page.locator("#state")).to_contain_text("En directo")
    variants = [{"name": "control"}, {"name": "b"}]
    experiment = call(studio, "/ab-test/create", {"name": NAME, "variants": variants})
    event = {"event_id": "e", "unit": "u", "variant": "b", "type": "impression"}
    call(studio, f"/ab-test/{experiment['id']}/events", {"events": [event]})
    row = page.locator("#test-rows tr", has_text=NAME).nth(1)
    expect(row).to_contain_text("b1")
    expect(page.locator("#deployment-rows tr")).to_have_count(5)
    expect(page.locator("#node-rows tr")).to_have_count(1)
    assert page.locator(".plot canvas").count() == 3
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    shoot(page, "live")
    sockets: list[WebSocketRoute] = []

    def through(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    page.route_web_socket("**/ws/metrics*", through)
    page.reload()
    expect(page.locator("#state")).to_contain_text("En directo")
    # It is said for a second, less than a look at the page may take.
    page.evaluate(SAID)
    sockets[0].close()
    page.wait_for_function("said.some((text) => text.includes('Se ha perdido la conexión'))")
    expect(page.locator("#state")).to_contain_text("En directo")
    assert "?last=" in sockets[-1].url
