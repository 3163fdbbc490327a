"""What is going on, told to those who watch: one task a replica reads the figures and serializes them once for all.

It runs only while somebody watches, and a little longer, for those who come back. Ids are Unix milliseconds of a tick
that all replicas share, so that who comes back to another replica is told what that one still knows.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from ray.exceptions import RayError

from deployments.ray_metrics import unknown
from deployments.settings import LiveConfig
from store.errors import StoreUnavailable
from store.figures import Figures

# A client that has not taken so many messages is too slow.
WAITING = 2
# How much of a tick its figures may take.
SHARE_OF_TICK = 0.6
# The first message waits for figures rather than to come without them.
FIRST_S = 3.0
POINT = ("per_s", "p50_ms", "p95_ms", "p99_ms", "error_share")
ReadFigures = Callable[[str, datetime], Awaitable[Figures]]
ReadSystem = Callable[[], Awaitable[dict[str, Any]]]
logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Client:
    """Somebody who watches; `waiting` holds the messages that were not taken yet."""

    account: str
    waiting: asyncio.Queue[str] = field(default_factory=lambda: asyncio.Queue(WAITING))
    dropped: asyncio.Event = field(default_factory=asyncio.Event)


class Live:
    """The watchers of one replica, and what they are told.

    Args:
        read_figures: what the database knows of an account; raises StoreUnavailable.
        read_system: what Ray knows of the cluster; None outside of Ray.
        config: may change while serving.
        clock: Unix seconds.
    """

    def __init__(
        self,
        read_figures: ReadFigures,
        read_system: ReadSystem | None,
        config: LiveConfig,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.config = config
        self.closed = False
        self._read_figures = read_figures
        self._read_system = read_system
        self._clock = clock
        self._clients: set[Client] = set()
        self._points: deque[dict[str, Any]] = deque()
        self._system = unknown(supported=read_system is not None)
        self._system_at: datetime | None = None
        self._reading: asyncio.Task[None] | None = None
        self._shared: dict[str, asyncio.Task[Figures | None]] = {}
        self._telling: asyncio.Task[None] | None = None
        self._wanted_until = 0.0

    @property
    def n_clients(self) -> int:
        """How many watch now."""
        return len(self._clients)

    def join(self, account: str) -> Client | None:
        """Let somebody watch what is told from now on; None where the replica, or the account, has as many as it may.

        One account may have half of them.
        """
        of_account = sum(client.account == account for client in self._clients)
        if len(self._clients) >= self.config.max_clients or of_account >= max(1, self.config.max_clients // 2):
            return None
        client = Client(account)
        self._clients.add(client)
        self._keep_telling()
        return client

    def leave(self, client: Client) -> None:
        """Tell somebody no more."""
        self._clients.discard(client)

    async def first(self, account: str, last: int | None) -> str:
        """The message for somebody who comes: all figures, and the points after `last`, or all that are kept.

        `resumed` is false where something between may be missing, so that the points stand in place of older ones.
        """
        self._keep_telling()
        if self._system_at is None:
            await asyncio.wait([self._read()], timeout=FIRST_S)
        try:
            figures = await self._figures(account, FIRST_S)
        except TimeoutError:
            figures = None
        points = list(self._points)
        resumed = last is not None and bool(points) and points[0]["id"] <= last <= self._tick()
        series = [point for point in points if last is None or not resumed or point["id"] > last]
        return self._message(
            {"kind": "snapshot", "every_s": self.config.every_s, "resumed": resumed, "series": series}
            | self._snapshot(figures)
        )

    async def close(self) -> None:
        """Stop telling; those who watch are told to come back."""
        self.closed = True
        for client in tuple(self._clients):
            client.dropped.set()
        for task in (self._telling, self._reading):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.wait([task])

    def _tick(self) -> int:
        """The id of the last tick."""
        return int(self._clock() // self.config.every_s * self.config.every_s * 1000)

    def _keep_telling(self) -> None:
        self._wanted_until = self._clock() + self.config.linger_s
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell_forever())

    async def _tell_forever(self) -> None:
        while self._clients or self._clock() < self._wanted_until:
            await asyncio.sleep(self.config.every_s - self._clock() % self.config.every_s)
            try:
                await self._tell()
            except Exception:
                # Those who watch see that it went quiet, and the next tick may do better.
                logger.exception("live figures not told", extra={"action": "live_failed"})
        # Nobody knows what happens from here on.
        self._points.clear()
        self._system_at = None

    async def _tell(self) -> None:
        """Read all figures, serialize them once for each account, and hand them to those who watch."""
        within_s = self.config.every_s * SHARE_OF_TICK
        accounts = {client.account for client in self._clients}
        reading = self._read()
        _, found = await asyncio.gather(
            asyncio.wait([reading], timeout=within_s), asyncio.gather(*(self._timely(a, within_s) for a in accounts))
        )
        messages = dict(zip(accounts, map(self._message, found), strict=True))
        for client in tuple(self._clients):
            # Who came meanwhile has just been told.
            if client.account in messages:
                self._hand(client, messages[client.account])

    def _hand(self, client: Client, message: str) -> None:
        try:
            client.waiting.put_nowait(message)
        except asyncio.QueueFull:
            self._clients.discard(client)
            client.dropped.set()

    async def _timely(self, account: str, within_s: float) -> dict[str, Any]:
        """What an account is told now: its figures, or a sign of life where those take too long."""
        try:
            figures = await self._figures(account, within_s)
        except TimeoutError:
            return {"kind": "heartbeat"}
        return {"kind": "snapshot"} | self._snapshot(figures)

    async def _figures(self, account: str, within_s: float) -> Figures | None:
        """What the database knows of an account, read once for all who ask at a time; None where it does not answer."""
        task = self._shared.get(account)
        if task is None:
            task = self._shared[account] = asyncio.create_task(self._ask(account))
            task.add_done_callback(lambda _: self._shared.pop(account, None))
        # Not wait_for, which forgets a cancellation that comes with the answer (gh-86296).
        async with asyncio.timeout(within_s):
            return await asyncio.shield(task)

    async def _ask(self, account: str) -> Figures | None:
        try:
            return await self._read_figures(account, datetime.fromtimestamp(self._clock(), UTC))
        except StoreUnavailable:
            return None

    def _read(self) -> asyncio.Task[None]:
        """The reading of the cluster that is under way, or a new one."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_once())
        return self._reading

    async def _read_once(self) -> None:
        if self._read_system is not None:
            try:
                self._system = await self._read_system()
            except RayError as error:
                # What is told then is as old as its `at` says.
                logger.warning("no figures of the cluster: %s", error, extra={"action": "live_unread"})
                return
            self._keep(self._system)
        self._system_at = datetime.fromtimestamp(self._clock(), UTC)

    def _keep(self, system: dict[str, Any]) -> None:
        requests, now = system["requests"], self._tick()
        point = {"id": now, **{name: requests[name] for name in POINT}}
        point["degraded_share"] = system["answers"]["degraded_share"]
        if self._points and self._points[-1]["id"] == now:
            self._points.pop()
        self._points.append(point)
        while self._points[0]["id"] < now - self.config.keep_s * 1000:
            self._points.popleft()

    def _snapshot(self, figures: Figures | None) -> dict[str, Any]:
        return {"account": figures, "system": self._system | {"at": self._system_at}}

    def _message(self, content: dict[str, Any]) -> str:
        head = {"id": self._tick(), "at": datetime.fromtimestamp(self._clock(), UTC)}
        return orjson.dumps(head | content).decode()
