"""The stages as the ingress calls them: one batcher for each, one deadline for all calls of a request.

STAGES says what a stage is: whoever adds one adds a row there, a method to its deployment and its bounds to
serve_config.yaml. Answers pipelines.optimize.Models from the cluster; what a stage costs is told to `Watch`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from deployments.microbatch import Failed, Limits, MicroBatcher, Overloaded
from pipelines.errors import ModelUnavailable
from pipelines.records import Affect, Analysis, Brief, Draft, Drafts, Language, Model, Pair, Proposal
from pipelines.results import Comparison, Prediction

Item = TypeVar("Item")
Result = TypeVar("Result")

WARM_UP_TEXT = "Our new running shoes are here. Which color would you wear?"


@dataclass(frozen=True)
class Batch(Generic[Result]):
    """What a model deployment answers: one result an item, and the version of the model that made them."""

    version: str
    results: Sequence[Result]


def _text_bytes(item: tuple[str, str | None]) -> int:
    return 4 * len(item[0]) + 64


def _brief_bytes(brief: Brief) -> int:
    # A library travels once for all briefs of its account, but a batch may hold as many accounts as briefs.
    return 12 * len(brief.query) + 4096 + sum(4 * len(template.content) + 256 for template in brief.templates)


def _judged_bytes(item: tuple[str, str, Language]) -> int:
    return 4 * (len(item[0]) + len(item[1])) + 64


def _draft_bytes(draft: Draft) -> int:
    return 4 * len(draft.text) + sum(4 * len(post.text) + 128 for post in draft.history) + 128


def _pair_bytes(pair: Pair) -> int:
    return 4 * (len(pair.a) + len(pair.b)) + 128


@dataclass(frozen=True)
class Stage:
    """One method of a model's deployment as the ingress calls it.

    `size_of` estimates the bytes of an item on the wire; `share` of the time left is what a request gives it, below 1
    where others still wait for its answer. `name` is what metrics, timings and `degraded` call it; with `budget` the
    method is told the seconds that it has.
    """

    model: Model
    method: str
    size_of: Callable[[Any], int]
    share: float = 1.0
    name: str = ""
    budget: bool = False


# By the name of its bounds in serve_config.yaml.
STAGES: Mapping[str, Stage] = {
    "query_analyzer": Stage("query_analyzer", "analyze", _text_bytes, 0.4),
    "sentiment": Stage("sentiment", "read", _text_bytes, 0.5),
    "templates": Stage("generator", "write", _brief_bytes, 0.5),
    "language_model": Stage("generator", "generate", _brief_bytes, 0.8, "generator.lm", budget=True),
    "judge": Stage("generator", "judge", _judged_bytes, 0.5, "generator.judge"),
    "viral_predictor": Stage("viral_predictor", "predict", _draft_bytes),
    "wording": Stage("viral_predictor", "compare", _pair_bytes, 1.0, "viral_predictor.wording"),
}


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
    """One batcher for each stage, and the version each model last answered with."""

    def __init__(self, handles: Handles, limits: Mapping[str, Limits], watch: Watch) -> None:
        self.model_versions: dict[str, str] = {}
        self.wording_version: str | None = None
        self.watch = watch
        self._batchers = {name: self._batcher(stage, handles, limits[name]) for name, stage in STAGES.items()}

    def __getitem__(self, name: str) -> MicroBatcher[Any, Any]:
        """The batcher of a stage."""
        return self._batchers[name]

    def reconfigure(self, limits: Mapping[str, Limits]) -> None:
        """Apply new bounds to the batchers; items that wait stay."""
        for name, batcher in self._batchers.items():
            batcher.limits = limits[name]

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
            "generator": models.write(brief),
            "viral_predictor": models.predict([Draft(text=WARM_UP_TEXT)]),
        }
        answers = await asyncio.gather(*calls.values(), return_exceptions=True)
        return [name for name, answer in zip(calls, answers, strict=True) if isinstance(answer, BaseException)]

    def _batcher(self, stage: Stage, handles: Handles, limits: Limits) -> MicroBatcher[Any, Any]:
        name = stage.name or stage.model
        return MicroBatcher(
            name,
            self._remote(stage, name, getattr(getattr(handles, stage.model), stage.method)),
            limits,
            transient=(Lost,),
            size_of=stage.size_of,
            on_batch=lambda items, seconds: self.watch.batch(name, items, seconds),
        )

    def _remote(self, stage: Stage, name: str, method: Any) -> Callable[[list[Any], float], Awaitable[Any]]:
        async def call(items: list[Any], budget_s: float) -> Sequence[Any]:
            try:
                batch: Batch[Any] = await (method.remote(items, budget_s) if stage.budget else method.remote(items))
            except BackPressureError as error:
                raise Overloaded(name, "the replicas' queues are full") from error
            except DeploymentUnavailableError as error:
                raise Failed(name, "no replica") from error
            except RayTaskError:
                raise
            except (RayActorError, RayError, ConnectionError) as error:
                raise Lost(str(error)) from error
            if stage is STAGES["wording"]:
                self.wording_version = batch.version
            else:
                self.model_versions[stage.model] = batch.version
            return batch.results

        return call


@dataclass(slots=True)
class RequestStages:
    """pipelines.optimize.Models for one request: every call carries the same deadline and notes how long it took."""

    stages: Stages
    deadline: float
    timings_ms: dict[str, float] = field(default_factory=dict)

    async def analyze(self, text: str, language: str | None) -> Analysis:
        """Read one text; see pipelines.query_analyzer."""
        return await self._one("query_analyzer", (text, language))  # type: ignore[no-any-return]

    async def read(self, text: str, language: str | None) -> Affect:
        """Read sentiment and its kin; see pipelines.sentiment."""
        return await self._one("sentiment", (text, language))  # type: ignore[no-any-return]

    async def write(self, brief: Brief) -> Drafts:
        """Put a brief right and fill templates; see pipelines.generator."""
        return await self._one("templates", brief)  # type: ignore[no-any-return]

    async def generate(self, brief: Brief) -> tuple[Proposal, ...]:
        """Let the language model write; see pipelines.generator."""
        return await self._one("language_model", brief)  # type: ignore[no-any-return]

    async def judge(self, items: Sequence[tuple[str, str, Language]]) -> list[float]:
        """Judge texts for their briefs; raises where a single one of them got no answer."""
        return _all_or_raise(await self._many("judge", items))

    async def predict(self, drafts: Sequence[Draft]) -> list[Prediction]:
        """Score drafts; raises where a single one of them has no score."""
        return _all_or_raise(await self.predict_each(drafts))

    async def predict_each(self, drafts: Sequence[Draft]) -> list[Prediction | ModelUnavailable]:
        """Score drafts; one that fails costs only its own place."""
        return await self._many("viral_predictor", drafts)

    async def compare_each(self, pairs: Sequence[Pair]) -> list[Comparison | ModelUnavailable]:
        """Compare wordings; a pair that fails costs only its own place."""
        return await self._many("wording", pairs)

    def versions(self) -> dict[str, str]:
        """Version of each model that has answered so far."""
        return dict(self.stages.model_versions)

    async def _one(self, stage: str, item: Any) -> Any:
        (result,) = await self._many(stage, [item])
        if isinstance(result, ModelUnavailable):
            raise result
        return result

    async def _many(self, stage: str, items: Sequence[Any]) -> list[Any]:
        batcher = self.stages[stage]
        started = asyncio.get_running_loop().time()
        noted = time.perf_counter()
        results: list[Any]
        try:
            results = await batcher.submit_many(items, started + STAGES[stage].share * (self.deadline - started))
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
