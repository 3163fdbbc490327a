"""ingress: the HTTP front of the graph query_analyzer -> sentiment | generator -> viral_predictor -> store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
from fastapi import FastAPI

from deployments.answers import Answers
from deployments.http import events, experiments, models, operations, problems, templates
from deployments.http.bodies import MODEL_BODIES, describe
from deployments.http.calls import Front
from deployments.http.experiment_bodies import EXPERIMENT_BODIES
from deployments.http.gate import DEFAULT_ACCOUNT, Gate
from deployments.metrics import IngressMetrics
from deployments.replica import settle
from deployments.settings import IngressConfig
from deployments.stages import Handles, Stages
from pipelines.generator.candidates import Engines
from pipelines.records import MODELS, Model
from store.cache import Cache
from store.postgres import Store

WARM_UP_TIMEOUT_S = 30.0
WARM_UP_PAUSE_S = 0.5
logger = logging.getLogger(__name__)


class Ingress:
    """One replica of the HTTP front: holds the batchers, the pool and the cache."""

    def __init__(
        self, handles: Handles, database_url: str, redis_url: str, keys: Mapping[str, str], engines: Engines
    ) -> None:
        settle()
        self.answers: Answers
        self.not_ready: list[Model] = list(MODELS)
        self._handles = handles
        self._database_url = database_url
        self._redis_url = redis_url
        self._keys = keys
        self._engines = engines
        self._metrics = IngressMetrics()
        self._gate: Gate
        self._warming: asyncio.Task[None] | None = None
        self._seeding: asyncio.Task[None] | None = None

    def __serve_build_asgi_app__(self) -> Gate:  # Serve's own hook
        """Build the ASGI app in the replica; Serve calls this before the first reconfigure."""
        self._gate = Gate(create_api(self), self._keys, self._metrics.response)
        return self._gate

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Apply `user_config`: the first time with everything it needs, later while serving."""
        config = IngressConfig.model_validate(user_config)
        self._gate.max_requests, self._gate.log_share = config.max_requests, config.log_share
        if self._warming:
            self.answers.reconfigure(config)
            return
        self.answers = Answers(
            Stages(self._handles.plainly_pickled(), config.limits(), self._metrics),
            await Store.connect(
                self._database_url, min_size=1, max_size=config.store_pool_size, timeout_s=config.store_deadline_s
            ),
            Cache(self._redis_url, namespace="murmuration", ttl_s=config.cache_ttl_s, timeout_s=config.cache_timeout_s),
            config,
            engines=self._engines,
            on_cache=self._metrics.cache,
        )
        self._warming = asyncio.create_task(self._warm_up())
        # Beside the warm-up: a database that is down keeps nobody from being ready.
        self._seeding = asyncio.create_task(self.answers.library.seed(self._keys or [DEFAULT_ACCOUNT]))

    async def _warm_up(self) -> None:
        while self.not_ready:
            self.not_ready = await self.answers.stages.warm_up(WARM_UP_TIMEOUT_S)
            if self.not_ready:
                await asyncio.sleep(WARM_UP_PAUSE_S)
        logger.info("every model answered its warm-up", extra={"action": "ready"})


def create_api(front: Front) -> FastAPI:
    """The routes around `front`."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await front.answers.store.close()
        await front.answers.cache.close()

    api = FastAPI(
        title="Murmuration",
        version="0.1.0",
        description="Says what a tweet will do before it is posted, and writes better ones.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        # Not include_router: it keeps the routers apart and asks each of them twice, 25 to 60 us of CPU a request.
        routes=[route for noun in (models, templates, experiments, events, operations) for route in noun.router.routes],
    )
    api.state.front = front
    problems.install(api)
    api.state.document = orjson.dumps(describe(api, (*MODEL_BODIES, *templates.BODIES, *EXPERIMENT_BODIES)))
    return api
