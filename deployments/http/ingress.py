"""ingress: the HTTP front of the graph query_analyzer -> sentiment | generator -> viral_predictor -> store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import ray
from fastapi import FastAPI
from starlette.types import ASGIApp

from deployments.answers import Answers
from deployments.audience import in_task
from deployments.experiment_pictures import Pictures
from deployments.http import (
    account,
    audience,
    audit,
    best_times,
    collector,
    events,
    experiment_pictures,
    experiments,
    imports,
    keys,
    links,
    live,
    models,
    operations,
    plan,
    posts,
    problems,
    templates,
    track_record,
)
from deployments.http.bodies import MODEL_BODIES, describe
from deployments.http.calls import Front
from deployments.http.experiment_bodies import EXPERIMENT_BODIES
from deployments.http.gate import DEFAULT_ACCOUNT, Gate
from deployments.http.scopes import guarded
from deployments.imports import Imports, import_in_task
from deployments.keys import StoredKeys
from deployments.live import Live
from deployments.metrics import IngressMetrics
from deployments.ray_metrics import RayMetrics
from deployments.replica import settle
from deployments.settings import ConfigError, IngressConfig, Settings
from deployments.stages import Handles, Stages
from deployments.studio import STUDIO
from deployments.timing import Timing
from deployments.tracing import Traces
from deployments.upkeep import Upkeep
from deployments.vitals import Watcher
from deployments.weights import Weights
from pipelines.generator.candidates import Engines
from pipelines.optimize import prepare
from pipelines.records import MODELS, Model
from pipelines.viral_predictor.drift import Reference, load_reference
from store.cache import Cache
from store.postgres import Store
from store.rate_limits import RateLimits

# Each with its routes, in the order in which they are asked.
NOUNS = (
    *(
        models,
        track_record,
        templates,
        experiments,
        experiment_pictures,
        events,
        account,
        keys,
        imports,
        posts,
        collector,
    ),
    *(best_times, plan, links, audit, operations, live, *STUDIO),
    # Last: it takes any name for a segment.
    audience,
)
BODIES = (
    *(*MODEL_BODIES, *EXPERIMENT_BODIES, *templates.BODIES),
    *(*account.BODIES, *keys.BODIES, *collector.BODIES, *plan.BODIES, *links.BODIES),
)
# Not include_router: it keeps the routers apart and asks each of them twice, 25 to 60 us of CPU a request.
ROUTES = guarded(route for noun in NOUNS for route in noun.router.routes)
FIRST_EVERY_S = 5.0
WARM_UP_TIMEOUT_S = 30.0
WARM_UP_PAUSE_S = 0.5
CLOSE_S = 5.0
logger = logging.getLogger(__name__)


class Ingress:
    """One replica of the HTTP front: holds the batchers, the pool and the cache.

    `read_settings` is called here and not where the replica is bound, so that secrets stand in no checkpoint.
    """

    def __init__(
        self,
        handles: Handles,
        read_settings: Callable[[], Settings],
        engines: Engines,
        *,
        loopback: bool,
        encoder: Path | None,
        viral_predictor: Path | None = None,
        release: str = "dev",
    ) -> None:
        settle()
        settings = read_settings()
        if settings.database_url is None or settings.redis_url is None:
            raise ConfigError("DATABASE_URL and REDIS_URL must be set on every node")
        self.answers: Answers
        self.upkeep: Upkeep
        self.live: Live
        self.not_ready: list[Model] = list(MODELS)
        self._database_url = settings.database_url.get_secret_value()
        self._redis_url = settings.redis_url.get_secret_value()
        self._keys = {account: key.get_secret_value() for account, key in settings.murmuration_api_keys.items()}
        self.imports = Imports(self._database_url, import_in_task)
        self.read_audience = in_task(encoder)
        self._handles = handles
        self.keys = StoredKeys(every_s=FIRST_EVERY_S, grace_s=0)
        self._loopback = loopback
        self._engines = engines
        self._x_access = settings.x_access()
        self._reference = load_reference(viral_predictor) if viral_predictor else None
        self._metrics = IngressMetrics()
        traces_endpoint = settings.traces_endpoint()
        self._traces = Traces.sent_to(traces_endpoint, release) if traces_endpoint else None
        self._gate: Gate
        self._warming: asyncio.Task[None] | None = None
        self._running: list[asyncio.Task[None]] = []

    def __serve_build_asgi_app__(self) -> ASGIApp:  # Serve's own hook
        """Build the ASGI app in the replica; Serve calls this before the first reconfigure."""
        self._gate = Gate(
            create_api(self, self._reference),
            self._keys,
            self._metrics.response,
            stored=self.keys,
            loopback=self._loopback,
        )
        return self._traces.around(self._gate) if self._traces else self._gate

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Apply `user_config`: the first time with everything it needs, later while serving."""
        config = IngressConfig.model_validate(user_config)
        self._gate.max_requests, self._gate.log_share = config.max_requests, config.log_share
        self._gate.trusted_proxies = config.access.trusted_proxies
        self.keys.every_s, self.keys.grace_s = config.access.keys_every_s, config.access.keys_grace_s
        if self._gate.limits is not None:
            self._gate.limits.per_minute = config.access.per_minute()
        if self._warming:
            self.answers.reconfigure(config)
            self.upkeep.config, self.live.config = config.collector, config.live
            return
        self.answers = Answers(
            Stages(self._handles.plainly_pickled(), config.limits(), self._metrics, self._traces),
            await Store.connect(
                self._database_url, min_size=1, max_size=config.store_pool_size, timeout_s=config.store_deadline_s
            ),
            Cache(self._redis_url, namespace="murmuration", ttl_s=config.cache_ttl_s, timeout_s=config.cache_timeout_s),
            config,
            engines=self._engines,
            on_cache=self._metrics.cache,
            on_answer=self._metrics.answered,
        )
        self.keys.table = self.answers.store.keys
        await self.keys.read()
        self._gate.limits = RateLimits(
            self._redis_url,
            namespace="murmuration",
            timeout_s=config.cache_timeout_s,
            per_minute=config.access.per_minute(),
        )
        self._warming = in_background(self._warm_up())
        self.upkeep = Upkeep(self.answers.store, self._x_access, config.collector)
        read_system = RayMetrics().figures if ray.is_initialized() else None
        self.live = Live(self.answers.store.figures.of, read_system, config.live)
        self._running = [
            in_background(self.keys.run_forever()),
            # Beside the warm-up: a database that is down keeps nobody from being ready.
            in_background(self._seed_accounts()),
            in_background(self.upkeep.run_forever()),
            in_background(Weights(self.answers.store, self.answers.stages).run_forever()),
            in_background(self._metrics.watch_inside(lambda: self._gate.inside)),
        ]

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """What waits to be written here; Serve's own hook, for deployments/autoscaling.py."""
        if not self._warming:
            return {}
        writing = self.answers.config.writing
        return self.answers.stages.demand(
            texts_per_brief=writing.texts_per_brief, tokens_per_text=writing.tokens_per_text
        )._asdict()

    async def close(self) -> None:
        """End what runs beside the requests, then the connections."""
        await self.live.close()
        for task in self._running:
            task.cancel()
        # Each may be about to give up on a server that hangs; they do so side by side.
        await asyncio.wait(self._running, timeout=CLOSE_S)
        await self.answers.store.close()
        await self.answers.cache.close()
        if self._gate.limits is not None:
            await self._gate.limits.close()
        if self._traces is not None:
            await self._traces.close()

    async def _seed_accounts(self) -> None:
        """Give every account the bundled templates: those of the start, and whoever gets a key later."""
        seeded: set[str] = set()
        while True:
            new = ({*self._keys, *self.keys.accounts} or {DEFAULT_ACCOUNT}) - seeded
            try:
                await self.answers.library.seed(sorted(new))
                seeded |= new
            except Exception:
                logger.exception("templates not seeded", extra={"action": "templates_not_seeded"})
            await asyncio.sleep(self.keys.every_s)

    async def _warm_up(self) -> None:
        # Two seconds that would be the first caller's, and everybody's beside it.
        await asyncio.to_thread(prepare)
        while self.not_ready:
            self.not_ready = await self.answers.stages.warm_up(WARM_UP_TIMEOUT_S)
            if self.not_ready:
                await asyncio.sleep(WARM_UP_PAUSE_S)
        logger.info("every model answered its warm-up", extra={"action": "ready"})


def in_background(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Start what runs beside the requests; nobody awaits it, so that the log says where it ends by a mistake."""

    def tell(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("what runs beside the requests ended", exc_info=error, extra={"action": "background_ended"})

    task = asyncio.create_task(work)
    task.add_done_callback(tell)
    return task


def create_api(front: Front, reference: Reference | None = None) -> FastAPI:
    """The routes around `front`; drift is told from the `reference` of the score's inputs."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await front.close()

    api = FastAPI(
        title="Murmuration",
        version="0.1.0",
        description="Says what a tweet will do before it is posted, and writes better ones.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        routes=ROUTES,
    )
    api.state.front = front
    api.state.timing = Timing()
    api.state.watcher = Watcher(reference)
    api.state.pictures = Pictures()
    problems.install(api)
    api.state.document = orjson.dumps(describe(api, BODIES))
    return api
