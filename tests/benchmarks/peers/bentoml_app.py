"""The pipelines behind BentoML, as its pages on adaptive batching and workers have it: a batchable API, two workers.

bentoml serve tests.benchmarks.peers.bentoml_app:AnalyzeQuery, with the interpreter of .venv-peers/bentoml.
A batchable API takes a list and answers with one: a caller sends a list of one query. max_latency_ms stays at its
default: what would wait longer is refused, and the dispatcher learns by itself how long waiting pays.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import bentoml
import orjson

from tests.benchmarks.peers.pipeline import QUERY, answer_all, connect, load


@bentoml.service(name="analyze_query", workers=2, traffic={"timeout": 60})
class AnalyzeQuery:
    def __init__(self) -> None:
        self.lists = load()
        self.thread = ThreadPoolExecutor(1)

    @bentoml.on_startup
    async def connect(self) -> None:
        self.store = await connect()

    @bentoml.on_shutdown
    async def close(self) -> None:
        await self.store.close()

    @bentoml.api(route="/analyze-query", batchable=True, max_batch_size=32)
    async def analyze_query(self, queries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        read = [QUERY.validate_python(query, strict=False) for query in queries]
        return [orjson.loads(body) for body in await answer_all(read, self.lists, self.store, self.thread)]
