"""python -m tests.benchmarks.unit_costs: what one request costs each part, for tests.simulations.scale.

Every stage in batches of 1 to 64, the ingress around them, a row in Postgres with its WAL, an entry in Redis. CPU time,
not the clock's: other work on the machine counts little. Real models, real servers, one process, no cluster; takes
minutes and writes one JSON into tests/benchmarks/results.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import datetime as dt
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import numpy as np
import orjson
import psutil
import redis
import uuid_utils.compat

from deployments.answers import Answers
from deployments.http.gate import ANYBODY
from deployments.http.ingress import create_api
from deployments.stages import STAGES, Handles, Stages
from pipelines.generator.candidates import Engines
from store.cache import Cache
from store.migrate import migrate
from store.postgres import AnalyzedQuery, Store
from supervisor.embedded import EmbeddedPostgres, EmbeddedRedis
from tests.benchmarks.local import Unwatched, ingress_config, models, on

RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).resolve().parents[2]
SIZES = (1, 2, 4, 8, 16, 32, 64)
REPEATS = 3
PARTS = ("ingress", "stages", "redis", "postgres")
POSTS = 1_000_000
EVENTS = 200_000
ENTRIES = 20_000
TABLES = ("analyzed_queries", "posts", "performance_metrics", "x_posts", "experiment_events", "experiment_units")
SIZE = "SELECT pg_relation_size($1), pg_indexes_size($1), pg_table_size($1) - pg_relation_size($1)"
FILL_POSTS = """
INSERT INTO posts (account_id, post_id, posted_at, text, import_id)
SELECT 'account' || n % 1000, (1700000000000000000 + n)::text, '2026-01-01'::timestamptz + n * interval '1 second',
    ($1::text[])[1 + n % cardinality($1::text[])], '019aa000-0000-7000-8000-000000000001'
FROM generate_series(1, $2::int) n
"""
FILL_METRICS = """
INSERT INTO performance_metrics (account_id, post_id, impressions, engagements, clicks, retweets, likes, replies,
    captured_at, source, import_id)
SELECT account_id, post_id, 1000, 40, 5, 7, 28, 3, posted_at + interval '7 days', 'x_api', import_id FROM posts
"""
FILL_X_POSTS = "INSERT INTO x_posts SELECT account_id, post_id, posted_at, posted_at, posted_at FROM posts"
FILL_EVENTS = """
INSERT INTO experiment_events (experiment_id, event_id, variant, engagement, unit, at)
SELECT $1, 'event-' || n, n % 2, false, 'user-' || n, now() FROM generate_series(1, $2::int) n
"""
FILL_UNITS = """
INSERT INTO experiment_units (experiment_id, variant, unit, exposed_at, mismatch)
SELECT $1, n % 2, 'user-' || n, now(), false FROM generate_series(1, $2::int) n
"""
NUMBER = re.compile(rb"(\d\.\d{1,3})\d*")
# Rows a statement -> statements.
STATEMENTS = {1: 1_000, 8: 1_000, 64: 500}


def briefs() -> list[str]:
    """The English briefs of training/briefs: real queries of 2 to some 600 characters."""
    paths = sorted(ROOT.glob("training/briefs/en_*.jsonl"))
    rows = [json.loads(line) for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
    return [row["brief"] for row in rows]


def fit(costs: dict[int, float]) -> dict[str, float]:
    """Fixed and per-item milliseconds of a call, by least squares on the relative error; ms by items of a call."""
    items = np.array(list(costs), np.float64)
    taken = np.array(list(costs.values()))
    design = np.column_stack([1 / taken, items / taken])
    (fixed, each), *_ = np.linalg.lstsq(design, np.ones(len(items)), rcond=None)
    # A call cannot cost less than nothing; where the line crosses below, all of it is by the item.
    if fixed < 0:
        fixed, each = 0.0, float((items / taken).sum() / (items**2 / taken**2).sum())
    return {"fixed_ms": round(float(fixed), 4), "item_ms": round(float(each), 4)}


def cpu_ms(call: Callable[[], object]) -> float:
    """Milliseconds of CPU of this process that a call takes: the median of REPEATS."""
    taken = []
    for _ in range(REPEATS):
        before = time.process_time()
        call()
        taken.append(1000 * (time.process_time() - before))
    return statistics.median(taken)


class Recorded:
    """Handles that note what the graph asks of each stage."""

    def __init__(self, handles: Handles) -> None:
        self.asked: dict[str, list[list[Any]]] = defaultdict(list)
        self.handles = Handles(**{name: self._noted(name, vars(model)) for name, model in vars(handles).items()})

    def _noted(self, name: str, methods: dict[str, Any]) -> SimpleNamespace:
        def noted(method: str, function: Any) -> Any:
            def call(items: list[Any]) -> Any:
                self.asked[f"{name}.{method}"].append(items)
                return function(items)

            return call

        return SimpleNamespace(**{method: noted(method, function) for method, function in methods.items()})


def stages(handles: Handles, asked: dict[str, list[list[Any]]], requests: int) -> dict[str, Any]:
    """What each stage that /analyze-query asks costs in CPU: items a request, fixed and per-item milliseconds."""
    found = {}
    for name, stage in STAGES.items():
        items = [item for batch in asked.get(f"{stage.model}.{stage.method}", ()) for item in batch]
        if not items:
            continue
        method = getattr(getattr(handles, stage.model), stage.method)
        sizes = [size for size in (*SIZES, 128, 256) if size <= len(items)]
        costs = {}
        for size in sizes:
            # Several calls of small batches, so that a few odd texts do not decide.
            batches = [
                items[start : start + size] for start in range(0, min(len(items) // size, 64 // size + 1) * size, size)
            ]
            costs[size] = cpu_ms(lambda batches=batches, method=method: [method(batch) for batch in batches]) / len(
                batches
            )
        found[name] = {"items": round(len(items) / requests, 2)} | fit(costs)
        found[name]["call_ms"] = {str(size): round(cost, 3) for size, cost in costs.items()}
    return found


async def ask(app: Any, text: str) -> bytes:
    """The body of an answer to /analyze-query, from the app itself without a socket."""
    body = orjson.dumps({"query": text, "objectives": ["sales"], "engine": "templates"})
    sent: list[dict[str, Any]] = []
    received = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> dict[str, Any]:
        return next(received, {"type": "http.disconnect"})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/analyze-query",
        "raw_path": b"/analyze-query",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await app(scope, receive, send)
    if sent[0]["status"] != 200:
        raise RuntimeError(f"{sent[0]['status']}: {sent[1]['body']!r}")
    return b"".join(message.get("body", b"") for message in sent)


async def ingress(app: Any, texts: Sequence[str], concurrency: int) -> tuple[float, list[bytes]]:
    """CPU milliseconds a request of the thread that the ingress' loop runs on, and the answers."""
    left = iter(texts)
    answers: list[bytes] = []

    async def caller() -> None:
        for text in left:
            answers.append(await ask(app, text))  # noqa: PERF401  # in the order in which they come

    before = time.thread_time()
    await asyncio.gather(*(caller() for _ in range(concurrency)))
    return 1000 * (time.thread_time() - before) / len(texts), answers


async def through_the_app(handles: Handles, texts: list[str], database_url: str, redis_url: str) -> dict[str, Any]:
    """The ingress' own work a request, at 64 at once: nothing of the models, which are on another thread."""
    # On a busy machine nothing is to be late: what is left out of an answer costs nothing.
    config = ingress_config().model_copy(update={"deadline_s": 60.0, "store_deadline_s": 60.0})
    with ThreadPoolExecutor(1) as executor:
        store = await Store.connect(database_url, min_size=1, max_size=config.store_pool_size, timeout_s=30)
        cached = Cache(redis_url, namespace="bench", ttl_s=60, timeout_s=config.cache_timeout_s)
        answers = Answers(
            Stages(on(executor, handles), config.limits(), Unwatched()),
            store,
            cached,
            config,
            engines=Engines(),
            on_cache=lambda _: None,
            on_answer=lambda _: None,
        )
        api = create_api(SimpleNamespace(answers=answers))  # type: ignore[arg-type]  # the routes of a query need no more

        async def app(scope: Any, receive: Any, send: Any) -> None:
            scope |= {"account": "default", "caller": ANYBODY}
            await api(scope, receive, send)

        await ingress(app, texts[:64], 16)
        alone, _ = await ingress(app, texts[64:164], 1)
        together, bodies = await ingress(app, texts[164:], 64)
        await cached.close()
        await store.close()
    return {
        "alone_ms": round(alone, 3),
        "at_64_ms": round(together, 3),
        "answer_bytes": round(statistics.mean(map(len, bodies))),
        "answers": len(bodies),
    }


def server_cpu_s(postgres: EmbeddedPostgres) -> float:
    """CPU seconds so far of the server and its backends that still run."""
    assert postgres.pid is not None
    top = psutil.Process(postgres.pid)
    return sum(sum(one.cpu_times()[:2]) for one in (top, *top.children(recursive=True)))


async def sizes(connection: asyncpg.Connection, tables: Sequence[str] = TABLES) -> dict[str, dict[str, float]]:
    """Bytes a row of each table: heap, indexes, and what is kept apart from the heap (TOAST, maps)."""
    found = {}
    for table in tables:
        await connection.execute(f"VACUUM ANALYZE {table}")
        rows = await connection.fetchval(f"SELECT count(*) FROM {table}")
        heap, indexes, apart = await connection.fetchrow(SIZE, table)
        found[table] = {
            "rows": rows,
            "heap": round(heap / rows),
            "indexes": round(indexes / rows),
            "apart": round(apart / rows),
        }
    return found


def unlike(row: AnalyzedQuery, number: int) -> AnalyzedQuery:
    """The same answer with texts and numbers that no other has: the GIN index would keep equal ones once."""
    body = NUMBER.sub(rb"\g<1>%d" % number, row.analysis_result).replace(b'"text": "', b'"text": "%d ' % number)
    account = f"account{number % 1000}"
    return dataclasses.replace(row, id=uuid_utils.compat.uuid7(), account_id=account, analysis_result=body)


async def writes(postgres: EmbeddedPostgres, rows: list[AnalyzedQuery]) -> dict[str, Any]:
    """What rows of analyzed_queries cost Postgres, by rows a statement: WAL bytes, CPU, and what the caller waits."""
    store = await Store.connect(postgres.url, min_size=1, max_size=1, timeout_s=60)
    connection = await asyncpg.connect(postgres.url.replace("murmuration@", "postgres@"))
    costs, waited, wal = {}, {}, {}
    numbers = itertools.count(1_000_000)
    try:
        for size, statements in STATEMENTS.items():
            fresh = [
                [unlike(rows[number % len(rows)], number) for number in itertools.islice(numbers, size)]
                for _ in range(statements)
            ]
            await connection.execute("CHECKPOINT")
            at = await connection.fetchval("SELECT pg_current_wal_insert_lsn()")
            cpu, waits = server_cpu_s(postgres), []
            for batch in fresh:
                started = time.perf_counter()
                await store.save_queries(batch)
                waits.append(time.perf_counter() - started)
            waited[size] = 1000 * statistics.median(waits)
            costs[size] = 1000 * (server_cpu_s(postgres) - cpu) / statements
            written = await connection.fetchval("SELECT pg_current_wal_insert_lsn() - $1::pg_lsn", at)
            wal[size] = round(float(written) / statements / size)
    finally:
        await connection.close()
        await store.close()
    return {
        "cpu": fit(costs) | {"call_ms": {str(size): round(cost, 2) for size, cost in costs.items()}},
        "wait_ms": {str(size): round(wait, 2) for size, wait in waited.items()},
        "wal_bytes": {str(size): found for size, found in wal.items()},
    }


async def tables(postgres: EmbeddedPostgres, texts: list[str]) -> dict[str, Any]:
    """Bytes a row of every table that grows: of the answers that are there, a million posts, EVENTS events."""
    connection = await asyncpg.connect(postgres.url)
    try:
        await connection.execute(FILL_POSTS, texts, POSTS, timeout=600)
        await connection.execute(FILL_METRICS, timeout=600)
        await connection.execute(FILL_X_POSTS, timeout=600)
        experiment = uuid.uuid4()
        await connection.execute(
            "INSERT INTO experiments (id, name, state, plan) VALUES ($1, 'sizes', 'draft', '{}')", experiment
        )
        await connection.execute(FILL_EVENTS, experiment, EVENTS, timeout=600)
        await connection.execute(FILL_UNITS, experiment, EVENTS, timeout=600)
        found = await sizes(connection)
    finally:
        await connection.close()
    return found


def cache(server: EmbeddedRedis, answers: list[bytes]) -> dict[str, Any]:
    """Bytes of an entry of the cache, and microseconds of Redis' CPU for a GET and a SET over its socket."""
    client = redis.Redis.from_url(server.url)
    client.config_set("maxmemory", "1gb")
    keys = [f"murmuration:default:{number:016x}:{number:064x}" for number in range(ENTRIES)]
    used = client.info("memory")["used_memory"]

    def spent(call: Callable[[str, bytes], object]) -> float:
        before = client.info("cpu")
        for number, key in enumerate(keys):
            call(key, answers[number % len(answers)])
        after = client.info("cpu")
        kinds = ("used_cpu_user", "used_cpu_sys")
        return round(1e6 * sum(after[kind] - before[kind] for kind in kinds) / len(keys), 1)

    set_us = spent(lambda key, body: client.set(key, body, ex=3600))
    entry = (client.info("memory")["used_memory"] - used) / ENTRIES
    get_us = spent(lambda key, _: client.get(key))
    return {"entry_bytes": round(entry), "set_us": set_us, "get_us": get_us}


def told(part: str) -> None:
    print(f"{time.perf_counter():.0f} s: {part}", file=sys.stderr, flush=True)


async def measure(postgres: EmbeddedPostgres, server: EmbeddedRedis, parts: Sequence[str]) -> dict[str, Any]:
    texts = briefs()
    recorded = Recorded(models())
    told("ingress")
    # For Postgres and Redis some hundred answers are enough.
    asked = texts if {"ingress", "stages"} & set(parts) else texts[:564]
    result: dict[str, Any] = {"ingress": await through_the_app(recorded.handles, asked, postgres.url, server.url)}
    if "stages" in parts:
        told("stages")
        result["stages"] = stages(models(), recorded.asked, len(asked))
    connection = await asyncpg.connect(postgres.url)
    stored = await connection.fetch("SELECT * FROM analyzed_queries")
    await connection.close()
    rows = [
        AnalyzedQuery(
            id=row["id"],
            account_id="default",
            query_text=row["query_text"],
            request=row["request"].encode(),
            analysis_result=row["analysis_result"].encode(),
            viral_score=None,
            degraded=(),
            model_versions=row["model_versions"].encode(),
        )
        for row in stored
    ]
    if "redis" in parts:
        told("Redis")
        result["redis"] = cache(server, [row.analysis_result for row in rows])
    if "postgres" in parts:
        told("statements")
        result["postgres"] = await writes(postgres, rows)
        told("tables")
        result["tables"] = await tables(postgres, texts)
    if "ingress" not in parts:
        del result["ingress"]
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, help="measure these; the others stay as they were written")
    only = parser.parse_args().only
    path, load = RESULTS / "unit_costs.json", os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="mu", dir="/tmp") as temporary:
        folder = Path(temporary)
        folder.chmod(0o711)
        postgres, server = EmbeddedPostgres(folder), EmbeddedRedis(folder)
        postgres.start()
        server.start()
        try:
            asyncio.run(migrate(postgres.url))
            measured = asyncio.run(measure(postgres, server, only or PARTS))
        finally:
            server.stop()
            postgres.stop()
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    before = json.loads(path.read_text()) if only else {}
    now = {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "load": [round(load, 1), round(os.getloadavg()[0], 1)],
    }
    when = before.get("when", {}) | dict.fromkeys(only or PARTS, now)
    result = before | {"benchmark": "unit_costs", "machine": f"{os.cpu_count()} cores", "when": when}
    path.write_text(json.dumps(result | measured, indent=1) + "\n")
    print(json.dumps(result | measured, indent=1))


if __name__ == "__main__":
    main()
