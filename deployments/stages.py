"""The stages as the ingress calls them: one batcher for each, one deadline for all calls of a request.

Answers pipelines.optimize.Models from the cluster; what a stage costs and how often it fails is told to `Watch`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from deployments.microbatch import Failed, MicroBatcher, Overloaded
from deployments.settings import Stages as StageConfigs
from pipelines.errors import ModelUnavailable
from pipelines.records import Affect, Analysis, Brief, Draft, Model, Pair, Proposal
from pipelines.results import Comparison, Prediction

Item = TypeVar("Item")
Result = TypeVar("Result")

# Share of the time left that a stage may use when others still wait for it; the last one may use all.
ANALYSIS_SHARE = 0.4
WRITING_SHARE = 0.5
LANGUAGE_MODEL_SHARE = 0.8
FLUENCY_SHARE = 0.3
LANGUAGE_MODEL = "generator.lm"
FLUENCY = "generator.fluency"
WORDING = "viral_predictor.wording"
WARM_UP_TEXT = "Our new running shoes are here. Which color would you wear?"


@dataclass(frozen=True)
class Batch(Generic[Result]):
    """What a model deployment answers: one result an item, and the version of the model that made them."""

    version: str
    results: Sequence[Result]


class Lost(Exception):
    """The call did not reach a replica, or the replica died with it; it may be repeated."""


class Watch(Protocol):
    """What wants to know how the stages do."""

    def batch(self, stage: str, items: int, seconds: float) -> None:
        """One list call ended."""

    def failed(self, stage: str, reason: str) -> None:
        """One item of a stage got no answer."""


@dataclass(frozen=True)
class Handles:
    """The model deployments: bound applications in the builder, DeploymentHandles in the replica."""

    query_analyzer: Any
    sentiment: Any
    generator: Any
    viral_predictor: Any

    def plainly_pickled(self) -> Handles:
        """The same handles, pickling by C: our records stand in modules, so that cloudpickle's walk finds nothing."""
        options = {"request_serialization": "pickle", "response_serialization": "pickle"}
        return Handles(**{name: handle.options(**options) for name, handle in vars(self).items()})


class Stages:
    """One batcher for each model stage, and the version each model last answered with."""

    def __init__(self, handles: Handles, configs: StageConfigs, watch: Watch) -> None:
        self.model_versions: dict[str, str] = {}
        self.wording_version: str | None = None
        self.watch = watch

        def stage(
            name: Model, method: Any, config: Any, size_of: Callable[[Any], int], label: str = ""
        ) -> MicroBatcher[Any, Any]:
            label = label or name
            return MicroBatcher(
                label,
                self._remote(name, label, method),
                config.limits(),
                transient=(Lost,),
                size_of=size_of,
                on_batch=lambda items, seconds: watch.batch(label, items, seconds),
            )

        self.query_analyzer: MicroBatcher[tuple[str, str | None], Analysis] = stage(
            "query_analyzer", handles.query_analyzer.analyze, configs.query_analyzer, _text_bytes
        )
        self.sentiment: MicroBatcher[tuple[str, str | None], Affect] = stage(
            "sentiment", handles.sentiment.read, configs.sentiment, _text_bytes
        )
        self.templates: MicroBatcher[Brief, list[Proposal]] = stage(
            "generator", handles.generator.write, configs.templates, _brief_bytes
        )
        self.language_model: MicroBatcher[Brief, list[Proposal]] = stage(
            "generator", handles.generator.generate, configs.language_model, _brief_bytes, LANGUAGE_MODEL
        )
        self.fluency: MicroBatcher[tuple[str, str | None], float | None] = stage(
            "generator", handles.generator.score, configs.fluency, _text_bytes, FLUENCY
        )
        self.viral_predictor: MicroBatcher[Draft, Prediction] = stage(
            "viral_predictor", handles.viral_predictor.predict, configs.viral_predictor, _draft_bytes
        )
        self.wording: MicroBatcher[Pair, Comparison] = stage(
            "viral_predictor", handles.viral_predictor.compare, configs.wording, _pair_bytes, WORDING
        )

    def reconfigure(self, configs: StageConfigs) -> None:
        """Apply new bounds to the batchers; items that wait stay."""
        for batcher, config in (
            (self.query_analyzer, configs.query_analyzer),
            (self.sentiment, configs.sentiment),
            (self.templates, configs.templates),
            (self.language_model, configs.language_model),
            (self.fluency, configs.fluency),
            (self.viral_predictor, configs.viral_predictor),
            (self.wording, configs.wording),
        ):
            batcher.limits = config.limits()

    def until(self, deadline: float) -> RequestStages:
        """The stages as one request sees them; `deadline` in the running loop's time."""
        return RequestStages(self, deadline)

    async def warm_up(self, timeout_s: float) -> list[Model]:
        """Send one real item to every model; returns the models that did not answer."""
        models = self.until(asyncio.get_running_loop().time() + timeout_s)
        brief = Brief(query=WARM_UP_TEXT, language="en", keywords=("running shoes",), n=1)
        calls: dict[Model, Awaitable[Any]] = {
            "query_analyzer": models.analyze(WARM_UP_TEXT, None),
            "sentiment": models.read(WARM_UP_TEXT, "en"),
            "generator": _both(models.write(brief), models.fluency([WARM_UP_TEXT], "en")),
            "viral_predictor": models.predict([Draft(text=WARM_UP_TEXT)]),
        }
        answers = await asyncio.gather(*calls.values(), return_exceptions=True)
        return [name for name, answer in zip(calls, answers, strict=True) if isinstance(answer, BaseException)]

    def _remote(self, name: Model, label: str, method: Any) -> Callable[[list[Any], float], Awaitable[Any]]:
        with_budget = label == LANGUAGE_MODEL

        async def call(items: list[Any], budget_s: float) -> Sequence[Any]:
            try:
                batch: Batch[Any] = await (method.remote(items, budget_s) if with_budget else method.remote(items))
            except BackPressureError as error:
                raise Overloaded(label, "the replicas' queues are full") from error
            except DeploymentUnavailableError as error:
                raise Failed(label, "no replica") from error
            except RayTaskError:
                raise
            except (RayActorError, RayError, ConnectionError) as error:
                raise Lost(str(error)) from error
            if label == WORDING:
                self.wording_version = batch.version
            else:
                self.model_versions[name] = batch.version
            return batch.results

        return call


@dataclass(slots=True)
class RequestStages:
    """pipelines.optimize.Models for one request: every call carries the same deadline and notes how long it took."""

    stages: Stages
    deadline: float
    timings_ms: dict[str, float] = field(default_factory=dict)

    async def analyze(self, text: str, language: str | None) -> Analysis:
        """Read one text; see pipelines.query_analyzer.analyzer."""
        return await self._timed(self.stages.query_analyzer, (text, language), ANALYSIS_SHARE)

    async def read(self, text: str, language: str | None) -> Affect:
        """Read sentiment and its kin; see pipelines.sentiment.ensemble."""
        return await self._timed(self.stages.sentiment, (text, language))

    async def write(self, brief: Brief) -> list[Proposal]:
        """Fill templates; see pipelines.generator.templates."""
        return await self._timed(self.stages.templates, brief, WRITING_SHARE)

    async def generate(self, brief: Brief) -> list[Proposal]:
        """Let the language model write; see pipelines.generator.generator."""
        return await self._timed(self.stages.language_model, brief, LANGUAGE_MODEL_SHARE)

    async def fluency(self, texts: Sequence[str], language: str | None) -> list[float | None]:
        """Score how texts read; raises where a single one of them got no answer. See pipelines.generator.fluency."""
        scores = await self._timed_many(self.stages.fluency, [(text, language) for text in texts], FLUENCY_SHARE)
        return _all_or_raise(scores)

    async def predict(self, drafts: Sequence[Draft]) -> list[Prediction]:
        """Score drafts; raises where a single one of them has no score."""
        return _all_or_raise(await self.predict_each(drafts))

    async def predict_each(self, drafts: Sequence[Draft]) -> list[Prediction | ModelUnavailable]:
        """Score drafts; one that fails costs only its own place."""
        return await self._timed_many(self.stages.viral_predictor, drafts)

    async def compare_each(self, pairs: Sequence[Pair]) -> list[Comparison | ModelUnavailable]:
        """Compare wordings; a pair that fails costs only its own place."""
        return await self._timed_many(self.stages.wording, pairs)

    def versions(self) -> dict[str, str]:
        """Version of each model that has answered so far."""
        return dict(self.stages.model_versions)

    async def _timed(self, batcher: MicroBatcher[Item, Result], item: Item, share: float = 1.0) -> Result:
        (result,) = await self._timed_many(batcher, [item], share)
        if isinstance(result, ModelUnavailable):
            raise result
        return result

    async def _timed_many(
        self, batcher: MicroBatcher[Item, Result], items: Sequence[Item], share: float = 1.0
    ) -> list[Result | ModelUnavailable]:
        loop = asyncio.get_running_loop()
        started = loop.time()
        noted = time.perf_counter()
        results: list[Result | ModelUnavailable]
        try:
            results = await batcher.submit_many(items, started + share * (self.deadline - started))
        except ModelUnavailable as error:
            results = [error] * len(items)
        self.timings_ms[batcher.name] = round((time.perf_counter() - noted) * 1000, 2)
        for result in results:
            if isinstance(result, ModelUnavailable):
                self.stages.watch.failed(batcher.name, type(result).__name__)
        return results


def _all_or_raise(results: Sequence[Result | ModelUnavailable]) -> list[Result]:
    if failure := next((result for result in results if isinstance(result, ModelUnavailable)), None):
        raise failure
    return list(results)  # type: ignore[arg-type]  # no failure among them


async def _both(*calls: Awaitable[Any]) -> None:
    """Wait for two stages of one model; the critic loads with its first text, and no request should wait for that."""
    await asyncio.gather(*calls)


def _text_bytes(item: tuple[str, str | None]) -> int:
    return 4 * len(item[0]) + 64


def _brief_bytes(brief: Brief) -> int:
    # A library travels once for all briefs of its account, but a batch may hold as many accounts as briefs.
    return 12 * len(brief.query) + 4096 + sum(4 * len(template.content) + 256 for template in brief.templates)


def _draft_bytes(draft: Draft) -> int:
    return 4 * len(draft.text) + sum(4 * len(post.text) + 128 for post in draft.history) + 128


def _pair_bytes(pair: Pair) -> int:
    return 4 * (len(pair.a) + len(pair.b)) + 128
