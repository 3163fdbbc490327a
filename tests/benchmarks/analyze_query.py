"""make bench: POST /analyze-query on our cluster, on the same graph in Serve's default mode, and on plain FastAPI.

Systems are started one after the other in every round, so that noise of the machine hits all of them; the table shows
medians and the range over rounds. An answer counts only if it is 200, nothing is degraded, it says `persisted: true`,
and SQL finds its row. Writes one JSON into tests/benchmarks/results.
"""

import argparse
import asyncio
import datetime as dt
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import psutil
import uvloop
import yaml

from store.migrate import migrate
from supervisor.embedded import EmbeddedPostgres, EmbeddedRedis
from supervisor.ports import free_port
from tests.benchmarks.load import Run, run
from tests.benchmarks.plain_fastapi import batches

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).parent / "results"
CONCURRENCIES = (1, 16, 64)
START_S = 120
_numbers = itertools.count(time.time_ns() // 1000)
# name -> (kind, what to start, environment)
SYSTEMS: dict[str, tuple[str, str, dict[str, str]]] = {
    "ours": ("cluster", "serve_config.yaml", {"flags": "1"}),
    "default mode, uncoalesced": ("cluster", "uncoalesced.yaml", {"flags": "0"}),
    "FastAPI, 1 worker": ("uvicorn", "plain", {"WORKERS": "1", "THREADS": "2"}),
    "FastAPI, 2 workers": ("uvicorn", "plain", {"WORKERS": "2", "THREADS": "2"}),
    "FastAPI + our batcher, 1 worker": ("uvicorn", "coalesced", {"WORKERS": "1", "THREADS": "1"}),
    "FastAPI + our batcher, 2 workers": ("uvicorn", "coalesced", {"WORKERS": "2", "THREADS": "1"}),
    "ingress answering a constant": ("cluster", "constant.yaml", {"flags": "1"}),
}
LIMIT = "ingress answering a constant"


def bodies() -> Iterator[bytes]:
    """Distinct queries that only want templates."""
    for number in _numbers:
        query = f"We launch our new eco-friendly running shoes number {number} next week. Pre-orders open on Monday!"
        yield orjson.dumps({"query": query, "objectives": ["sales"], "engine": "templates"})


@contextmanager
def servers(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Start Postgres, with our tables, and Redis; yield the database's address and the environment of a system."""
    postgres, redis = EmbeddedPostgres(folder / "s"), EmbeddedRedis(folder / "s")
    postgres.start()
    redis.start()
    try:
        asyncio.run(migrate(postgres.url))
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "MURMURATION"))}
        environment |= {"DATABASE_URL": postgres.url, "REDIS_URL": redis.url, "PYTHONPATH": str(ROOT)}
        yield postgres.url, environment
    finally:
        redis.stop()
        postgres.stop()


def variants(folder: Path) -> None:
    """Write serve_config.yaml without coalescing, and with nothing but an ingress that answers a constant."""
    text = (ROOT / "serve_config.yaml").read_text()
    (folder / "serve_config.yaml").write_text(text)
    tree = yaml.safe_load(text)
    application = tree["applications"][0]
    for deployment in application["deployments"]:
        for stage in deployment["user_config"].get("stages", {}).values():
            stage |= {"max_items": 1, "max_in_flight": 64}
        deployment["max_ongoing_requests"] = 512
        deployment["max_queued_requests"] = -1
    (folder / "uncoalesced.yaml").write_text(yaml.safe_dump(tree))
    tree = yaml.safe_load(text)
    application = tree["applications"][0]
    application["import_path"] = "tests.benchmarks.constant:build"
    application["deployments"] = application["deployments"][:1]
    (folder / "constant.yaml").write_text(yaml.safe_dump(tree))


@contextmanager
def serving(name: str, folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """Start one system, wait until it is ready, and stop it."""
    kind, target, extra = SYSTEMS[name]
    port = free_port()
    log = (folder / "log").open("ab")
    environment = environment | extra
    if kind == "cluster":
        flags = ("RAY_SERVE_THROUGHPUT_OPTIMIZED", "RAY_SERVE_ENABLE_HA_PROXY")
        environment |= dict.fromkeys(flags, extra["flags"])
        command = ["-m", "supervisor.main", "--config", str(folder / target), "--port", str(port)]
        command += ["--dashboard-port", str(free_port()), "--ray-temp", str(folder / "r"), "--data", str(folder / "d")]
    else:
        command = ["-m", "uvicorn", f"tests.benchmarks.plain_fastapi:{target}", "--factory", "--port", str(port)]
        command += ["--workers", extra["WORKERS"], "--log-level", "warning", "--no-access-log"]
    process = subprocess.Popen([sys.executable, *command], cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(process, url, folder / "log")
        yield url
    finally:
        process.terminate()
        process.wait(90)
        log.close()


def wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=2):
                time.sleep(2)  # the other workers of uvicorn
                return
        except OSError:
            time.sleep(0.3)
    raise RuntimeError(f"not ready:\n{log.read_text()[-3000:]}")


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
            keys = [key for key in cells[0] if key not in {"concurrency", "requests", "errors"}]
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
        "ratios_at_64": {
            "to the limit": round(ours / limit, 2),
            **{
                f"to {name}": round(ours / systems[name]["64"]["requests_per_s"]["median"], 2)
                for name in systems
                if name not in {"ours", LIMIT}
            },
        },
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
    ratios = ", ".join(f"{ratio} {name}" for name, ratio in result["ratios_at_64"].items())
    stages = ", ".join(f"{name} {ms}" for name, ms in result["stages_ms"].items())
    lines += ["", limit.format(**result), f"ours at 64: {ratios}", f"ms a text in batches of 64, by stage: {stages}"]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=3000, help="at concurrency 64; fewer for slower settings")
    parser.add_argument("--only", nargs="*", help="these systems; nothing is written then")
    arguments = parser.parse_args()
    requests = {1: max(20, arguments.requests // 20), 16: arguments.requests // 2, 64: arguments.requests}
    slow = {concurrency: max(20, number // 10) for concurrency, number in requests.items()}
    rounds = []
    with tempfile.TemporaryDirectory(prefix="mb", dir="/tmp") as temporary:
        folder = Path(temporary)
        folder.chmod(0o711)
        variants(folder)
        with servers(folder) as (database_url, environment):
            os.environ["REDIS_URL"] = environment["REDIS_URL"]
            for number in range(arguments.rounds):
                one: dict[str, Any] = {"systems": {}}
                for name in arguments.only or SYSTEMS:
                    print(f"round {number + 1}/{arguments.rounds}: {name}", file=sys.stderr, flush=True)
                    with serving(name, folder, environment) as url:
                        load = slow if name.startswith("default") else requests
                        one["systems"][name] = uvloop.run(measure(url, database_url, load, rows=name != LIMIT))
                    print(f"  {one['systems'][name]}", file=sys.stderr, flush=True)
                one["pipeline_texts_per_s"], one["stages_ms"] = pipeline_rate(5, database_url)
                print(f"  pipeline: {one['pipeline_texts_per_s']:.0f} texts/s", file=sys.stderr, flush=True)
                rounds.append(one)
    if arguments.only:
        return
    result = {
        "benchmark": "analyze_query",
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30),
            "python": platform.python_version(),
        },
        "commit": subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip(),
        "rounds": arguments.rounds,
    } | collect(rounds)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "analyze_query.json").write_text(json.dumps(result, indent=1) + "\n")
    print(table(result))


if __name__ == "__main__":
    main()
