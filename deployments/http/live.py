"""The routes of the live figures: a WebSocket that tells them every few seconds, and the same once over HTTP."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from fastapi import APIRouter, Request, Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from deployments.http.calls import account_of, as_json, front_of
from deployments.live import Client, Live

# RFC 6455, section 7.4, and the registry that it founds: come back later; the server restarts. Our own: too slow.
FULL, RESTARTS, SLOW = 1013, 1012, 4008
CLOSE_S = 1.0
router = APIRouter(include_in_schema=False)


@router.get("/metrics/live")
async def live_figures(request: Request) -> Response:
    """What the WebSocket would say first."""
    return as_json((await front_of(request).live.first(account_of(request), None)).encode())


@router.websocket("/ws/metrics")
async def watch(socket: WebSocket) -> None:
    """Tell the figures at once and then every few seconds, until the client leaves or is too slow."""
    live: Live = socket.app.state.front.live
    await socket.accept()
    client = live.join(socket.scope["account"])
    if client is None:
        await socket.close(FULL, "Too many watch already, in all or of this account.")
        return
    telling = asyncio.create_task(_tell(socket, live, client))
    leaving = asyncio.create_task(_until_gone(socket))
    dropping = asyncio.create_task(client.dropped.wait())
    tasks = (telling, leaving, dropping)
    # The server in front cancels this where the client leaves: whatever happens, nobody is told any more.
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        live.leave(client)
        for task in tasks:
            task.cancel()
        failure, *_ = await asyncio.gather(*tasks, return_exceptions=True)
    if leaving in done or isinstance(failure, WebSocketDisconnect):
        return
    if telling in done and not isinstance(failure, TimeoutError):
        telling.result()
    with suppress(TimeoutError, WebSocketDisconnect):
        async with asyncio.timeout(CLOSE_S):
            await socket.close(*((RESTARTS, "The server restarts.") if live.closed else (SLOW, "Too slow.")))


async def _tell(socket: WebSocket, live: Live, client: Client) -> None:
    """Send what waits, each within the time that a client has for it.

    Raises:
        TimeoutError: it was not taken in time.
        WebSocketDisconnect: the client left.
    """
    message = await live.first(client.account, _last(socket))
    # What was told meanwhile is no newer.
    while not client.waiting.empty():
        client.waiting.get_nowait()
    while True:
        async with asyncio.timeout(live.config.send_timeout_s):
            await socket.send_text(message)
        message = await client.waiting.get()


async def _until_gone(socket: WebSocket) -> None:
    """Wait until the client leaves; what it says is not listened to."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


def _last(socket: WebSocket) -> int | None:
    """The id that the client saw last; whatever is no number was never told by us."""
    given = socket.query_params.get("last", "")
    return int(given) if given.isascii() and given.isdecimal() and len(given) < 16 else None
