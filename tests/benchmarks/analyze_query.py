"""make bench: POST /analyze-query on the product, and what limits it: HTTP alone, and the pipelines alone.

Both are started one after the other in every round, so that noise of the machine hits all of them; the table shows
medians and the range over rounds. An answer counts only if it is 200, nothing is degraded, it says `persisted: true`,
and SQL finds its row. Writes one JSON into tests/benchmarks/results.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import uvloop

from tests.benchmarks import machine
from tests.benchmarks.load import Run, run
from tests.benchmarks.local import batches
from tests.benchmarks.systems import bodies, own_database, product, servers, serving

CONCURRENCIES = (1, 16, 64)
LIMIT = "ingress answering a constant"


def constant(tree: dict[str, Any]) -> None:
    """Nothing but an ingress that answers a constant."""
    application = tree["applications"][0]
    application["import_path"] = "tests.benchmarks.constant:build"
    application["deployments"] = application["deployments"][:1]


SYSTEMS = {"ours": product(), LIMIT: product(constant)}


async def measure(url: str, database_url: str, requests: dict[int, int], *, rows: bool) -> list[dict[str, Any]]:
    """Warm up, then run every concurrency; rows that SQL does not find are errors."""
    await run(f"{url}/analyze-query", bodies(), 16, 200)
    summaries = []
    for concurrency, number in requests.items():
        result: Run = await run(f"{url}/analyze-query", bodies(), concurrency, number)
        summary = result.summary()
        if rows:
            connection = await asyncpg.connect(database_url)
            found = await connection.fetchval(
                "SELECT count(*) FROM analyzed_queries WHERE id = ANY($1::uuid[])", list(result.ids)
            )
            await connection.close()
            summary["errors"] += len(result.ids) - found
        summaries.append(summary)
    return summaries


def pipeline_rate(seconds: float, database_url: str) -> tuple[float, dict[str, float]]:
    """Texts/s of two processes that run the pipeline in batches of 64 with its insert, and ms a text of each stage."""
    os.environ["DATABASE_URL"] = database_url
    with ProcessPoolExecutor(2) as pool:
        one, other = pool.map(_batches, [seconds, seconds])
    return one[0] + other[0], {name: (one[1][name] + other[1][name]) / 2 for name in one[1]}


def _batches(seconds: float) -> tuple[float, dict[str, float]]:
    return asyncio.run(batches(seconds))


def spread(values: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(values), 1), "min": min(values), "max": max(values)}


def collect(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians and ranges over rounds, the limit, and the ratios that the aims are about."""
    systems: dict[str, Any] = {}
    for name in rounds[0]["systems"]:
        systems[name] = {}
        for index, concurrency in enumerate(CONCURRENCIES):
            cells = [one["systems"][name][index] for one in rounds]
            keys = [key for key in cells[0] if key not in {"concurrency", "requests", "errors", "refused"}]
            systems[name][str(concurrency)] = {key: spread([cell[key] for cell in cells]) for key in keys} | {
                "errors": sum(cell["errors"] for cell in cells)
            }
    a = statistics.median(one["systems"][LIMIT][-1]["requests_per_s"] for one in rounds)
    b = statistics.median(one["pipeline_texts_per_s"] for one in rounds)
    limit = 1 / (1 / a + 1 / b)
    ours = systems["ours"]["64"]["requests_per_s"]["median"]
    return {
        "systems": systems,
        "constant_requests_per_s": a,
        "pipeline_texts_per_s": round(b, 1),
        "limit_requests_per_s": round(limit, 1),
        "stages_ms": {
            name: round(statistics.median(one["stages_ms"][name] for one in rounds), 3)
            for name in rounds[0]["stages_ms"]
        },
        "of_the_limit": round(ours / limit, 2),
    }


def table(result: dict[str, Any]) -> str:
    lines = ["| system | concurrency | requests/s (range) | p50 ms | p95 ms | p99 ms | errors |", "|" + "---|" * 7]
    for name, by_concurrency in result["systems"].items():
        for concurrency, cell in by_concurrency.items():
            rate = cell["requests_per_s"]
            rates = f"{rate['median']} ({rate['min']} to {rate['max']})"
            numbers = " | ".join(str(cell[key]["median"]) for key in ("p50_ms", "p95_ms", "p99_ms"))
            lines.append(f"| {name} | {concurrency} | {rates} | {numbers} | {cell['errors']} |")
    limit = "limit 1 / (1/{constant_requests_per_s} + 1/{pipeline_texts_per_s}) = {limit_requests_per_s} requests/s"
    stages = ", ".join(f"{name} {ms}" for name, ms in result["stages_ms"].items())
    lines += [
        "",
        limit.format(**result),
        f"ours at 64: {result['of_the_limit']} of the limit",
        f"ms a text in batches of 64, by stage: {stages}",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=3000, help="at concurrency 64; fewer for slower settings")
    parser.add_argument("--only", nargs="*", help="these systems; nothing is written then")
    arguments = parser.parse_args()
    requests = {1: max(20, arguments.requests // 20), 16: arguments.requests // 2, 64: arguments.requests}
    rounds = []
    with tempfile.TemporaryDirectory(prefix="mb", dir="/tmp") as temporary:
        folder = Path(temporary)
        folder.chmod(0o711)
        with servers(folder) as (postgres, environment):
            database_url = asyncio.run(own_database(postgres.url, "queries"))
            os.environ["REDIS_URL"] = environment["REDIS_URL"]
            for number in range(arguments.rounds):
                one: dict[str, Any] = {"systems": {}}
                for name in arguments.only or SYSTEMS:
                    print(f"round {number + 1}/{arguments.rounds}: {name}", file=sys.stderr, flush=True)
                    system, its = SYSTEMS[name], folder / f"{number}{len(one['systems'])}"
                    with serving(name, system, its, database_url, environment) as running:
                        found = measure(running.url, database_url, requests, rows=name != LIMIT)
                        one["systems"][name] = uvloop.run(found)
                    print(f"  {one['systems'][name]}", file=sys.stderr, flush=True)
                one["pipeline_texts_per_s"], one["stages_ms"] = pipeline_rate(5, database_url)
                print(f"  pipeline: {one['pipeline_texts_per_s']:.0f} texts/s", file=sys.stderr, flush=True)
                rounds.append(one)
    if arguments.only:
        return
    result = {"benchmark": "analyze_query", **machine.described(), "rounds": arguments.rounds} | collect(rounds)
    machine.write("analyze_query", result)
    print(table(result))


if __name__ == "__main__":
    main()
