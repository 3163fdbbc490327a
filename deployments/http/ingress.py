"""ingress: the HTTP front of the graph query_analyzer -> sentiment | generator -> viral_predictor -> store."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Protocol

from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse

from deployments.answers import Answers
from deployments.http import problems
from deployments.http.bodies import (
    ANALYZE_BODY,
    COMPARE_BODY,
    GENERATE_BODY,
    OPTIMIZE_BODY,
    PREDICT_BODY,
    QUERY_BODY,
    AnalyzeResponse,
    CompareResponse,
    PredictResponse,
    ProblemDetails,
    QueryResponse,
    describe,
)
from deployments.http.calls import account_of, as_json
from deployments.http.experiment_bodies import EXPERIMENT_BODIES
from deployments.http.experiments import add_experiment_routes
from deployments.http.gate import DEFAULT_ACCOUNT, Gate
from deployments.http.problems import Problem
from deployments.http.templates import TEMPLATE_BODIES, add_template_routes
from deployments.metrics import IngressMetrics, cluster_truth
from deployments.replica import settle
from deployments.settings import IngressConfig
from deployments.stages import Handles, Stages
from pipelines import optimize
from pipelines.errors import ModelUnavailable
from pipelines.generator.candidates import Engines
from pipelines.records import MODELS, Model
from pipelines.results import Generated, Optimized
from store.cache import Cache
from store.errors import StoreUnavailable
from store.postgres import Store

IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
IDEMPOTENCY_HEADER = {
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "A repeated call with the same key and body gets the first answer; another body is 422.",
            "schema": {"type": "string", "pattern": f"^{IDEMPOTENCY_KEY.pattern}$"},
        }
    ]
}
WARM_UP_TIMEOUT_S = 30.0
WARM_UP_PAUSE_S = 0.5
logger = logging.getLogger(__name__)


class Front(Protocol):
    """What the routes need: answers, and which models have not answered a warm-up yet."""

    answers: Answers
    not_ready: list[Model]


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
            Stages(self._handles.plainly_pickled(), config.stages, self._metrics),
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
        responses={
            "4XX": {"model": ProblemDetails, "description": "Bad input, named by field."},
            "5XX": {"model": ProblemDetails, "description": "Not now; see Retry-After."},
        },
    )
    problems.install(api)
    _add_models(api, front)
    add_template_routes(api, lambda: front.answers.library)
    add_experiment_routes(api, lambda: front.answers.store.experiments)
    _add_operations(api, front)
    return api


def _add_models(api: FastAPI, front: Front) -> None:
    """What users ask of the models."""

    @api.post("/analyze-query", response_model=QueryResponse, openapi_extra=QUERY_BODY.openapi | IDEMPOTENCY_HEADER)
    async def analyze_query(request: Request) -> Response:
        """Analyze a query, write and score candidates for it, store the answer."""
        query = await QUERY_BODY.read(request)
        response = await front.answers.answer(query, account_of(request), _idempotency_key(request))
        return as_json(response)

    @api.post("/generate", response_model=Generated, openapi_extra=GENERATE_BODY.openapi)
    async def generate(request: Request) -> Response:
        """Write tweets that could be posted as they are; nothing is stored."""
        brief = await GENERATE_BODY.read(request)
        return as_json(await front.answers.generate(brief.as_query(), account_of(request)))

    @api.post("/optimize", response_model=Optimized, openapi_extra=OPTIMIZE_BODY.openapi)
    async def optimize_draft(request: Request) -> Response:
        """Make a draft better by edits whose effect was measured; nothing is stored."""
        asked = await OPTIMIZE_BODY.read(request)
        return as_json(await front.answers.optimize(asked, account_of(request)))

    @api.post("/analyze", response_model=AnalyzeResponse, openapi_extra=ANALYZE_BODY.openapi)
    async def analyze(request: Request) -> Response:
        """Analyze texts; nothing is stored."""
        body, errors = await ANALYZE_BODY.read_items(request)
        models, policy = front.answers.until_deadline(), front.answers.engines.policy
        analyzed = await asyncio.gather(*(optimize.analyze(text, models, policy) for text in body.texts))
        return as_json(
            AnalyzeResponse(
                results=_in_order([analysis for analysis, _ in analyzed], {error.index for error in errors}),
                errors=tuple(errors),
                model_versions=models.versions(),
                degraded=tuple(dict.fromkeys(name for _, names in analyzed for name in names)),
            )
        )

    @api.post("/predict", response_model=PredictResponse, openapi_extra=PREDICT_BODY.openapi)
    async def predict(request: Request) -> Response:
        """Score drafts against their authors' own records; nothing is stored."""
        body, errors = await PREDICT_BODY.read_items(request)
        models = front.answers.until_deadline()
        predictions = [None if isinstance(p, ModelUnavailable) else p for p in await models.predict_each(body.drafts)]
        return as_json(
            PredictResponse(
                results=_in_order(predictions, {error.index for error in errors}),
                errors=tuple(errors),
                model_version=models.versions().get("viral_predictor"),
                weights_version=None,
                degraded=("viral_predictor",) if None in predictions else (),
            )
        )

    @api.post("/compare", response_model=CompareResponse, openapi_extra=COMPARE_BODY.openapi)
    async def compare(request: Request) -> Response:
        """Say which of two wordings does better, or that only a test can tell; nothing is stored."""
        body, errors = await COMPARE_BODY.read_items(request)
        models = front.answers.until_deadline()
        compared, degraded = await optimize.compare(body.pairs, models)
        return as_json(
            CompareResponse(
                results=_in_order(compared, {error.index for error in errors}),
                errors=tuple(errors),
                model_version=front.answers.stages.wording_version,
                degraded=degraded,
            )
        )


def _add_operations(api: FastAPI, front: Front) -> None:
    """What those who run the product ask."""

    @api.get("/healthz", include_in_schema=False)
    async def healthz() -> Response:
        return PlainTextResponse("ok")

    @api.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        """200 once every model answered a warm-up; 503 names those that have not."""
        status = HTTPStatus.SERVICE_UNAVAILABLE if front.not_ready else HTTPStatus.OK
        return as_json({"ready": not front.not_ready, "waiting_for": front.not_ready}, status)

    @api.get("/metrics", include_in_schema=False)
    async def stored() -> Response:
        """Cluster-wide truth from the database in Prometheus' text format."""
        try:
            counts = await front.answers.store.counts()
        except StoreUnavailable:
            counts = None
        return Response(cluster_truth(counts), media_type="text/plain; version=0.0.4")

    @api.get("/openapi.json", include_in_schema=False)
    async def openapi() -> Response:
        return as_json(document)

    document = describe(api, (*TEMPLATE_BODIES, *EXPERIMENT_BODIES))


def _in_order(results: list[Any], refused: set[int]) -> tuple[Any, ...]:
    """Put the results of the kept items back where they stood, with None at the refused places."""
    kept = iter(results)
    return tuple(None if index in refused else next(kept) for index in range(len(results) + len(refused)))


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not IDEMPOTENCY_KEY.fullmatch(key):
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "Invalid: Idempotency-Key.",
            errors=[{"field": "Idempotency-Key", "message": "1 to 255 visible ASCII characters"}],
        )
    return key
