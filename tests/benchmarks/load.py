"""Clients on loopback: closed loops of so many callers, each with one request in flight, and open ones at a rate."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import aiohttp
import numpy as np
import orjson


@dataclass(frozen=True)
class Run:
    """What one run of the load saw; latencies in milliseconds, of the answers that count."""

    concurrency: int
    seconds: float
    latencies_ms: Sequence[float]
    ids: Sequence[str]
    errors: int
    refused: int

    def summary(self) -> dict[str, float | int]:
        """Requests/s, percentiles, errors, and what was told to come back."""
        if not self.latencies_ms:
            nothing = {"concurrency": self.concurrency, "requests_per_s": 0.0}
            return nothing | {"errors": self.errors, "refused": self.refused}
        p50, p95, p99 = np.percentile(self.latencies_ms, [50, 95, 99])
        return {
            "concurrency": self.concurrency,
            "requests": len(self.latencies_ms),
            "requests_per_s": round(len(self.latencies_ms) / self.seconds, 1),
            "p50_ms": round(p50, 1),
            "p95_ms": round(p95, 1),
            "p99_ms": round(p99, 1),
            "errors": self.errors,
            "refused": self.refused,
        }


def counts(body: bytes) -> str | None:
    """The id of an answer that counts (nothing degraded, row committed), or None; of a list of one its only answer."""
    answer = orjson.loads(body)
    if isinstance(answer, list):
        (answer,) = answer
    return answer["id"] if answer["persisted"] and not answer["degraded"] else None


async def run(
    url: str,
    bodies: Iterator[bytes],
    concurrency: int,
    requests: float,
    key: str | None = None,
    *,
    seconds: float = math.inf,
) -> Run:
    """Send `requests` bodies with `concurrency` in flight, none after `seconds`, and keep what came back.

    Who is told by a 503 when to come back waits for so long.
    """
    headers = {"content-type": "application/json"} | ({"x-api-key": key} if key else {})
    latencies: list[float] = []
    ids: list[str] = []
    errors = refused = 0
    left = requests

    async def caller(session: aiohttp.ClientSession) -> None:
        nonlocal errors, left, refused
        while left > 0 and time.perf_counter() < until:
            left -= 1
            started = time.perf_counter()
            try:
                async with session.post(url, data=next(bodies), headers=headers) as response:
                    body = await response.read()
                    identity = counts(body) if response.status == 200 else None
                    wait_s = response.headers.get("retry-after") if response.status == 503 else None
                if wait_s is not None:
                    refused += 1
                    await asyncio.sleep(max(0.0, min(float(wait_s), until - time.perf_counter())))
                    continue
            except (aiohttp.ClientError, TimeoutError):
                identity = None
            if identity is None:
                errors += 1
            else:
                latencies.append((time.perf_counter() - started) * 1000)
                ids.append(identity)

    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(60)) as session:
        started = time.perf_counter()
        until = started + seconds
        await asyncio.gather(*(caller(session) for _ in range(concurrency)))
        return Run(concurrency, time.perf_counter() - started, latencies, ids, errors, refused)


@dataclass(frozen=True)
class Answered:
    """One answer of a paced run: milliseconds from when it was due, and what was missing in it."""

    latency_ms: float
    degraded: tuple[str, ...]


async def paced(url: str, bodies: Iterator[bytes], rate: float, seconds: float) -> list[Answered]:
    """Send `rate` requests a second, whatever comes back: an open loop, in which a slow answer delays no other request.

    Raises:
        RuntimeError: an answer was not 200.
    """
    answered: list[Answered] = []
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(60)) as session:
        started = time.perf_counter()

        async def one(due: float) -> None:
            await asyncio.sleep(max(due - time.perf_counter(), 0.0))
            async with session.post(url, data=next(bodies), headers={"content-type": "application/json"}) as response:
                body = await response.read()
            if response.status != 200:
                raise RuntimeError(f"{response.status}: {body[:200]!r}")
            degraded = tuple(orjson.loads(body)["degraded"])
            answered.append(Answered((time.perf_counter() - due) * 1000, degraded))

        await asyncio.gather(*(one(started + number / rate) for number in range(int(rate * seconds))))
    return answered


class Steady:
    """`rate` requests a second for as long as the context lasts, whatever comes back; the numbers grow meanwhile.

    `failed` notes when (time.monotonic) requests were sent that got no 200 within `timeout_s`, `degraded` of those
    whose answer lacked something or was not stored.
    """

    def __init__(
        self, url: str, bodies: Iterator[bytes], rate: float, key: str | None = None, *, timeout_s: float = 10
    ) -> None:
        self.url, self.bodies, self.rate, self.timeout_s = url, bodies, rate, timeout_s
        self.headers = {"content-type": "application/json"} | ({"x-api-key": key} if key else {})
        self.sent = 0
        self.in_flight = 0
        self.latencies_ms: list[float] = []
        self.failed: list[float] = []
        self.degraded: list[float] = []
        self.why: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        self._pacing = asyncio.create_task(self._pace())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._pacing.cancel()
        await asyncio.wait([self._pacing])
        if not self._pacing.cancelled():
            self._pacing.result()

    async def _pace(self) -> None:
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(self.timeout_s)
        tasks: set[asyncio.Task[None]] = set()
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            started = time.monotonic()
            try:
                while True:
                    due = started + self.sent / self.rate
                    await asyncio.sleep(max(due - time.monotonic(), 0.0))
                    self.sent += 1
                    task = asyncio.create_task(self._one(session, due))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
            finally:
                if tasks:
                    await asyncio.wait(tasks)

    async def _one(self, session: aiohttp.ClientSession, due: float) -> None:
        self.in_flight += 1
        try:
            async with session.post(self.url, data=next(self.bodies), headers=self.headers) as response:
                body = await response.read()
            if response.status != 200:
                self.failed.append(due)
                self.why[str(response.status)] += 1
            elif counts(body) is None:
                self.degraded.append(due)
            self.latencies_ms.append((time.monotonic() - due) * 1000)
        except (aiohttp.ClientError, TimeoutError) as error:
            self.failed.append(due)
            self.why[type(error).__name__] += 1
        finally:
            self.in_flight -= 1
