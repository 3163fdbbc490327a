"""How a query becomes a stored answer: idempotency, cache, one computation for equal requests, one row each."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Literal, TypeVar
from uuid import UUID

import orjson
import uuid_utils.compat

from deployments.admission import Admission, Place
from deployments.calibrations import Calibrations
from deployments.http.problems import Problem
from deployments.library import Library
from deployments.microbatch import MicroBatcher
from deployments.own_posts import OwnPosts
from deployments.settings import IngressConfig
from deployments.stages import RequestStages, Stages
from pipelines import optimize
from pipelines.errors import ModelUnavailable
from pipelines.generator.candidates import Engines
from pipelines.outcomes.calibration import Calibration
from pipelines.policy import Policy
from pipelines.records import Degraded, DraftToOptimize, Query, Template, WithHistory
from pipelines.results import Candidate, Generated, Optimized
from store.cache import Cache, cache_key
from store.errors import StoreUnavailable
from store.postgres import AnalyzedQuery, Claim, Store

ROUTE = "/analyze-query"
Result = TypeVar("Result")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Computed:
    """The pure result of a query as JSON, and what the row needs of it."""

    body: bytes
    viral_score: float | None
    model_versions: dict[str, str]
    degraded: tuple[Degraded, ...]
    timings_ms: dict[str, float]


class SharedCalls:
    """Equal calls in flight share one task; it ends when the last caller leaves."""

    def __init__(self) -> None:
        self._calls: dict[str, tuple[asyncio.Task[Any], list[int]]] = {}

    async def run(self, key: str, start: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Return the result of the call in flight under `key`, or start it."""
        call = self._calls.get(key)
        if call is None:
            call = self._calls[key] = (asyncio.create_task(start()), [0])
            call[0].add_done_callback(lambda task: self._forget(key, task))
        task, waiting = call
        waiting[0] += 1
        try:
            result: Result = await asyncio.shield(task)
            return result
        finally:
            waiting[0] -= 1
            if waiting[0] == 0 and not task.done():
                task.cancel()
                self._forget(key, task)

    def _forget(self, key: str, task: asyncio.Task[Any]) -> None:
        """Nobody joins a task that ends; another may stand in its place."""
        if (call := self._calls.get(key)) and call[0] is task:
            del self._calls[key]


class Answers:
    """Answers queries from the stages, and writes each answer as one row."""

    def __init__(
        self,
        stages: Stages,
        store: Store,
        cache: Cache,
        config: IngressConfig,
        *,
        engines: Engines,
        on_cache: Callable[[str], None],
        on_answer: Callable[[Sequence[str]], None],
    ) -> None:
        self.stages = stages
        self.store = store
        self.library = Library(store)
        self.own_posts = OwnPosts(store)
        self.calibrations = Calibrations(store)
        self.cache = cache
        self.config = config
        self.engines = replace(engines, policy=Policy(config.policy), default_language=config.default_language)
        # Told what each answer lacked; whoever answers from the stages tells it.
        self.on_answer = on_answer
        self._on_cache = on_cache
        self._admission = Admission(config.max_requests, config.deadline_s)
        self._shared = SharedCalls()
        self._writes: MicroBatcher[AnalyzedQuery, bool] = MicroBatcher(
            "store",
            self._save,
            config.limits()["store"],
            transient=(StoreUnavailable,),
            on_batch=lambda items, seconds: stages.watch.batch("store", items, seconds),
            traces=stages.traces,
        )

    def until_deadline(self) -> RequestStages:
        """The stages for one request that starts now and needs no language model."""
        return self.stages.until(asyncio.get_running_loop().time() + self.config.deadline_s)

    async def until_deadline_for(self, account: str) -> RequestStages:
        """The same for a request that asks for scores: the account's own outcomes correct them."""
        return replace(self.until_deadline(), calibration=await self.calibrations.of(account))

    def reconfigure(self, config: IngressConfig) -> None:
        """Apply a new user_config while serving."""
        self.config = config
        self.engines = replace(self.engines, policy=Policy(config.policy), default_language=config.default_language)
        self._admission.reconfigure(config.max_requests, config.deadline_s)
        self.stages.reconfigure(config.limits())
        self._writes.limits = config.limits()["store"]

    async def answer(self, query: Query, account: str, idempotency_key: str | None) -> bytes:
        """Return the JSON response to a query; the row is committed wherever it says `persisted: true`.

        Raises:
            Problem: 422 for `engine: lm` without a language model, or an idempotency key that had another body; 503
                where more is asked than is answered in time.
        """
        self._refuse_what_nobody_writes(query)
        request = orjson.dumps(query, option=orjson.OPT_SORT_KEYS)
        if idempotency_key is None:
            row, computed = await self._row(query, account, request)
            response = _response(row.id, computed, persisted=await self._persist(row))
        else:
            response = await self._answer_once(query, account, request, idempotency_key)
        self.on_answer(_degraded(response))
        return response

    async def generate(self, query: Query, account: str) -> Generated:
        """Write candidates; nothing is stored.

        Raises:
            Problem: 422 for `engine: lm` without a language model, 503 where more is asked than is answered in time.
        """
        filled, models, engines = await self._prepared(query, account)
        with self._placed(self.engine(query), query, models):
            return await optimize.generate(filled, models, engines)

    async def generate_each(self, query: Query, account: str) -> AsyncGenerator[Candidate | Generated, None]:
        """The same piece by piece, from the moment that the generator is asked for the first; see pipelines.optimize.

        Raises:
            Problem: 422 for `engine: lm` without a language model, 503 where more is asked than is answered in time.
        """
        filled, models, engines = await self._prepared(query, account)
        engine = self.engine(query)
        if engine != "lm":
            # Once the answer has begun, only an event can say it.
            self._admission.refuse_a_crowd()
        return self._each_placed(engine, query, models, optimize.generate_each(filled, models, engines))

    async def _each_placed(
        self, engine: str, query: Query, models: RequestStages, pieces: AsyncGenerator[Candidate | Generated, None]
    ) -> AsyncGenerator[Candidate | Generated, None]:
        async with aclosing(pieces):
            with self._placed(engine, query, models):
                async for piece in pieces:
                    yield piece

    async def _prepared(self, query: Query, account: str) -> tuple[Query, RequestStages, Engines]:
        """A query with the account's own posts, the stages until its deadline, and what writes for the account."""
        self._refuse_what_nobody_writes(query)
        (filled,) = await self.own_posts.fill([query], account)
        calibration = await self.calibrations.of(account)
        models = self._stages_for(self.engine(query), query.latency_budget_ms, calibration)
        return filled, models, await self._engines(account, query)

    async def optimize(self, asked: DraftToOptimize, account: str) -> Optimized:
        """Search for a better version of a draft; nothing is stored.

        Raises:
            Problem: 503 where more is asked than is answered in time.
        """
        (filled,) = await self.own_posts.fill([asked], account)
        calibration = await self.calibrations.of(account)
        models = self._stages_for("templates", asked.latency_budget_ms, calibration)
        engines = await self._engines(account, asked)
        with self._placed("lm" if engines.language_model else "templates", asked, models):
            return await optimize.optimize(filled, models, engines)

    @contextmanager
    def _placed(self, engine: str, asked: Query | DraftToOptimize, models: RequestStages) -> Iterator[None]:
        """Hold a place among those that the models work for; who asks the language model waits in its own queue.

        Raises:
            Problem: 503, all places are taken.
        """
        if engine == "lm":
            yield
            return
        with self._admission.admitted() as place:
            yield
            _note(place, asked, models)

    def _refuse_what_nobody_writes(self, query: Query) -> None:
        if query.engine == "lm" and not self.engines.language_model:
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "engine: lm needs a language model: set args.language_model in serve_config.yaml.",
                errors=[{"field": "engine", "message": "no language model is configured; use auto or templates"}],
            )

    async def _engines(self, account: str, asked: WithHistory) -> Engines:
        """What writes for an account: its own templates, in the voice of its stored posts where those are asked for."""
        templates = await self.library.templates(account)
        record = await self.own_posts.record(account)
        voice = record.voice if asked.history == "stored" else None
        return replace(self.engines, templates=templates, voice=voice, trends=record.trends)

    async def _answer_once(self, query: Query, account: str, request: bytes, key: str) -> bytes:
        """Compute and store under an idempotency key, or return what an equal request got before."""
        request_hash = hashlib.blake2b(request, digest_size=32).digest()
        try:
            if claim := await self.store.find_claim(account, key):
                return _replayed(claim, request_hash)
        except StoreUnavailable:
            logger.warning("idempotency key not looked up", extra={"action": "store_unavailable"})
        row, computed = await self._row(query, account, request)
        response = _response(row.id, computed, persisted=True)
        try:
            earlier = await self.store.claim(row, key, ROUTE, request_hash, response, HTTPStatus.OK)
        except StoreUnavailable as error:
            self.stages.watch.failed("store", type(error).__name__)
            return _response(row.id, computed, persisted=False)
        return _replayed(earlier, request_hash) if earlier else response

    async def _row(self, query: Query, account: str, request: bytes) -> tuple[AnalyzedQuery, Computed]:
        engines, calibration = await self._engines(account, query), await self.calibrations.of(account)
        (filled,) = await self.own_posts.fill([query], account)
        versions = self.stages.model_versions | _own_versions(engines.templates, calibration)
        versions |= {
            "own_posts": (await self.own_posts.record(account)).version,
            "default_language": self.config.default_language,
        }
        key = cache_key(account, ROUTE, versions, request)
        computed = await self._shared.run(key, lambda: self._cached(key, filled, engines, calibration))
        row = AnalyzedQuery(
            id=uuid_utils.compat.uuid7(),
            account_id=account,
            query_text=query.query,
            request=orjson.dumps(replace(query, history=())) if query.own_posts else request,
            analysis_result=computed.body,
            viral_score=computed.viral_score,
            degraded=computed.degraded,
            model_versions=orjson.dumps(computed.model_versions),
        )
        return row, computed

    def engine(self, query: Query) -> Literal["templates", "lm"]:
        """Which engine decides what a query costs: the language model where it writes, else templates."""
        return "lm" if query.engine != "templates" and self.engines.language_model else "templates"

    async def _cached(self, key: str, query: Query, engines: Engines, calibration: Calibration | None) -> Computed:
        engine = self.engine(query)
        if engine not in self.config.cache_engines:
            return await self._compute(query, engine, engines, calibration)
        if body := await self.cache.get(key):
            self._on_cache("hit")
            result = orjson.loads(body)
            return Computed(body, result["viral_score"], result["model_versions"], (), {})
        self._on_cache("miss")
        computed = await self._compute(query, engine, engines, calibration)
        if not computed.degraded:
            await self.cache.set(key, computed.body)
        return computed

    def _stages_for(self, engine: str, latency_budget_ms: int | None, calibration: Calibration | None) -> RequestStages:
        budget_s = self.config.language_model_deadline_s if engine == "lm" else self.config.deadline_s
        if latency_budget_ms is not None:
            budget_s = min(budget_s, latency_budget_ms / 1000)
        return self.stages.until(asyncio.get_running_loop().time() + budget_s, calibration)

    async def _compute(self, query: Query, engine: str, engines: Engines, calibration: Calibration | None) -> Computed:
        noted = time.perf_counter()
        models = self._stages_for(engine, query.latency_budget_ms, calibration)
        with self._placed(engine, query, models):
            answer = await optimize.answer(query, models, engines)
        body = orjson.dumps(
            {
                "analysis": answer.analysis,
                "templates": answer.templates,
                "best": answer.best,
                "recommendations": answer.recommendations,
                "viral_score": answer.viral_score,
                "prediction": answer.prediction,
                "model_versions": answer.model_versions,
                "notes": answer.notes,
                "trend_alignment": answer.trend_alignment,
            }
        )
        timings_ms = {**models.timings_ms, "models": round((time.perf_counter() - noted) * 1000, 2)}
        return Computed(body, answer.viral_score, answer.model_versions, answer.degraded, timings_ms)

    async def _persist(self, row: AnalyzedQuery) -> bool:
        try:
            await self._writes.submit(row, asyncio.get_running_loop().time() + self.config.store_deadline_s)
        except ModelUnavailable as error:
            self.stages.watch.failed("store", type(error).__name__)
            return False
        return True

    async def _save(self, rows: list[AnalyzedQuery], _budget_s: float) -> list[bool]:
        await self.store.save_queries(rows)
        return [True] * len(rows)


def _note(place: Place, asked: Query | DraftToOptimize, models: RequestStages) -> None:
    """Tell how an answer went: what lacks says nothing where a stage failed or there was less time than usual."""
    if not models.crowded and not models.stalled:
        place.outcome = "whole"
    elif models.crowded and not models.stalled and asked.latency_budget_ms is None:
        place.outcome = "late"


def _response(identity: UUID, computed: Computed, *, persisted: bool) -> bytes:
    """Join the head, which belongs to this request alone, and the body, which was serialized once and may be shared."""
    head = orjson.dumps(
        {
            "id": identity,
            "persisted": persisted,
            "degraded": computed.degraded if persisted else (*computed.degraded, "store"),
            "timings_ms": computed.timings_ms,
        }
    )
    return head[:-1] + b"," + computed.body[1:]


def _degraded(response: bytes) -> list[str]:
    """What an answer lacked, from its head; an answer that is replayed is there as bytes alone."""
    _, _, rest = response.partition(b'"degraded":')
    degraded: list[str] = orjson.loads(rest.partition(b"]")[0] + b"]")
    return degraded


def _own_versions(templates: tuple[Template, ...], calibration: Calibration | None) -> dict[str, str]:
    """What an account's own templates and calibration add to the key of the cache."""
    own = {"library": templates or None, "calibration": calibration}
    return {
        name: hashlib.blake2b(orjson.dumps(content), digest_size=8).hexdigest()
        for name, content in own.items()
        if content is not None
    }


def _replayed(claim: Claim, request_hash: bytes) -> bytes:
    if claim.request_hash != request_hash:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "This Idempotency-Key was used with another body.",
            errors=[{"field": "Idempotency-Key", "message": "already used with another body"}],
        )
    return claim.response
