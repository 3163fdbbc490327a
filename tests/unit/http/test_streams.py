"""POST /generate/stream over ASGI, on handwritten models: events, heartbeats, failures, and a client that leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.types import Message

from deployments.http import streams
from deployments.http.gate import Gate
from deployments.http.ingress import create_api
from deployments.http.problems import Problem, unavailable
from pipelines import optimize
from pipelines.generator.candidates import Engines
from pipelines.records import Query
from pipelines.results import Candidate, Generated
from tests.fake_models import FakeModels

pytestmark = pytest.mark.clock

Pieces = AsyncGenerator[Candidate | Generated, None]
BODY = b'{"query": "Some shoes", "n": 2}'


class Stream:
    """One call of the route: what was sent so far; the client may leave."""

    def __init__(self, pieces: Pieces | Problem, body: bytes = BODY) -> None:
        self.sent: list[dict[str, Any]] = []
        self.counted: list[Any] = []
        self.gone = asyncio.Event()
        self._body = [{"type": "http.request", "body": body, "more_body": False}]

        async def generate_each(_query: Query, _account: str) -> Pieces:
            if isinstance(pieces, Problem):
                raise pieces
            return pieces

        front: Any = SimpleNamespace(
            answers=SimpleNamespace(generate_each=generate_each, on_answer=self.counted.append)
        )
        gate = Gate(create_api(front), {}, lambda *_: None)
        gate.max_requests = 4
        headers = [(b"content-type", b"application/json"), (b"x-request-id", b"seven"), (b"host", b"127.0.0.1")]
        scope = {"type": "http", "method": "POST", "path": "/generate/stream", "query_string": b"", "headers": headers}
        self.task = asyncio.create_task(gate(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        if self._body:
            return self._body.pop()
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.sent.append(message)

    @property
    def head(self) -> tuple[int, dict[str, str]]:
        return self.sent[0]["status"], {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.sent[1:]).decode()

    def events(self) -> list[tuple[str, str, Any]]:
        """Id, name and content of each event, as a browser reads them."""
        found = []
        for block in self.text.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if fields:
                found.append((fields["id"], fields["event"], json.loads(fields["data"])))
        return found


async def test_what_cannot_be_read_is_refused_before_anything_begins() -> None:
    for body, field in ((b'{"query": "Some shoes", "n": 0}', "n"), (b"{}", "query")):
        stream = Stream(unavailable("never asked"), body)
        await stream.task
        status, headers = stream.head
        assert (status, headers["content-type"]) == (422, "application/problem+json")
        assert [error["field"] for error in json.loads(stream.text)["errors"]] == [field]


async def test_what_is_refused_before_it_begins_has_its_own_status() -> None:
    stream = Stream(unavailable("Too many."))
    await stream.task
    assert stream.head[0] == 503


async def test_candidates_come_one_by_one_with_rising_ids_and_the_whole_comes_last() -> None:
    query, engines = Query(query="Some shoes", engine="auto", n_templates=2), Engines(language_model=True)
    stream = Stream(optimize.generate_each(query, FakeModels(), engines))
    await stream.task
    status, headers = stream.head
    assert status == 200
    assert headers["content-type"].startswith("text/event-stream")
    assert (headers["cache-control"], headers["x-accel-buffering"]) == ("no-store", "no")
    *candidates, (last, name, whole) = stream.events()
    assert [(identity, kind) for identity, kind, _ in candidates] == [(str(n), "candidate") for n in range(1, 6)]
    assert (last, name) == ("6", "done")
    assert all(one in [content for _, _, content in candidates] for one in whole["candidates"])


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (unavailable("The database does not answer."), 503, "database"),
        (RuntimeError("secret"), 500, "Something failed"),
    ],
)
async def test_a_failure_after_the_beginning_is_an_event(error: Exception, status: int, detail: str) -> None:
    async def failing() -> Pieces:
        yield Generated(candidates=(), best=None, findings=(), notes=(), model_versions={}, degraded=())
        raise error

    stream = Stream(failing())
    await stream.task
    (_, name, problem) = stream.events()[-1]
    assert name == "problem"
    assert (problem["status"], problem["request_id"]) == (status, "seven")
    assert detail in problem["detail"]
    assert "secret" not in stream.text


async def test_where_nothing_comes_a_comment_keeps_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.01)
    go_on = asyncio.Event()

    async def slow() -> Pieces:
        await go_on.wait()
        return
        yield

    stream = Stream(slow())
    await asyncio.sleep(0.2)
    go_on.set()
    await stream.task
    assert stream.text.count(": still writing\n\n") >= 3
    assert stream.events() == []


@pytest.mark.parametrize("amid", [True, False])
async def test_a_client_that_leaves_ends_the_work(amid: bool) -> None:
    ended, rests = asyncio.Event(), asyncio.Event()

    async def endless() -> Pieces:
        try:
            while True:
                if amid:
                    rests.set()
                    await asyncio.sleep(60)
                await asyncio.sleep(0)
                yield Generated(candidates=(), best=None, findings=(), notes=(), model_versions={}, degraded=())
                rests.set()
        finally:
            ended.set()

    stream = Stream(endless())
    await rests.wait()
    stream.gone.set()
    await asyncio.wait_for(stream.task, 5)
    await asyncio.wait_for(ended.wait(), 5)


@pytest.mark.parametrize("amid", ["http.response.start", "http.response.body"])
async def test_what_an_answer_is_read_from_is_closed_where_it_is_cancelled_while_it_is_sent(amid: str) -> None:
    began, closed = asyncio.Event(), asyncio.Event()

    async def source() -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield b"piece"
        finally:
            closed.set()

    async def joined(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        yield first
        async for piece in rest:
            yield piece

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        if message["type"] == amid:
            began.set()
            await asyncio.Event().wait()

    pieces = source()
    answer = streams.ClosedStream(joined(await anext(pieces), pieces), source=pieces, headers={})
    sending = asyncio.create_task(answer({"type": "http"}, receive, send))
    await began.wait()
    sending.cancel()
    await asyncio.wait([sending])
    assert closed.is_set()
