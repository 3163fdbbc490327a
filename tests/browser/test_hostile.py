"""Drafts, imports and names of strangers are text on every page: nothing of them runs, loads or hides anything."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Open
from tests.browser.test_pages import PAGES
from tests.serve.conftest import Cluster

HOSTILE = [one["text"] for one in json.loads((Path(__file__).parent / "hostile.json").read_text())]
# What would be there if a string had become a part of the page.
INTRUDERS = ", ".join(
    [
        *("iframe", "object", "embed", "base", "math", "marquee", "template:not([id])", "style", "meta[http-equiv]"),
        *("[onerror]", "[onload]", "[onfocus]"),
    ]
)
VARIANTS = ("A", "B")


@pytest.fixture(scope="module")
def told(studio: Cluster, account: str) -> list[str]:
    """Everything that users name or bring, told to the product; returns the ids of the experiments."""
    with studio.client(account) as client:
        experiments = [
            created(client, "/ab-test/create", {"name": text.strip(), "start": False, "variants": variants(text)})["id"]
            for text in HOSTILE
        ]
        created(client, "/plan", {"posts": [{"text": text} for text in HOSTILE]})
        for number, text in enumerate(HOSTILE):
            body = {"name": text.strip(), "type": "question", "language": "en", "content": f"What about it {number}?"}
            answer = client.post("/templates", json=body)
            assert answer.status_code in {200, 201, 422}, answer.text
        name = HOSTILE[0] + ".csv"
        imported = client.post("/metrics/import", files={"file": (name, export().encode(), "text/csv")})
        assert imported.status_code == 200, imported.text
        assert imported.json()["imported"] == len(HOSTILE)
    return experiments


def created(client: httpx.Client, path: str, body: object) -> dict[str, str]:
    answer = client.post(path, json=body)
    assert answer.status_code in {200, 201}, answer.text
    result: dict[str, str] = answer.json()
    return result


def variants(text: str) -> list[dict[str, str]]:
    return [{"name": f"{text.strip()[:100]} {name}", "content": text} for name in VARIANTS]


def export() -> str:
    """An export of X's analytics whose posts are the strings."""
    sheet = io.StringIO()
    rows = csv.writer(sheet)
    rows.writerow(["Post id", "Date", "Post text", "Post Link", "Impressions", "Likes", "Engagements", "Reposts"])
    for number, text in enumerate(HOSTILE):
        identity = 1_960_000_000_000_000_000 + number * 400_000_000_000_000
        link = f"https://x.com/me/status/{identity}"
        rows.writerow([identity, "Mon, Sep 1, 2025", text, link, 100 + number, number, 2 * number, 1])
    return sheet.getvalue()


def assert_harmless(page: Page, path: str) -> None:
    assert page.evaluate("window.pwned") is None, path
    assert page.locator(f"main :is({INTRUDERS})").count() == 0, path
    assert page.evaluate("({}).pwned") is None, path
    assert page.locator("main [href^='javascript:'], main [src*='evil'], main [href*='evil.example/']").count() == 0, (
        path
    )


def test_every_page_shows_hostile_strings_as_text(open_page: Open, told: list[str]) -> None:
    page = open_page("/")
    for path in (*PAGES, *(f"/studio/experiments/{identity}" for identity in told[::9])):
        page.goto(path)
        page.wait_for_timeout(150)
        assert_harmless(page, path)
    page.goto("/studio/experiments")
    shown = page.locator("main tbody").inner_text()
    while (older := page.locator("main a.button", has_text="Older ones")).count():
        older.click()
        page.wait_for_load_state()
        shown += page.locator("main tbody").inner_text()
    squeezed = " ".join(shown.split())
    assert [text for text in HOSTILE if " ".join(text.split()) not in squeezed and text.isascii()] == []


def test_a_hostile_draft_is_counted_read_and_answered_as_text(open_page: Open) -> None:
    page = open_page("/")
    for text in HOSTILE[::4]:
        page.fill("#draft", text)
        with page.expect_response("**/studio/write") as answered:
            page.press("#draft", "Control+Enter")
        assert answered.value.status in {200, 422}, text
        page.wait_for_timeout(100)
        assert_harmless(page, text)
