"""A browser's session: who may do what with it, and what another page can make a browser send."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.datastructures import Headers
from starlette.websockets import WebSocket

from deployments.http.gate import Gate
from deployments.http.sessions import COOKIE, Sessions
from tests.integration.conftest import KEYS

CSV = {"file": ("posts.csv", b"id,date,text,likes\n", "text/csv")}


def browser_of(gate: Gate, cookie: str = "") -> httpx.AsyncClient:
    """What a browser sends to the gate: cookies and the origin, no key."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(gate), base_url="http://test", cookies={COOKIE: cookie} if cookie else None
    )


@pytest.fixture
async def browser(gate: Gate) -> AsyncIterator[httpx.AsyncClient]:
    """Signed in as acme."""
    async with browser_of(gate, gate.sessions.open("acme")) as client:
        yield client


def token(gate: Gate, client: httpx.AsyncClient) -> dict[str, str]:
    cookie = client.cookies[COOKIE]
    return {"x-csrf-token": gate.sessions.csrf_token("acme", Headers({"cookie": f"{COOKIE}={cookie}"}))}


async def test_signing_in_opens_a_session_of_the_keys_account_alone(gate: Gate) -> None:
    async with browser_of(gate) as client:
        answer = await client.post("/sign-in", data={"key": KEYS["acme"], "next": "/studio/plan"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/studio/plan")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert KEYS["acme"] not in cookie
        created = await client.put("/account", json={"length_limit": 4000}, headers=token(gate, client))
        assert created.status_code == 200
    async with browser_of(gate, gate.sessions.open("default")) as other:
        assert (await other.get("/account")).json()["length_limit"] == 280


@pytest.mark.parametrize(
    "address", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "", "evil"]
)
async def test_nobody_is_sent_elsewhere_after_signing_in(gate: Gate, address: str) -> None:
    async with browser_of(gate) as client:
        answer = await client.post("/sign-in", data={"key": KEYS["acme"], "next": address})
    assert answer.headers["location"] == "/"


@pytest.mark.parametrize("key", ["", "x" * 20, KEYS["acme"][:-1], KEYS["acme"] + "x", "\N{SNOWMAN}" * 20])
async def test_a_wrong_key_opens_nothing(gate: Gate, key: str) -> None:
    async with browser_of(gate) as client:
        answer = await client.post("/sign-in", data={"key": key})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


async def test_a_session_reads_at_once_and_changes_only_with_its_token(gate: Gate, browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/account")).status_code == 200
    for forged in ({}, {"x-csrf-token": ""}, {"x-csrf-token": "0" * 64}):
        assert (await browser.put("/account", json={}, headers=forged)).status_code == 403
        assert (await browser.post("/metrics/import", files=CSV, headers=forged)).status_code == 403
    assert (await browser.put("/account", json={}, headers=token(gate, browser))).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://test.evil.example", "http://test:81"])
async def test_a_page_elsewhere_gets_nothing_done_though_the_browser_adds_the_cookie(
    gate: Gate, browser: httpx.AsyncClient, origin: str
) -> None:
    told = token(gate, browser) | {"origin": origin}
    assert (await browser.put("/account", json={}, headers=told)).status_code == 403
    assert (await browser.post("/sign-in", data={"key": KEYS["acme"]}, headers={"origin": origin})).status_code == 403
    own = token(gate, browser) | {"origin": "http://test"}
    assert (await browser.put("/account", json={}, headers=own)).status_code == 200


async def test_a_changed_or_foreign_cookie_is_no_session(gate: Gate, browser: httpx.AsyncClient) -> None:
    good = gate.sessions.open("acme")
    others = Sessions({"acme": "another key of acme's"}).open("acme")
    for cookie in (good[:-1], good + "x", good.replace(".", "", 1), others, "", "a.b.c"):
        async with browser_of(gate, cookie) as client:
            assert (await client.get("/account")).status_code == 401, cookie


async def test_without_keys_only_this_machines_names_and_own_pages_are_served(gate: Gate) -> None:
    gate.keys = {}
    assert gate.stored is not None
    await gate.stored.read()
    transport = httpx.ASGITransport(gate)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as client:
        assert (await client.put("/account", json={})).status_code == 200
        for told in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
            assert (await client.put("/account", json={}, headers=told)).status_code == 403
        for host in ("evil.example", "evil.example:8000", "localhost.evil.example", ""):
            assert (await client.get("/account", headers={"host": host})).status_code == 403, host
        for host in ("127.0.0.1:8000", "[::1]:8000", "studio.localhost"):
            assert (await client.get("/account", headers={"host": host})).status_code == 200, host


async def test_pages_lead_strangers_to_the_sign_in_page_and_the_api_refuses_them(gate: Gate) -> None:
    async with browser_of(gate) as client:
        page = await client.get("/studio/plan")
        part = await client.get("/studio/plan", headers={"hx-request": "true"})
        call = await client.get("/plan")
    assert (page.status_code, page.headers["location"]) == (303, "/sign-in?next=/studio/plan")
    assert (part.status_code, part.headers["hx-redirect"]) == (204, "/sign-in?next=/studio/plan")
    assert call.status_code == 401


async def test_a_websocket_of_a_stranger_or_a_foreign_page_is_closed_before_it_is_open(gate: Gate) -> None:
    good = f"{COOKIE}={gate.sessions.open('acme')}"
    for headers, expected in (
        ({}, "websocket.close"),
        ({"cookie": good, "origin": "https://evil.example"}, "websocket.close"),
        ({"cookie": good, "origin": "http://test"}, "websocket.accept"),
        ({"x-api-key": KEYS["acme"]}, "websocket.accept"),
    ):
        assert await first_message(gate, {"host": "test", **headers}) == expected, headers


async def first_message(gate: Gate, headers: dict[str, str]) -> str:
    """What the gate answers to a WebSocket; behind it one is accepted."""
    sent: list[str] = []

    async def accepting(scope: dict[str, object], receive: object, send: object) -> None:
        await WebSocket(scope, receive, send).accept()  # type: ignore[arg-type]

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, str]) -> None:
        sent.append(message["type"])

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "websocket", "path": "/ws/metrics", "headers": raw, "query_string": b""}
    app, gate.app = gate.app, accepting  # type: ignore[assignment]
    try:
        await gate(scope, receive, send)  # type: ignore[arg-type]
    finally:
        gate.app = app
    return sent[0]
