"""Two FastAPI apps with the same models and the same insert: one as one writes it first, one with our batchers.

uvicorn tests.benchmarks.plain_fastapi:plain --factory   (or :coalesced)
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import orjson
import uuid_utils.compat
from fastapi import FastAPI, Request, Response

from deployments.answers import Answers
from deployments.http.bodies import QUERY_BODY
from deployments.http.ingress import create_api
from deployments.stages import Stages
from pipelines.generator.candidates import Engines
from pipelines.optimize import answer
from pipelines.records import Affect, Analysis, Brief, Draft, Proposal, Query
from pipelines.results import Prediction
from store.cache import Cache
from store.postgres import AnalyzedQuery, Store
from tests.benchmarks.local import ingress_config, models, on

THREADS = int(os.environ.get("THREADS", "1"))


class Unwatched:
    """Metrics that nobody reads."""

    def batch(self, stage: str, items: int, seconds: float) -> None: ...

    def failed(self, stage: str, reason: str) -> None: ...


class InThread:
    """pipelines.optimize.Models for one request, one call a model, no batching."""

    def __init__(self, handles: Any) -> None:
        self.handles = handles

    async def analyze(self, text: str, language: str | None) -> Analysis:
        return (await self.handles.query_analyzer.analyze.remote([(text, language)])).results[0]

    async def read(self, text: str, language: str | None) -> Affect:
        return (await self.handles.sentiment.read.remote([(text, language)])).results[0]

    async def write(self, brief: Brief) -> list[Proposal]:
        return (await self.handles.generator.write.remote([brief])).results[0]

    async def generate(self, brief: Brief) -> list[Proposal]:
        raise AssertionError(brief)

    async def fluency(self, texts: list[str], language: str | None) -> list[float | None]:
        return list((await self.handles.generator.score.remote([(text, language) for text in texts])).results)

    async def predict(self, drafts: list[Draft]) -> list[Prediction]:
        return list((await self.handles.viral_predictor.predict.remote(list(drafts))).results)

    def versions(self) -> dict[str, str]:
        return {}


async def connect() -> Store:
    config = ingress_config()
    return await Store.connect(
        os.environ["DATABASE_URL"], min_size=1, max_size=config.store_pool_size, timeout_s=config.store_deadline_s
    )


def plain() -> FastAPI:
    """One call a model and request in threads, one insert a request."""

    @asynccontextmanager
    async def lifespan(api: FastAPI) -> AsyncIterator[None]:
        api.state.models = InThread(on(ThreadPoolExecutor(THREADS), models()))
        api.state.store = await connect()
        yield
        await api.state.store.close()

    api = FastAPI(lifespan=lifespan)

    @api.post("/analyze-query")
    async def analyze_query(request: Request) -> Response:
        query: Query = await QUERY_BODY.read(request)
        result = await answer(query, api.state.models, Engines())
        body = orjson.dumps(result)
        row = AnalyzedQuery(
            id=uuid_utils.compat.uuid7(),
            account_id="default",
            query_text=query.query,
            request=orjson.dumps(query),
            analysis_result=body,
            viral_score=result.viral_score,
            degraded=result.degraded,
            model_versions=b"{}",
        )
        await api.state.store.save_queries([row])
        head = orjson.dumps({"id": row.id, "persisted": True})
        return Response(head[:-1] + b"," + body[1:], media_type="application/json")

    @api.get("/readyz")
    async def readyz() -> Response:
        return Response()

    return api


def coalesced() -> FastAPI:
    """The product's own routes and batchers, with the models in this process instead of in a cluster."""

    class Front:
        not_ready: tuple[()] = ()
        answers: Answers

    front = Front()
    api = create_api(front)

    async def scoped(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            config = ingress_config()
            stages = Stages(on(ThreadPoolExecutor(THREADS), models()), config.stages, Unwatched())
            cache = Cache(os.environ["REDIS_URL"], namespace="bench", ttl_s=60, timeout_s=config.cache_timeout_s)
            front.answers = Answers(stages, await connect(), cache, config, engines=Engines(), on_cache=lambda _: None)
        scope["account"] = "default"
        await api(scope, receive, send)

    return scoped  # type: ignore[return-value]  # an ASGI app


async def batches(seconds: float) -> tuple[float, dict[str, float]]:
    """Texts/s of the pipeline alone, in batches of 64 with its insert and without HTTP, and ms a text of each stage."""
    handles = models()
    store = await connect()
    done = 0
    spent: Counter[str] = Counter()

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        noted = time.perf_counter()
        yield
        spent[name] += time.perf_counter() - noted

    loop = asyncio.get_running_loop()
    started = loop.time()
    while loop.time() - started < seconds:
        texts = [
            f"We launch our new running shoes number {done + n} next week. Pre-orders are open!" for n in range(64)
        ]
        with stage("query_analyzer"):
            analyses = handles.query_analyzer.analyze([(text, None) for text in texts]).results
        with stage("sentiment"):
            affects = handles.sentiment.read([(text, "en") for text in texts]).results
        briefs = [
            Brief(query=text, language="en", keywords=tuple(k.text for k in analysis.keywords), n=5)
            for text, analysis in zip(texts, analyses, strict=True)
        ]
        with stage("generator"):
            written = [drafts.proposals for drafts in handles.generator.write(briefs).results]
        drafts = [
            Draft(text=text)
            for query, proposals in zip(texts, written, strict=True)
            for text in (query, *(proposal.text for proposal in proposals))
        ]
        with stage("viral_predictor"):
            predictions = iter(handles.viral_predictor.predict(drafts).results)
        rows = []
        for text, analysis, affect, proposals in zip(texts, analyses, affects, written, strict=True):
            own, *scored = [next(predictions) for _ in range(1 + len(proposals))]
            result = {
                "analysis": analysis,
                "affect": affect,
                "prediction": own,
                "templates": [*zip(proposals, scored, strict=True)],
            }
            rows.append(
                AnalyzedQuery(
                    id=uuid_utils.compat.uuid7(),
                    account_id="default",
                    query_text=text,
                    request=b"{}",
                    analysis_result=orjson.dumps(result),
                    viral_score=own.viral_score,
                    degraded=(),
                    model_versions=b"{}",
                )
            )
        with stage("store"):
            await store.save_queries(rows)
        done += len(rows)
    rate = done / (loop.time() - started)
    await store.close()
    return rate, {name: 1000 * seconds / done for name, seconds in spent.items()}
