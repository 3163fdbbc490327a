"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html): an answer in pieces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final, TypeVar

import orjson
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from starlette.types import Receive, Scope, Send

from deployments.http.problems import Problem, details, unexpected

Piece = TypeVar("Piece")
HEARTBEAT_S: Final = 3.0
STILL_WRITING: Final = format_sse_event(comment="still writing")
# Neither a cache nor a proxy may keep pieces back.
HEADERS: Final = {"cache-control": "no-store", "x-accel-buffering": "no"}


class EventStream(StreamingResponse):
    """Sends each piece as an event with a rising id, and a comment where nothing came for HEARTBEAT_S.

    A failure after the beginning is the event `problem`. When the client leaves, `pieces` is closed.

    Args:
        pieces: what is sent.
        name_of: the name of a piece's event.
        request_id: named in a problem.
    """

    media_type = "text/event-stream"

    def __init__(
        self, pieces: AsyncGenerator[Piece, None], name_of: Callable[[Piece], str], request_id: str | None
    ) -> None:
        self._events = _events(pieces, name_of, request_id)
        super().__init__(self._events, headers=HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all events, or close what makes them."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._events.aclose()


async def _events(
    pieces: AsyncGenerator[Piece, None], name_of: Callable[[Piece], str], request_id: str | None
) -> AsyncGenerator[bytes, None]:
    number = 0
    coming: asyncio.Task[Piece] | None = None
    try:
        while True:
            coming = asyncio.ensure_future(anext(pieces))
            while not (await asyncio.wait([coming], timeout=HEARTBEAT_S))[0]:
                yield STILL_WRITING
            number += 1
            piece = coming.result()
            yield _event(name_of(piece), piece, number)
    except StopAsyncIteration:
        pass
    except Problem as problem:
        yield _event("problem", details(problem, request_id), number)
    except Exception as error:  # noqa: BLE001  # the answer has begun, so that only an event can say it
        yield _event("problem", details(unexpected(error), request_id), number)
    finally:
        if coming is not None and not coming.done():
            coming.cancel()
        else:
            await pieces.aclose()


def _event(name: str, content: Any, number: int) -> bytes:
    return format_sse_event(event=name, data_str=orjson.dumps(content).decode(), id=str(number))
