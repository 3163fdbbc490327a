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
