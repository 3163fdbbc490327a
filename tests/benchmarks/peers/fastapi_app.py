"""The pipelines behind plain FastAPI: as one writes it first, and with the product's batcher before every model.

uvicorn tests.benchmarks.peers.fastapi_app:api --workers N: one call a model and request in threads, one insert each.
With BATCHER=1 concurrent requests share list calls, one at a time for each model, and inserts.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from pydantic import ValidationError

from deployments import stages
from deployments.microbatch import Limits, MicroBatcher
from store.postgres import AnalyzedQuery, Store
from tests.benchmarks.peers.pipeline import INGRESS, QUERY, Models, answer_one, connect, load

DEADLINE_S = 30.0
# The product's bounds, by what the pipelines call each step.
STAGES = {
    "analyze": "query_analyzer",
    "read": "sentiment",
    "write": "templates",
    "judge": "judge",
    "predict": "viral_predictor",
}


class Batched:
    """The models and the store, each behind a batcher."""

    def __init__(self, call: Any, store: Store) -> None:
        def batcher(name: str) -> MicroBatcher[Any, Any]:
            stage = STAGES[name]
            return MicroBatcher(
                name,
                lambda items, _: call(name, items),
                Limits(**INGRESS["stages"][stage]),
                characters_of=stages.STAGES[stage].characters_of,
            )

        self._models = {name: batcher(name) for name in STAGES}
        self._store = store
        self._rows: MicroBatcher[AnalyzedQuery, bool] = MicroBatcher(
            "store", self._save, Limits(**INGRESS["stages"]["store"])
        )

    async def call(self, name: str, items: list[Any]) -> list[Any]:
        return await self._models[name].submit_many(items, asyncio.get_running_loop().time() + DEADLINE_S)

    async def save_queries(self, rows: list[AnalyzedQuery]) -> None:
        for row in rows:
            await self._rows.submit(row, asyncio.get_running_loop().time() + DEADLINE_S)

    async def _save(self, rows: list[AnalyzedQuery], _: float) -> list[bool]:
        await self._store.save_queries(rows)
        return [True] * len(rows)


@asynccontextmanager
async def lifespan(api: FastAPI) -> AsyncIterator[None]:
    lists = load()
    threads = ThreadPoolExecutor(int(os.environ.get("THREADS", "2")))
    run = asyncio.get_running_loop().run_in_executor
    store = await connect()

    def call(name: str, items: list[Any]) -> asyncio.Future[Any]:
        return run(threads, partial(lists[name], items))

    if os.environ.get("BATCHER"):
        batched = Batched(call, store)
        api.state.models, api.state.store = Models(batched.call), batched
    else:
        api.state.models, api.state.store = Models(call), store
    yield
    await store.close()


api = FastAPI(lifespan=lifespan)


@api.post("/analyze-query")
async def analyze_query(request: Request) -> Response:
    try:
        query = QUERY.validate_json(await request.body())
    except ValidationError as error:
        raise HTTPException(422, error.errors(include_url=False)) from error
    return Response(await answer_one(query, api.state.models, api.state.store), media_type="application/json")


@api.get("/readyz")
async def readyz() -> Response:
    return Response()
