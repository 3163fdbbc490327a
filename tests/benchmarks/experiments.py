"""python -m tests.benchmarks.experiments: events a second into Postgres over HTTP, and what results and assign cost.

A whole product on loopback, in batches of three sizes, with the writers that fill it best; every event is of a unit of
its own or engages with one, and SQL counts what arrived. Writes one JSON into results.
"""

import asyncio
import itertools
import statistics
import time
from collections.abc import Iterator
from typing import Any

import aiohttp
import asyncpg
import numpy as np
import orjson
import uvloop

from tests.benchmarks import machine
from tests.benchmarks.systems import alone

EVENTS, WRITERS, ROUNDS = 60_000, 8, 3
SIZES = (100, 1_000, 10_000)
READS = 200


def batches(size: int, mark: str) -> Iterator[bytes]:
    """Bodies of `size` events: nine impressions of new units, then an engagement of the last of them."""
    for first in itertools.count(0, size):
        events = []
        for index in range(first, first + size):
            unit = f"{mark}-unit-{index - (index % 10 == 9)}"
            kind = "engagement" if index % 10 == 9 else "impression"
            variant = ("control", "b")[index // 10 % 2]
            events.append({"event_id": f"{mark}-{index}", "unit": unit, "variant": variant, "type": kind})
        yield orjson.dumps({"events": events})


async def fill(session: aiohttp.ClientSession, experiment: str, size: int, mark: str) -> float:
    """Return the events a second of one fill."""
    bodies = list(itertools.islice(batches(size, mark), EVENTS // size))
    headers = {"content-type": "application/json"}

    async def writer(first: int) -> None:
        for body in bodies[first::WRITERS]:
            async with session.post(f"/ab-test/{experiment}/events", data=body, headers=headers) as answer:
                told = await answer.json()
                assert (answer.status, told["accepted"]) == (200, size), told

    started = time.perf_counter()
    await asyncio.gather(*(writer(first) for first in range(WRITERS)))
    return EVENTS / (time.perf_counter() - started)


async def milliseconds(session: aiohttp.ClientSession, path: str, n: int) -> dict[str, float]:
    """Return percentiles of `n` lone calls, one after the other."""
    taken = []
    for number in range(n):
        started = time.perf_counter()
        async with session.get(path.format(number)) as answer:
            await answer.read()
            assert answer.status == 200
        taken.append(1000 * (time.perf_counter() - started))
    p50, p95 = np.percentile(taken, [50, 95])
    return {"p50_ms": round(float(p50), 1), "p95_ms": round(float(p95), 1)}


async def measure(url: str, database_url: str) -> dict[str, Any]:
    """Return every figure."""
    two = {"name": "bench", "variants": [{"name": "control"}, {"name": "b"}]}
    rates: dict[int, list[float]] = {size: [] for size in SIZES}
    async with aiohttp.ClientSession(url) as session:
        async with session.post("/ab-test/create", json=two) as answer:
            experiment = (await answer.json())["id"]
        for number in range(ROUNDS):
            for size in SIZES:
                rates[size].append(await fill(session, experiment, size, f"{number}-{size}"))
                print(size, round(rates[size][-1]), flush=True)
        assign = await milliseconds(session, f"/ab-test/{experiment}/assign?unit=user-{{}}", READS)
        results = await milliseconds(session, f"/ab-test/{experiment}/results", READS // 10)
    connection = await asyncpg.connect(database_url)
    counted = await connection.fetchval("SELECT count(*) FROM experiment_events")
    await connection.close()
    assert counted == EVENTS * ROUNDS * len(SIZES)
    return {
        "events_per_s": {
            str(size): {
                "median": round(statistics.median(found)), "lowest": round(min(found)), "highest": round(max(found))
            }
            for size, found in rates.items()
        },
        "events": counted,
        "assign": assign,
        "results": results,
    }  # fmt: skip


def table(found: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    lines = [f"| events a batch ({WRITERS} writers) | events/s (range) |", "|---|---|"]
    for size, one in found["events_per_s"].items():
        lines.append(f"| {int(size):,} | {one['median']:,} ({one['lowest']:,} to {one['highest']:,}) |")
    lines += ["", "| call | p50 ms | p95 ms |", "|---|---|---|"]
    lines.append(f"| `/assign` | {found['assign']['p50_ms']} | {found['assign']['p95_ms']} |")
    results = found["results"]
    lines.append(f"| `/results` of {found['events']:,} events | {results['p50_ms']} | {results['p95_ms']} |")
    return "\n".join(lines)


def main() -> None:
    with alone() as running:
        found = uvloop.run(measure(running.url, running.database_url))
    found |= {"benchmark": "experiments", **machine.described()}
    machine.write("experiments", found)
    print(table(found))


if __name__ == "__main__":
    main()
