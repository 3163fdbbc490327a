"""The gate before the routes: who may pass, how much, how many at once."""

import asyncio
import json
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from deployments.http.gate import Gate

pytestmark = pytest.mark.clock

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

    told = {"host": "localhost:8000", **headers}
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in told.items()]
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


async def trickle(gate: Gate, path: str, pieces: int, bytes_a_piece: int, pause_s: float, **headers: str) -> Any:
    """Send a body piece by piece; returns status, detail and after how many pieces the answer came."""
    sent: list[Any] = []
    given = 0

    async def receive() -> Any:
        nonlocal given
        await asyncio.sleep(pause_s)
        given += 1
        return {"type": "http.request", "body": b"x" * bytes_a_piece, "more_body": given < pieces}

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [
        (b"host", b"localhost:8000"),
        *((name.replace("_", "-").encode(), v.encode()) for name, v in headers.items()),
    ]
    await gate({"type": "http", "method": "POST", "path": path, "headers": raw}, receive, send)
    detail = "" if sent[0]["status"] == 200 else json.loads(sent[1]["body"])["detail"]
    return sent[0]["status"], detail, given


@pytest.mark.parametrize("path", ["/sign-in", "/metrics/import"])
async def test_a_body_that_trickles_gives_its_place_back_however_often_a_byte_comes(path: str) -> None:
    door = gate(Inside())
    door.body_pause_s = 0.2
    status, detail, pieces = await trickle(door, path, 1_000, 1, 0.02, x_api_key="a" * 20)
    assert (status, door.inside, door.signing_in) == (408, 0, 0)
    assert "8 KiB a second" in detail
    assert pieces < 20


async def test_a_slow_body_that_keeps_the_pace_takes_the_time_that_it_needs() -> None:
    door = gate(Inside(), {})
    door.body_pause_s, door.body_bytes_per_s = 0.2, 1_000
    assert await trickle(door, "/analyze", 20, 100, 0.03) == (200, "", 20)


async def test_strangers_who_sign_in_leave_room_for_those_who_have_a_key() -> None:
    app = Inside()
    app.let_go.clear()
    door = gate(app, max_requests=32)
    strangers = [asyncio.create_task(call(door, "/sign-in")) for _ in range(40)]
    await asyncio.sleep(0.01)
    assert (door.inside, door.signing_in) == (2, 2)
    refused = [task.result() for task in strangers if task.done()]
    assert {(status, answered["retry-after"]) for status, answered, _ in refused} == {(503, "1")}
    assert json.loads(refused[0][2])["detail"] == "Too many sign in at once."
    app.let_go.set()
    assert (await call(door, x_api_key="a" * 20))[0] == 200
    await asyncio.gather(*strangers)
    assert (door.inside, door.signing_in) == (0, 0)


async def test_nobody_signs_in_where_the_house_is_full() -> None:
    app = Inside()
    app.let_go.clear()
    door = gate(app, max_requests=1)
    inside = asyncio.create_task(call(door, x_api_key="a" * 20))
    await asyncio.sleep(0.01)
    assert (await call(door, "/sign-in"))[0] == 503
    app.let_go.set()
    await inside
    assert (await call(door, "/sign-in"))[0] == 200


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
        ("/metrics/imports", 2**20 + 1, 413),
        ("/sign-in", 2**13, 200),
        ("/sign-in", 2**13 + 1, 413),
    ],
)
async def test_bodies_have_a_limit_whether_their_length_is_told_or_not(path: str, size: int, status: int) -> None:
    door = gate(Inside(), {})
    chunks = tuple(b"x" * min(65536, size - start) for start in range(0, size, 65536))
    assert (await call(door, path, chunks))[0] == status
    assert (await call(door, path, chunks, content_length=str(size)))[0] == status


@pytest.mark.parametrize(("mebibytes", "status"), [(800, 200), (801, 413)])
async def test_an_upload_has_a_limit_of_its_own(mebibytes: int, status: int) -> None:
    door = gate(Inside(), {})
    chunks = (bytes(2**20),) * mebibytes
    assert (await call(door, "/metrics/import", chunks))[0] == status
    assert (await call(door, "/metrics/import", chunks, content_length=str(mebibytes * 2**20)))[0] == status


@pytest.mark.parametrize("length", ["-1", "ten", "1e3", "9" * 30])
async def test_a_length_that_is_no_length_is_refused(length: str) -> None:
    assert (await call(gate(Inside(), {}), content_length=length))[0] == 413


async def test_each_key_is_its_own_account_and_no_key_at_all_is_the_default_one() -> None:
    app = Inside()
    await call(gate(app), x_api_key="a" * 20)
    await call(gate(app), authorization="Bearer " + "d" * 20)
    await call(gate(app, {}))
    assert app.accounts == ["acme", "default", "default"]
