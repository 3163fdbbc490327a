"""A steady load of /analyze-query, as clients that wait for nobody send it: an open loop that keeps every outcome."""

import asyncio
import itertools
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import orjson

from tests.serve.conftest import KEY, Cluster

# A client that waits longer counts as one that hangs.
PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request: when it was due and when it ended (time.monotonic), and its status, or the error in its place."""

    due: float
    ended: float
    status: int | str
    identity: str | None = None
    degraded: tuple[str, ...] = ()
    release: str | None = None

    @property
    def answered(self) -> bool:
        return self.status == 200

    @property
    def whole(self) -> bool:
        """Answered with nothing missing, and stored."""
        return self.identity is not None and not self.degraded


@dataclass
class Load:
    """The outcomes so far; the texts of all its requests begin with `mark`."""

    rate: float
    mark: str = field(default_factory=lambda: f"mark{uuid.uuid4().hex}")
    outcomes: list[Outcome] = field(default_factory=list)

    def acknowledged(self) -> set[str]:
        """Ids of answers that said `persisted: true`."""
        return {outcome.identity for outcome in self.outcomes if outcome.identity}

    def since(self, moment: float) -> list[Outcome]:
        """Outcomes of requests that were due from `moment` on, in that order."""
        return sorted((one for one in self.outcomes if one.due >= moment), key=lambda one: one.due)

    async def lost(self, cluster: Cluster) -> set[str]:
        """Ids that were acknowledged and are not in the database."""
        rows = await cluster.sql("SELECT id FROM analyzed_queries WHERE query_text LIKE $1", f"{self.mark}%")
        return self.acknowledged() - {str(row["id"]) for row in rows}


@asynccontextmanager
async def steady(cluster: Cluster, rate: float) -> AsyncIterator[Load]:
    """Send `rate` requests a second until the block ends; then wait for those in flight."""
    load = Load(rate)
    url, headers = f"{cluster.url}/analyze-query", {"x-api-key": KEY}
    in_flight: set[asyncio.Task[None]] = set()

    async def one(session: aiohttp.ClientSession, number: int, due: float) -> None:
        body = {"query": f"{load.mark} number {number} comes next week", "language": "en", "engine": "templates"}
        try:
            async with session.post(url, json=body, headers=headers) as response:
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            load.outcomes.append(Outcome(due, time.monotonic(), type(error).__name__))
            return
        if response.status != 200:
            load.outcomes.append(Outcome(due, time.monotonic(), response.status))
            return
        answer = orjson.loads(content)
        identity = answer["id"] if answer["persisted"] else None
        load.outcomes.append(
            Outcome(due, time.monotonic(), 200, identity, tuple(answer["degraded"]), answer.get("release"))
        )

    async def send(session: aiohttp.ClientSession) -> None:
        started = time.monotonic()
        for number in itertools.count():
            due = started + number / rate
            await asyncio.sleep(max(due - time.monotonic(), 0.0))
            task = asyncio.create_task(one(session, number, due))
            in_flight.add(task)
            task.add_done_callback(in_flight.discard)

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(PATIENCE_S)) as session:
        sender = asyncio.create_task(send(session))
        try:
            yield load
        finally:
            sender.cancel()
            await asyncio.gather(*in_flight)
