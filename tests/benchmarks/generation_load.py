"""python -m tests.benchmarks.generation_load: what the fluency critic and the language model cost those who ask.

First the highest rate of `POST /analyze-query` with `engine: auto` and four candidates that keeps p95 under 200 ms with
under 5 % degraded; then p99 of requests that want templates alone, while a language model of the bundled size (random
weights) is idle and while eight callers keep it busy. Open loops, real queries; writes one JSON into results.
"""

import asyncio
import datetime as dt
import itertools
import json
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import orjson
import uvloop
import yaml

from tests.benchmarks import analyze_query
from tests.benchmarks.load import Answered, paced
from tests.checkpoints import save_bundled_size

QUERIES = json.loads((analyze_query.ROOT / "tests/models/queries.json").read_text())
RATES = (8, 12, 17, 22, 27, 32, 38, 45, 52, 60)
SECONDS = 12.0
TEMPLATE_RATE, TEMPLATE_SECONDS, ROUNDS = 10.0, 15.0, 3
LM_CALLERS = 8


def bodies(engine: str, start: int = 0, **more: Any) -> Iterator[bytes]:
    """Real queries, each with its own objectives and tone; no two are equal, so that none comes out of a cache."""
    for number in itertools.count(start):
        query = QUERIES[number % len(QUERIES)]
        body = {name: query[name] for name in ("query", "language", "objectives", "tone")}
        yield orjson.dumps(body | {"engine": engine, "n_templates": 4, "seed": number} | more)


def figures(answered: list[Answered]) -> dict[str, float]:
    latencies = [one.latency_ms for one in answered]
    p50, p95, p99 = (float(value) for value in np.percentile(latencies, [50, 95, 99]))
    degraded = sum(bool(one.degraded) for one in answered) / len(answered)
    return {
        "requests": len(answered),
        "p50_ms": round(p50, 1),
        "p95_ms": round(p95, 1),
        "p99_ms": round(p99, 1),
        "degraded": round(degraded, 4),
    }


async def highest_rate(url: str) -> list[dict[str, float]]:
    """Raise the rate until p95 or the degraded answers are too many."""
    await paced(f"{url}/analyze-query", bodies("auto", 10_000), 8, 5)
    rows = []
    for step, rate in enumerate(RATES):
        answered = await paced(f"{url}/analyze-query", bodies("auto", 1_000_000 * (step + 1)), rate, SECONDS)
        row = {"rate": rate, **figures(answered)}
        row["holds"] = bool(row["p95_ms"] < 200 and row["degraded"] < 0.05)
        rows.append(row)
        print(json.dumps(row), flush=True)
        if not row["holds"]:
            break
    return rows


async def templates_beside(url: str) -> dict[str, Any]:
    """p99 of templates alone, idle and beside a busy language model, in turn."""
    await paced(f"{url}/analyze-query", bodies("templates", 10_000), 8, 5)
    rows: dict[str, list[dict[str, float]]] = {"idle": [], "busy": []}
    for number in range(ROUNDS):
        for name, found in rows.items():
            busy = [asyncio.create_task(_ask(url, number * 100 + caller)) for caller in range(LM_CALLERS)]
            if name == "idle":
                for task in busy:
                    task.cancel()
            else:
                await asyncio.sleep(3)
            start = 1_000_000 * (number * 2 + (name == "busy") + 1)
            answered = await paced(f"{url}/analyze-query", bodies("templates", start), TEMPLATE_RATE, TEMPLATE_SECONDS)
            found.append(figures(answered))
            print(name, json.dumps(found[-1]), flush=True)
            for task in busy:
                task.cancel()
            await asyncio.gather(*busy, return_exceptions=True)
            await asyncio.sleep(2)
    medians = {name: statistics.median(row["p99_ms"] for row in found) for name, found in rows.items()}
    return rows | {"p99_ratio": round(medians["busy"] / medians["idle"], 2)}


async def _ask(url: str, seed: int) -> None:
    queries = bodies("lm", 10_000_000 + seed * 10_000)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(90)) as session:
        while True:
            headers = {"content-type": "application/json"}
            async with session.post(f"{url}/generate", data=_as_brief(next(queries)), headers=headers) as response:
                await response.read()


def _as_brief(query: bytes) -> bytes:
    body = orjson.loads(query)
    body["n"] = body.pop("n_templates")
    return orjson.dumps(body)


def main() -> None:
    result: dict[str, Any] = {"benchmark": "generation_load"}
    with tempfile.TemporaryDirectory(prefix="mg", dir="/tmp") as temporary:
        folder = Path(temporary)
        folder.chmod(0o711)
        tree = yaml.safe_load((analyze_query.ROOT / "serve_config.yaml").read_text())
        (folder / "serve_config.yaml").write_text(yaml.safe_dump(tree))
        with analyze_query.servers(folder) as (_, environment):
            with analyze_query.serving("ours", folder, environment) as url:
                result["auto"] = uvloop.run(highest_rate(url))
            tree["applications"][0]["args"]["language_model"] = save_bundled_size(folder / "gpt2")
            (folder / "serve_config.yaml").write_text(yaml.safe_dump(tree))
            with analyze_query.serving("ours", folder, environment) as url:
                result["templates_beside_a_busy_language_model"] = uvloop.run(templates_beside(url))
    held = [row["rate"] for row in result["auto"] if row["holds"]]
    result |= {"date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), "highest_rate": max(held, default=0)}
    (analyze_query.RESULTS / "generation_load.json").write_text(json.dumps(result, indent=1) + "\n")
    print(f"highest rate {result['highest_rate']} a second ({60 * result['highest_rate']} a minute)")


if __name__ == "__main__":
    main()
