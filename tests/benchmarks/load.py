"""A closed loop of clients on loopback: `concurrency` callers, each with one request in flight, for a fixed number."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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

    def summary(self) -> dict[str, float | int]:
        """Requests/s, percentiles and errors."""
        if not self.latencies_ms:
            return {"concurrency": self.concurrency, "requests_per_s": 0.0, "errors": self.errors}
        p50, p95, p99 = np.percentile(self.latencies_ms, [50, 95, 99])
        return {
            "concurrency": self.concurrency,
            "requests": len(self.latencies_ms),
            "requests_per_s": round(len(self.latencies_ms) / self.seconds, 1),
            "p50_ms": round(p50, 1),
            "p95_ms": round(p95, 1),
            "p99_ms": round(p99, 1),
            "errors": self.errors,
        }


def counts(body: bytes) -> str | None:
    """The id of an answer that counts (nothing degraded, row committed), or None."""
    answer = orjson.loads(body)
    return answer["id"] if answer["persisted"] and not answer["degraded"] else None


async def run(url: str, bodies: Iterator[bytes], concurrency: int, requests: int, key: str | None = None) -> Run:
    """Send `requests` bodies with `concurrency` in flight and keep what came back."""
    headers = {"content-type": "application/json"} | ({"x-api-key": key} if key else {})
    latencies: list[float] = []
    ids: list[str] = []
    errors = 0
    left = requests

    async def caller(session: aiohttp.ClientSession) -> None:
        nonlocal errors, left
        while left > 0:
            left -= 1
            started = time.perf_counter()
            try:
                async with session.post(url, data=next(bodies), headers=headers) as response:
                    body = await response.read()
                    identity = counts(body) if response.status == 200 else None
            except aiohttp.ClientError:
                identity = None
            if identity is None:
                errors += 1
            else:
                latencies.append((time.perf_counter() - started) * 1000)
                ids.append(identity)

    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(60)) as session:
        started = time.perf_counter()
        await asyncio.gather(*(caller(session) for _ in range(concurrency)))
        return Run(concurrency, time.perf_counter() - started, latencies, ids, errors)


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
