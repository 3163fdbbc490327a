"""The gate before the routes: who may pass, how much, how many at once."""

import asyncio
import json
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from deployments.http.gate import Gate

KEYS = {"acme": "a" * 20, "default": "d" * 20}


class Inside:
    """An app that remembers whose request it saw and answers when it is let go."""

    def __init__(self) -> None:
        self.accounts: list[str] = []
        self.methods: list[str] = []
        self.let_go = asyncio.Event()
        self.let_go.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.accounts.append(scope.get("account", "nobody"))
        self.methods.append(scope["method"])
        while (await receive()).get("more_body"):
            pass
        await self.let_go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})


async def call(
    gate: Gate, path: str = "/analyze", chunks: tuple[bytes, ...] = (b"{}",), method: str = "POST", **headers: str
) -> Any:
    """Send one request through the gate; returns status, headers and body."""
    sent: list[Any] = []
    waiting = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    waiting.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> Any:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    await gate({"type": "http", "method": method, "path": path, "headers": raw}, receive, send)
    answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], answered, b"".join(message.get("body", b"") for message in sent[1:])


def gate(app: Inside, keys: dict[str, str] = KEYS, max_requests: int = 10) -> Gate:
    made = Gate(app, keys, lambda *_: None)
    made.max_requests = max_requests
    return made


@pytest.mark.parametrize("headers", [{}, {"x_api_key": "wrong"}, {"authorization": "Bearer "}, {"x_api_key": "a" * 19}])
async def test_a_caller_without_a_key_is_told_how_to_send_one(headers: dict[str, str]) -> None:
    app = Inside()
    status, answered, body = await call(gate(app), **headers)
    assert status == 401
    assert answered["www-authenticate"] == "Bearer"
    assert "X-API-Key" in json.loads(body)["detail"]
    assert app.accounts == []


async def test_one_request_too_many_is_asked_to_come_back_and_leaves_room_again() -> None:
    app = Inside()
    app.let_go.clear()
    door = gate(app, {}, max_requests=2)
    inside = [asyncio.create_task(call(door)) for _ in range(2)]
    await asyncio.sleep(0.01)
    status, answered, body = await call(door)
    assert (status, answered["retry-after"]) == (503, "1")
    assert answered["content-type"] == "application/problem+json"
    assert json.loads(body)["request_id"]
    app.let_go.set()
    assert [status for status, _, _ in await asyncio.gather(*inside)] == [200, 200]
    assert (await call(door))[0] == 200
    assert door.inside == 0


async def test_health_is_told_even_when_the_house_is_full_and_without_a_key() -> None:
    app = Inside()
    assert (await call(gate(app, max_requests=0), "/readyz"))[0] == 200


@pytest.mark.parametrize(("headers", "status"), [({}, 401), ({"x_api_key": "a" * 20}, 200)])
async def test_head_is_answered_as_get_without_the_body_and_refused_alike(headers: dict[str, str], status: int) -> None:
    app = Inside()
    head = await call(gate(app), method="HEAD", **headers)
    get = await call(gate(app), method="GET", **headers)
    assert (head[0], get[0]) == (status, status)
    assert head[1] == get[1]
    assert head[2] == b"" != get[2]
    assert app.methods == ["GET", "GET"] * (status == 200)


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [
        ("/analyze", 2**20, 200),
        ("/analyze", 2**20 + 1, 413),
        ("/predict", 2**20 + 1, 200),
        ("/predict", 2**24 + 1, 413),
    ],
)
async def test_bodies_have_a_limit_whether_their_length_is_told_or_not(path: str, size: int, status: int) -> None:
    door = gate(Inside(), {})
    chunks = tuple(b"x" * min(65536, size - start) for start in range(0, size, 65536))
    assert (await call(door, path, chunks))[0] == status
    assert (await call(door, path, chunks, content_length=str(size)))[0] == status


@pytest.mark.parametrize("length", ["-1", "ten", "1e3", "9" * 30])
async def test_a_length_that_is_no_length_is_refused(length: str) -> None:
    assert (await call(gate(Inside(), {}), content_length=length))[0] == 413


async def test_each_key_is_its_own_account_and_no_key_at_all_is_the_default_one() -> None:
    app = Inside()
    await call(gate(app), x_api_key="a" * 20)
    await call(gate(app), authorization="Bearer " + "d" * 20)
    await call(gate(app, {}))
    assert app.accounts == ["acme", "default", "default"]
