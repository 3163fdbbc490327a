"""A real browser on the real product: one cluster, a page for each test, and what the page said and asked for."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.serve.conftest import START_S, STOP_S, Cluster, key_of, running

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
SCREENSHOTS = Path(__file__).parent / "screenshots"
# Without these a browser asks its maker's servers, and looks for updates.
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)
# An account for each file of tests, so that none sees what another one brought.
ACCOUNTS = ("default", *sorted(path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")))
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A walk through the pages takes longer than a test of one thing."""
    for item in items:
        if "browser" in item.path.parts and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(START_S + 2 * STOP_S))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no browser: apt-get install chromium")
    # Pages that watch something look every five seconds.
    expect.set_options(timeout=20_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def studio(browser: Browser) -> Iterator[Cluster]:
    """The product as `make serve` starts it, with an API key. It asks for the browser so that none means no cluster."""
    assert browser.is_connected()
    folder = Path(tempfile.mkdtemp(prefix="mb", dir="/tmp"))
    yield from running(folder / "studio", optimized=True, accounts=ACCOUNTS)
    shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Seen:
    """What a page logged as an error, and which other hosts it asked."""

    host: str
    refusals: tuple[int, ...] = ()
    errors: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def on_console(self, message: ConsoleMessage) -> None:
        """An error or a warning of the console; of refusals only those that the test expects are none."""
        refused = any(f"status of {status} " in message.text for status in self.refusals)
        if message.type in {"error", "warning"} and not refused:
            self.errors.append(message.text)

    def on_request(self, request: Request) -> None:
        """A request to another host."""
        if not request.url.startswith((self.host, "data:", "blob:")):
            self.elsewhere.append(request.url)


Open = Callable[..., Page]


@pytest.fixture(scope="module")
def account(request: pytest.FixtureRequest) -> str:
    """Whose pages the tests of a file open."""
    return request.path.stem.removeprefix("test_")


@pytest.fixture
def open_page(browser: Browser, studio: Cluster, account: str) -> Iterator[Open]:
    """Opens a page in a browser of its own, signed in unless told otherwise; a test fails by what the console says."""
    contexts: list[tuple[Any, Seen]] = []

    def opened(
        path: str = "/",
        *,
        language: str = "en-US",
        viewport: Any = WIDE,
        signed_in: bool = True,
        refusals: tuple[int, ...] = (),
    ) -> Page:
        context = browser.new_context(
            base_url=studio.url, locale=language, viewport=viewport, permissions=["clipboard-read", "clipboard-write"]
        )
        context.set_default_timeout(20_000)
        seen = Seen(studio.url, refusals)
        contexts.append((context, seen))
        page = context.new_page()
        page.on("console", seen.on_console)
        page.on("pageerror", lambda error: seen.errors.append(str(error)))
        page.on("request", seen.on_request)
        if signed_in:
            page.goto("/sign-in")
            page.fill("#key", key_of(account))
            page.press("#key", "Enter")
            page.wait_for_url("**/")
        page.goto(path)
        return page

    yield opened
    for context, seen in contexts:
        context.close()
        assert seen.errors == []
        assert seen.elsewhere == []


@pytest.fixture
def shoot(request: pytest.FixtureRequest) -> Callable[[Page, str], None]:
    """Write a picture of the whole page beside the tests, for people to look at."""

    def shoot(page: Page, name: str) -> None:
        SCREENSHOTS.mkdir(exist_ok=True)
        page.evaluate("for (const picture of document.images) picture.loading = 'eager'")
        page.evaluate("Promise.allSettled([...document.images].map((picture) => picture.decode()))")
        test = re.sub(r"\W+", "-", request.node.name.removeprefix("test_")).strip("-")
        page.screenshot(path=SCREENSHOTS / f"{name}--{test}.png", full_page=True)

    return shoot
