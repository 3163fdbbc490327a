"""Answers in pieces, and server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
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


class ClosedStream(StreamingResponse):
    """Closes `source` however the answer ends.

    Starlette does not where the client leaves while a piece is sent: what the source holds, a place or a transaction,
    would then wait for the garbage collector.

    Args:
        pieces: what is sent.
        source: what `pieces` reads; not closed through them, as what never began runs no `finally`.
        headers: of the answer.
        media_type: of the answer; that of the class where it is None.
    """

    def __init__(
        self,
        pieces: AsyncIterator[bytes],
        *,
        source: AsyncGenerator[Any, None],
        headers: Mapping[str, str],
        media_type: str | None = None,
    ) -> None:
        self._source = source
        super().__init__(pieces, headers=headers, media_type=media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all pieces, or close what makes them."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._source.aclose()


class EventStream(ClosedStream):
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
        events = _events(pieces, name_of, request_id)
        super().__init__(events, source=events, headers=HEADERS)


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
