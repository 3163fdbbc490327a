"""python -m tests.benchmarks.cache: what a cache hit costs beside a miss, for the calls that may use the cache.

The cache stays on for an engine only where a hit is at least 3 times cheaper. Hits and misses alternate in one cluster;
a hit still writes its row. Writes one JSON into tests/benchmarks/results.
"""

import datetime as dt
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
import yaml

from tests.benchmarks import analyze_query
from tests.benchmarks.load import run
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
        folder = Path(temporary)
        folder.chmod(0o711)
        tree = yaml.safe_load((analyze_query.ROOT / "serve_config.yaml").read_text())
        application = tree["applications"][0]
        application["args"]["language_model"] = save_model(folder / "gpt2", chat=False, steps=60)
        application["deployments"][0]["user_config"]["cache_engines"] = ["templates", "lm"]
        (folder / "serve_config.yaml").write_text(yaml.safe_dump(tree))
        with (
            analyze_query.servers(folder) as (_, environment),
            analyze_query.serving("ours", folder, environment) as url,
        ):
            result = uvloop.run(measure(url))
    result = {"benchmark": "cache", "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds")} | result
    (analyze_query.RESULTS / "cache.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
