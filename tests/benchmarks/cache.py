"""python -m tests.benchmarks.cache: what a cache hit costs beside a miss, for the calls that may use the cache.

The cache stays on for an engine only where a hit is at least 3 times cheaper. Hits and misses alternate in one cluster;
a hit still writes its row. Writes one JSON into tests/benchmarks/results.
"""

import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import uvloop

from tests.benchmarks import machine
from tests.benchmarks.load import run
from tests.benchmarks.systems import alone, deployment, product
from tests.checkpoints import save_model

ROUNDS = 5
REQUESTS = {"templates": 600, "lm": 64}


def bodies(engine: str, *, equal: bool) -> Iterator[bytes]:
    """Bodies that are all distinct, or all one of 64."""
    for number in itertools.count(0 if equal else time.time_ns()):
        query = f"coffee subscription {number % 64 if equal else number}"
        yield orjson.dumps({"query": query, "engine": engine})


async def measure(url: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for engine, requests in REQUESTS.items():
        await run(f"{url}/analyze-query", bodies(engine, equal=True), 16, 64)
        costs: dict[str, list[float]] = {"hit": [], "miss": []}
        for _ in range(ROUNDS):
            for name, equal in (("hit", True), ("miss", False)):
                one = await run(f"{url}/analyze-query", bodies(engine, equal=equal), 16, requests)
                if one.errors:
                    raise RuntimeError(f"{one.errors} errors")
                costs[name].append(one.seconds / requests * 1000)
        ratio = statistics.median(m / h for h, m in zip(costs["hit"], costs["miss"], strict=True))
        result[engine] = {f"{name}_ms": round(statistics.median(values), 3) for name, values in costs.items()}
        result[engine] |= {"times_cheaper": round(ratio, 2), "stays_on": ratio >= 3}
    return result


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="mc", dir="/tmp") as temporary:
        model = save_model(Path(temporary) / "gpt2", chat=False, steps=60)

        def cached(tree: dict[str, Any]) -> None:
            tree["applications"][0]["args"]["language_model"] = model
            deployment(tree, "ingress")["user_config"]["cache_engines"] = ["templates", "lm"]

        with alone(product(cached)) as running:
            result = uvloop.run(measure(running.url))
    result = {"benchmark": "cache", **machine.described()} | result
    machine.write("cache", result)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
