"""Who may watch the live figures, what they are told and when, and that nobody is kept waiting by somebody slow."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import aiohttp
import httpx
import orjson
import pytest
import uvicorn

from deployments.http.gate import Gate
from deployments.http.sessions import COOKIE
from deployments.live import Live
from deployments.ray_metrics import unknown
from store.errors import StoreUnavailable
from store.figures import Count, Figures
from store.postgres import Store
from tests.integration.conftest import INGRESS, KEYS, Answer, caller
from tests.integration.experiment_calls import counts, created, told

pytestmark = pytest.mark.clock

QUICK = INGRESS.live.model_copy(update={"every_s": 0.2, "send_timeout_s": 0.4})
NOTHING = Figures(experiments={}, running=())


@pytest.fixture
async def live(gate: Gate) -> Live:
    """The live figures behind `gate`, at a pace for tests."""
    live: Live = gate.app.state.front.live  # type: ignore[attr-defined]
    live.config = QUICK
    return live


@pytest.fixture
async def address(gate: Gate, live: Live) -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(gate, port=0, log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  # it tells nobody
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    await live.close()
    server.should_exit = True
    await serving


@asynccontextmanager
async def watching(
    address: str, path: str = "/ws/metrics", account: str | None = "default", **headers: str
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    key = {"x-api-key": KEYS[account]} if account else {}
    async with (
        aiohttp.ClientSession(trust_env=False) as session,
        session.ws_connect(address + path, headers=key | headers) as socket,
    ):
        yield socket


async def message(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    return orjson.loads(await asyncio.wait_for(socket.receive_str(), 20))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("account", "headers"),
    [
        (None, {}),
        (None, {"x-api-key": "not-a-key-of-anybody"}),
        (None, {"cookie": f"{COOKIE}=forged"}),
        (None, {"cookie": "SESSION", "origin": "https://evil.example"}),
    ],
)
async def test_strangers_and_pages_elsewhere_are_refused_before_anything_is_told(
    address: str, gate: Gate, live: Live, account: str | None, headers: dict[str, str]
) -> None:
    if headers.get("cookie") == "SESSION":
        headers = headers | {"cookie": f"{COOKIE}={gate.sessions.open('acme')}"}
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with watching(address, account=account, **headers):
            pass
    assert refused.value.status == 403
    assert live.n_clients == 0
    async with aiohttp.ClientSession() as session, session.get(f"{address}/metrics/live") as answer:
        assert answer.status == 401


async def test_a_browser_watches_by_its_session(address: str, gate: Gate) -> None:
    cookie = f"{COOKIE}={gate.sessions.open('acme')}"
    async with watching(address, account=None, cookie=cookie, origin=address) as socket:
        assert (await message(socket))["kind"] == "snapshot"


async def test_more_than_the_replica_may_have_are_told_to_come_back(address: str, live: Live) -> None:
    live.config = QUICK.model_copy(update={"max_clients": 1})
    async with watching(address) as first:
        await message(first)
        async with watching(address) as second:
            closed = await second.receive()
            assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, 1013)
        assert live.n_clients == 1
        await message(first)
    await until(lambda: live.n_clients == 0)
    async with watching(address) as third:
        await message(third)


async def test_one_account_leaves_half_of_the_places_to_others(address: str, live: Live) -> None:
    live.config = QUICK.model_copy(update={"max_clients": 4})
    async with watching(address) as first, watching(address) as second:
        await message(first)
        await message(second)
        async with watching(address) as third:
            closed = await third.receive()
            assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, 1013)
        async with watching(address, account="acme") as other:
            await message(other)


async def test_what_is_told_is_ones_own_and_moves_with_the_database(
    address: str, gate: Gate, client: httpx.AsyncClient, store: Store, answer: Answer
) -> None:
    async with watching(address) as ours, watching(address, account="acme") as theirs:
        first = await message(ours)
        assert first["account"]["queries"] == {"today": 0, "total": 0}
        assert not first["system"]["supported"]
        assert first["system"]["requests"] == dict.fromkeys(first["system"]["requests"])
        await message(theirs)
        await store.save_queries([answer(), answer()])
        experiment = await created(client)
        await told(client, experiment, *counts("control", 3, 1))
        while (seen := await message(ours))["account"]["events"]["total"] != 4:
            assert seen["kind"] == "snapshot"
        assert seen["account"]["queries"]["total"] == 2
        assert seen["account"]["experiments"]["running"] == 1
        assert seen["account"]["running"][0]["variants"][0] == {"name": "control", "impressions": 3, "engagements": 1}
        by_http = (await client.get("/metrics/live")).json()
        assert by_http["account"] == seen["account"]
        other = await message(theirs)
        assert (other["account"]["queries"]["total"], other["account"]["running"]) == (0, [])
        async with caller(gate, "acme") as acme:
            assert (await acme.get("/metrics/live")).json()["account"] == other["account"]


async def test_a_database_that_does_not_answer_is_said_so_and_the_rest_is_told(address: str, live: Live) -> None:
    async def down(account: str, now: datetime) -> Figures:
        raise StoreUnavailable

    live._read_figures = down
    async with watching(address) as socket:
        assert [(await message(socket))["account"] for _ in range(2)] == [None, None]


async def test_a_database_that_takes_too_long_is_bridged_by_signs_of_life(address: str, live: Live) -> None:
    answering = asyncio.Event()
    answering.set()

    async def slow(account: str, now: datetime) -> Figures:
        await answering.wait()
        return NOTHING

    live._read_figures = slow
    async with watching(address) as socket:
        assert (await message(socket))["kind"] == "snapshot"
        answering.clear()
        while (seen := await message(socket))["kind"] == "snapshot":
            pass
        assert seen.keys() == {"id", "at", "kind"}
        answering.set()
        while (await message(socket))["kind"] != "snapshot":
            pass


@pytest.fixture
def cluster(live: Live) -> Live:
    """Ray's figures too: requests per second that count up with every reading; the database's need no waiting for."""
    read = 0

    async def nothing(account: str, now: datetime) -> Figures:
        return NOTHING

    async def figures() -> dict[str, Any]:
        nonlocal read
        read += 1
        figures = unknown(supported=True)
        figures["requests"]["per_s"] = float(read)
        return figures

    live._read_figures, live._read_system = nothing, figures
    return live


async def test_who_comes_back_is_told_what_was_missed_and_nothing_twice(address: str, cluster: Live) -> None:
    # A whole tick lies ahead: the first message comes before the second point.
    await asyncio.sleep(QUICK.every_s - time.time() % QUICK.every_s)
    async with watching(address) as socket:
        first = await message(socket)
        assert (first["resumed"], len(first["series"]), first["every_s"]) == (False, 1, 0.2)
        seen = [await message(socket) for _ in range(3)]
        assert [one["id"] for one in seen] == sorted({one["id"] for one in seen})
    # Nobody watches, and the figures are read on for those who come back.
    await asyncio.sleep(1.3)
    async with watching(address, f"/ws/metrics?last={seen[-1]['id']}") as socket:
        back = await message(socket)
        assert back["resumed"]
        missed = [point["per_s"] for point in back["series"]]
        assert missed == [seen[-1]["system"]["requests"]["per_s"] + 1 + n for n in range(len(missed))]
        assert len(missed) >= 5
        assert back["series"][-1]["per_s"] == back["system"]["requests"]["per_s"]


async def test_points_are_kept_for_as_long_as_it_is_configured(address: str, cluster: Live) -> None:
    cluster.config = QUICK.model_copy(update={"keep_s": 1.0})
    async with watching(address) as socket:
        seen = [await message(socket) for _ in range(10)]
        async with watching(address, f"/ws/metrics?last={seen[0]['id']}") as other:
            late = await message(other)
    assert not late["resumed"]
    assert 1 <= len(late["series"]) <= 6


@pytest.mark.parametrize("last", ["1", "99999999999999", "x", "", "-5", "1e3", "٣", "9" * 400])
async def test_who_saw_something_that_is_not_kept_gets_everything_in_its_place(
    address: str, cluster: Live, last: str
) -> None:
    async with watching(address) as socket:
        await message(socket)
        await message(socket)
        async with watching(address, f"/ws/metrics?last={last}") as other:
            first = await message(other)
    assert not first["resumed"]
    assert len(first["series"]) >= 2


async def test_nothing_is_read_when_nobody_has_watched_for_a_while(address: str, cluster: Live) -> None:
    cluster.config = QUICK.model_copy(update={"linger_s": 0.0})
    assert cluster._telling is None
    async with watching(address) as socket:
        seen = await message(socket)
    await until(lambda: cluster._telling is not None and cluster._telling.done())
    before = cluster._system
    await asyncio.sleep(0.5)
    assert cluster._system is before
    async with watching(address, f"/ws/metrics?last={seen['id']}") as socket:
        assert not (await message(socket))["resumed"]


async def test_a_fault_of_ours_ends_nobodys_watching(address: str, cluster: Live) -> None:
    async with watching(address) as socket:
        await message(socket)
        figures, cluster._read_figures = cluster._read_figures, fail
        await asyncio.sleep(0.5)
        cluster._read_figures = figures
        while not socket.closed and (await message(socket))["kind"] != "snapshot":
            pass
        assert not socket.closed


async def fail(account: str, now: datetime) -> Figures:
    raise ZeroDivisionError


async def test_those_who_watch_when_the_replica_ends_are_told_to_come_back(address: str, live: Live) -> None:
    async with watching(address) as socket:
        await message(socket)
        await live.close()
        while (last := await socket.receive()).type == aiohttp.WSMsgType.TEXT:
            pass
        assert (last.type, last.data) == (aiohttp.WSMsgType.CLOSE, 1012)
    assert live.n_clients == 0


class Stalled:
    """A client that takes `takes` messages and then none, as a socket with full buffers."""

    def __init__(self, takes: int) -> None:
        self.takes = takes
        self.sent: list[dict[str, Any]] = []
        self._connecting = True

    async def receive(self) -> dict[str, Any]:
        if self._connecting:
            self._connecting = False
            return {"type": "websocket.connect"}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "websocket.send" and len(self.sent) > self.takes:
            await asyncio.Event().wait()
        self.sent.append(message)

    def watch(self, gate: Gate) -> Awaitable[None]:
        headers = [(b"x-api-key", KEYS["default"].encode())]
        scope = {"type": "websocket", "path": "/ws/metrics", "headers": headers, "query_string": b""}
        return gate(scope, self.receive, self.send)


@pytest.mark.parametrize("send_timeout_s", [0.4, 60.0])
async def test_a_stalled_client_is_dropped_while_the_others_are_told(
    address: str, gate: Gate, live: Live, send_timeout_s: float
) -> None:
    """By the time that a message may take, and by the messages that wait, whichever is first."""
    live.config = QUICK.model_copy(update={"send_timeout_s": send_timeout_s})
    stalled = Stalled(takes=1)
    dropping = asyncio.ensure_future(stalled.watch(gate))
    async with watching(address) as socket:
        arrived = []
        async with asyncio.timeout(20):
            while not dropping.done():
                await message(socket)
                arrived.append(asyncio.get_running_loop().time())
        await dropping
        assert live.n_clients == 1
    # A client that were waited for would hold the others up for the 60 s.
    assert max(later - earlier for earlier, later in itertools.pairwise(arrived)) < 5
    assert stalled.sent[-1]["type"] == "websocket.close"
    assert stalled.sent[-1]["code"] == 4008


async def test_a_handler_that_the_server_cancels_leaves_nothing_behind(gate: Gate, live: Live) -> None:
    watching = asyncio.ensure_future(Stalled(takes=1).watch(gate))
    await until(lambda: live.n_clients == 1)
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching
    assert live.n_clients == 0
    await live.close()


async def test_the_figures_are_read_once_for_all_who_come_at_the_same_time(address: str, live: Live) -> None:
    read = 0

    async def counted(account: str, now: datetime) -> Figures:
        nonlocal read
        read += 1
        await asyncio.sleep(0.1)
        return Figures(experiments={}, running=(), queries=Count(read, read))

    live.config = QUICK.model_copy(update={"every_s": 60.0})
    live._read_figures = counted
    firsts = await asyncio.gather(*(live.first("default", None) for _ in range(100)))
    assert read == 1
    assert {orjson.loads(first)["account"]["queries"]["total"] for first in firsts} == {1}
    await live.close()
