"""How a page listens to a route of the API that answers with events (SSE), in this process and as the caller."""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import AsyncGenerator, AsyncIterator
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import Request
from starlette.types import Message

from deployments.studio.pages import Answered


async def listen(request: Request, path: str, body: Any) -> AsyncGenerator[tuple[str, Any], None]:
    """Yield name and content of each event of POST `path` as it comes.

    A route that answers without events yields ("answer", Answered) once. The call ends when nobody listens any more.
    """
    messages: asyncio.Queue[Message] = asyncio.Queue()
    left = asyncio.Event()
    bodies = [orjson.dumps(body)]

    async def receive() -> Message:
        if bodies:
            return {"type": "http.request", "body": bodies.pop(), "more_body": False}
        await left.wait()
        return {"type": "http.disconnect"}

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"content-type", b"application/json"), (b"host", b"studio")],
        "server": ("studio", 80),
        "client": None,
        **{name: request.scope[name] for name in ("caller", "account", "request_id")},
    }
    call = asyncio.ensure_future(request.app(scope, receive, messages.put))
    try:
        start = await _next(messages, call)
        headers = dict(start["headers"])
        if not headers.get(b"content-type", b"").startswith(b"text/event-stream"):
            whole = b"".join([part async for part in _parts(messages, call)])
            yield "answer", Answered(start["status"], orjson.loads(whole) if whole else None)
            return
        pending, decoder = "", codecs.getincrementaldecoder("utf-8")()
        async for part in _parts(messages, call):
            *events, pending = (pending + decoder.decode(part)).replace("\r\n", "\n").split("\n\n")
            for event in events:
                if (read := _read(event)) is not None:
                    yield read
    finally:
        left.set()
        call.cancel()
        await asyncio.wait([call])
        if not call.cancelled():
            # What failed there is logged there.
            call.exception()


async def _next(messages: asyncio.Queue[Message], call: asyncio.Future[None]) -> Message:
    """The next message; a call that ends without one is an answer of 500."""
    waiting = asyncio.ensure_future(messages.get())
    both: list[asyncio.Future[Any]] = [waiting, call]
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done() and messages.empty():
        waiting.cancel()
        return {"type": "http.response.start", "status": HTTPStatus.INTERNAL_SERVER_ERROR, "headers": []}
    return await waiting


async def _parts(messages: asyncio.Queue[Message], call: asyncio.Future[None]) -> AsyncIterator[bytes]:
    while (message := await _next(messages, call))["type"] == "http.response.body":
        if part := message.get("body"):
            yield part
        if not message.get("more_body"):
            return


def _read(event: str) -> tuple[str, Any] | None:
    """Name and JSON of an event; None of a comment."""
    lines = [line.partition(":") for line in event.split("\n")]
    name = next((value.strip() for field, _, value in lines if field == "event"), "message")
    content = "\n".join(value.removeprefix(" ") for field, _, value in lines if field == "data")
    return (name, orjson.loads(content)) if content else None
