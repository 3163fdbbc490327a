"""python -m tests.benchmarks.generation: what it takes to be written to, and what it costs those who are not.

On the whole product with our own writer: `POST /generate` for five candidates by one and by four callers; the polish
where `latency_budget_ms` asks for it; p99 of requests that want no writer, while the writer is idle and while eight
callers keep it busy; the memory of each replica. Real queries, no two equal; writes one JSON into results.
"""

import asyncio
import itertools
import json
import statistics
from collections.abc import Iterator
from typing import Any

import aiohttp
import numpy as np
import orjson
import uvloop

from tests.benchmarks import machine
from tests.benchmarks.load import Answered, paced
from tests.benchmarks.systems import Running, alone, titled

QUERIES = json.loads((machine.ROOT / "tests/models/queries.json").read_text())
N = 5
REQUESTS = {1: 40, 4: 60}
BUDGET_MS = 300
TEMPLATE_RATE, TEMPLATE_SECONDS, ROUNDS = 10.0, 15.0, 3
WRITER_CALLERS = 8


def briefs(start: int = 0, **more: Any) -> Iterator[bytes]:
    """Real queries, each with its own objectives and tone; no two are equal, so that none comes out of a cache."""
    for number in itertools.count(start):
        query = QUERIES[number % len(QUERIES)]
        body = {name: query[name] for name in ("query", "language", "objectives", "tone")}
        yield orjson.dumps(body | {"n": N, "seed": number} | more)


def queries(start: int = 0) -> Iterator[bytes]:
    """The same for /analyze-query without a writer."""
    for body in briefs(start, engine="templates"):
        query = orjson.loads(body)
        query["n_templates"] = query.pop("n")
        yield orjson.dumps(query)


def figures(answered: list[Answered]) -> dict[str, float]:
    p50, p95, p99 = (float(value) for value in np.percentile([one.latency_ms for one in answered], [50, 95, 99]))
    degraded = sum(bool(one.degraded) for one in answered) / len(answered)
    return {
        "requests": len(answered),
        "p50_ms": round(p50, 1),
        "p95_ms": round(p95, 1),
        "p99_ms": round(p99, 1),
        "degraded": round(degraded, 4),
    }


async def generate(url: str) -> dict[str, Any]:
    """Five candidates by one and by four callers, each with one call in flight, English queries alone."""
    found: dict[str, Any] = {}
    for callers, requests in REQUESTS.items():
        answered = await _asked(url, callers, requests, 1_000 * callers)
        sources = [candidate["source"] for one in answered for candidate in one["answer"].get("candidates") or ()]
        found[str(callers)] = _summary(answered) | {
            "candidates": round(len(sources) / len(answered), 2),
            "by_the_writer": round(sources.count("lm") / len(answered), 2),
        }
        print(callers, json.dumps(found[str(callers)]), flush=True)
    return found


async def within_budget(url: str) -> dict[str, Any]:
    """What a caller who gives 300 ms waits for: the polish, and the writer's where it is in time."""
    found = _summary(await _asked(url, 1, 40, 50_000, latency_budget_ms=BUDGET_MS))
    print(BUDGET_MS, json.dumps(found), flush=True)
    return found


async def _asked(url: str, callers: int, requests: int, start: int, **more: Any) -> list[dict[str, Any]]:
    english = [query for query in QUERIES if query["language"] == "en"]
    numbers = itertools.count(start)
    answered: list[dict[str, Any]] = []

    async def call(session: aiohttp.ClientSession) -> None:
        while len(answered) < requests:
            number = next(numbers)
            query = english[number % len(english)]
            body = {name: query[name] for name in ("query", "objectives", "tone")} | {"n": N, "seed": number} | more
            began = asyncio.get_running_loop().time()
            async with session.post(f"{url}/generate", json=body) as response:
                answer = await response.json()
                took_ms = 1000 * (asyncio.get_running_loop().time() - began)
                answered.append({"status": response.status, "ms": took_ms, "answer": answer})

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(90)) as session:
        await asyncio.gather(*(call(session) for _ in range(callers)))
    return answered


def _summary(answered: list[dict[str, Any]]) -> dict[str, Any]:
    p50, p95 = np.percentile([one["ms"] for one in answered], [50, 95])
    return {
        "requests": len(answered),
        "lost": sum(one["status"] != 200 for one in answered),
        "degraded": sum(bool(one["answer"].get("degraded")) for one in answered),
        "p50_ms": round(float(p50)),
        "p95_ms": round(float(p95)),
    }


async def beside(url: str) -> dict[str, Any]:
    """p99 of requests that want no writer, while it is idle and while it is busy, in turn."""
    await paced(f"{url}/analyze-query", queries(10_000), 8, 5)
    rows: dict[str, list[dict[str, float]]] = {"idle": [], "busy": []}
    for number in range(ROUNDS):
        for name, found in rows.items():
            callers = range(WRITER_CALLERS if name == "busy" else 0)
            busy = [asyncio.create_task(_keep_busy(url, 100_000 * (1 + number * 100 + caller))) for caller in callers]
            await asyncio.sleep(3)
            start = 1_000_000 * (number * 2 + (name == "busy") + 1)
            answered = await paced(f"{url}/analyze-query", queries(start), TEMPLATE_RATE, TEMPLATE_SECONDS)
            found.append(figures(answered))
            print(name, json.dumps(found[-1]), flush=True)
            for task in busy:
                task.cancel()
            await asyncio.gather(*busy, return_exceptions=True)
            await asyncio.sleep(2)
    medians = {name: statistics.median(row["p99_ms"] for row in found) for name, found in rows.items()}
    return rows | {"p99_ratio": round(medians["busy"] / medians["idle"], 2)}


async def _keep_busy(url: str, start: int) -> None:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(90)) as session:
        for body in briefs(start, engine="lm"):
            headers = {"content-type": "application/json"}
            async with session.post(f"{url}/generate", data=body, headers=headers) as response:
                await response.read()


def memory_mib(running: Running) -> dict[str, int]:
    """Resident MiB of each replica."""
    found: dict[str, int] = {}
    for process in running.processes():
        title = titled(process)
        if "ServeReplica:murmuration:" in title:
            name = title.split("ServeReplica:murmuration:")[1].split()[0].split("#")[0]
            found[name] = max(found.get(name, 0), process.memory_info().rss >> 20)
    return found


def table(result: dict[str, Any]) -> str:
    """The figures as docs/speed.md shows them."""
    rows = [
        "| callers of `/generate`, five candidates | p50 | p95 | candidates | by the writer | lost |",
        "|---|---|---|---|---|---|",
    ]
    for callers, row in result["generate"].items():
        rows.append(
            f"| {callers} | {row['p50_ms'] / 1000:.1f} s | {row['p95_ms'] / 1000:.1f} s | {row['candidates']} "
            f"| {row['by_the_writer']} | {row['lost']} |"
        )
    return "\n".join(rows)


def main() -> None:
    result: dict[str, Any] = {"benchmark": "generation", **machine.described()}
    with alone() as running:
        result["generate"] = uvloop.run(generate(running.url))
        result["within_300_ms"] = uvloop.run(within_budget(running.url))
        result["without_a_writer"] = uvloop.run(beside(running.url))
        result["memory_mib"] = memory_mib(running)
    machine.write("generation", result)
    print(table(result))


if __name__ == "__main__":
    main()
