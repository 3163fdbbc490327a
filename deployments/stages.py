"""The stages as the ingress calls them: one batcher for each, one deadline for all calls of a request.

STAGES says what a stage is: whoever adds one adds a row there, a method to its deployment and its bounds to
serve_config.yaml. Answers pipelines.optimize.Models from the cluster; what a stage costs is told to `Watch`.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar

from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from deployments.autoscaling import Demand
from deployments.microbatch import Failed, Late, Limits, MicroBatcher, Overloaded
from deployments.tracing import Traces
from pipelines.errors import ModelUnavailable
from pipelines.outcomes.calibration import Calibration, calibrated
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


def _text_characters(item: tuple[str, ...]) -> int:
    return len(item[0])


def _text_bytes(item: tuple[str, ...]) -> int:
    return 4 * _text_characters(item) + 64


def _brief_characters(brief: Brief) -> int:
    return len(brief.query)


def _brief_bytes(brief: Brief) -> int:
    # A library travels once for all briefs of its account, but a batch may hold as many accounts as briefs.
    return 12 * len(brief.query) + 4096 + sum(4 * len(template.content) + 256 for template in brief.templates)


def _judged_characters(item: tuple[str, str, Language]) -> int:
    return len(item[0]) + len(item[1])


def _judged_bytes(item: tuple[str, str, Language]) -> int:
    return 4 * _judged_characters(item) + 64


def _draft_characters(draft: Draft) -> int:
    return len(draft.text)


def _draft_bytes(draft: Draft) -> int:
    return 4 * len(draft.text) + sum(4 * len(post.text) + 128 for post in draft.own_posts) + 128


def _pair_characters(pair: Pair) -> int:
    return len(pair.a) + len(pair.b)


def _pair_bytes(pair: Pair) -> int:
    return 4 * _pair_characters(pair) + 128


@dataclass(frozen=True)
class Stage:
    """One method of a model's deployment as the ingress calls it.

    `size_of` estimates the bytes of an item on the wire, `characters_of` counts those of its text; `share` of
    the time left is what a request gives it, below 1 where others still wait for its answer. `name` is what metrics,
    timings and `degraded` call it; with `budget` the method is told the seconds that it has.
    """

    model: Model
    method: str
    size_of: Callable[[Any], int]
    characters_of: Callable[[Any], int]
    share: float = 1.0
    name: str = ""
    budget: bool = False


# By the name of its bounds in serve_config.yaml.
STAGES: Mapping[str, Stage] = {
    "query_analyzer": Stage("query_analyzer", "analyze", _text_bytes, _text_characters, 0.4),
    "sentiment": Stage("sentiment", "read", _text_bytes, _text_characters, 0.5),
    "templates": Stage("generator", "write", _brief_bytes, _brief_characters, 0.5),
    "language_model": Stage("generator", "generate", _brief_bytes, _brief_characters, 0.8, "generator.lm", budget=True),
    "judge": Stage("generator", "judge", _judged_bytes, _judged_characters, 0.5, "generator.judge"),
    "viral_predictor": Stage("viral_predictor", "predict", _draft_bytes, _draft_characters),
    "wording": Stage("viral_predictor", "compare", _pair_bytes, _pair_characters, 1.0, "viral_predictor.wording"),
}
LANGUAGE_MODEL = STAGES["language_model"]


@dataclass(slots=True)
class Followed:
    """A brief whose proposals are `told` one by one, from the moment that the language model is free for it."""

    brief: Brief
    told: Callable[[Proposal], None]
    reading: asyncio.Task[Any] | None = None


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
    """One batcher for each stage, and the version each model last answered with.

    `followed` is beside that of the language model, with its bounds and one brief a call: who is told of each proposal
    takes turns with those who wait for the whole.
    """

    def __init__(
        self, handles: Handles, limits: Mapping[str, Limits], watch: Watch, traces: Traces | None = None
    ) -> None:
        self.model_versions: dict[str, str] = {}
        self.wording_version: str | None = None
        self.watch = watch
        self.traces = traces
        self._batchers = {name: self._batcher(stage, handles, limits[name]) for name, stage in STAGES.items()}
        self._generator = handles.generator
        # Briefs that wait for the language model or are with it, by how many candidates they want.
        self._asked: Counter[int] = Counter()
        self.followed: MicroBatcher[Followed, tuple[Proposal, ...] | ModelUnavailable] = MicroBatcher(
            LANGUAGE_MODEL.name,
            self._follow,
            replace(limits["language_model"], max_items=1),
            transient=(Lost,),
            fits=True,
            on_batch=lambda items, seconds: watch.batch(LANGUAGE_MODEL.name, items, seconds),
        )

    def __getitem__(self, name: str) -> MicroBatcher[Any, Any]:
        """The batcher of a stage."""
        return self._batchers[name]

    def reconfigure(self, limits: Mapping[str, Limits]) -> None:
        """Apply new bounds to the batchers; items that wait stay."""
        for name, batcher in self._batchers.items():
            batcher.limits = limits[name]
        self.followed.limits = replace(limits["language_model"], max_items=1)

    @contextmanager
    def asked(self, brief: Brief) -> Iterator[None]:
        """Count a brief that waits for the language model, until it has its answer or its caller has left."""
        self._asked[brief.n] += 1
        try:
            yield
        finally:
            self._asked[brief.n] -= 1

    def demand(self, *, texts_per_brief: int, tokens_per_text: float) -> Demand:
        """What waits to be written here: of a brief `texts_per_brief`, or as many as it wants where that is more."""
        texts = sum(max(texts_per_brief, wanted) * briefs for wanted, briefs in self._asked.items())
        calls = self["language_model"].in_flight + self.followed.in_flight
        return Demand(texts * tokens_per_text, self._asked.total(), calls)

    def until(self, deadline: float, calibration: Calibration | None = None) -> RequestStages:
        """The stages as one request sees them; `deadline` in the running loop's time, `calibration` its account's."""
        return RequestStages(self, deadline, calibration)

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
            characters_of=stage.characters_of,
            fits=stage.budget,
            on_batch=lambda items, seconds: self.watch.batch(name, items, seconds),
            traces=self.traces,
        )

    def _remote(self, stage: Stage, name: str, method: Any) -> Callable[[list[Any], float], Awaitable[Any]]:
        async def call(items: list[Any], budget_s: float) -> Sequence[Any]:
            with _faults(name):
                batch: Batch[Any] = await (method.remote(items, budget_s) if stage.budget else method.remote(items))
            if stage is STAGES["wording"]:
                self.wording_version = batch.version
            else:
                self.model_versions[stage.model] = batch.version
            return batch.results

        return call

    async def _follow(self, items: list[Followed], budget_s: float) -> list[tuple[Proposal, ...] | ModelUnavailable]:
        """Read one brief's proposals as they come, in a task that the caller ends where it leaves."""
        (item,) = items
        item.reading = asyncio.create_task(self._read_each(item, budget_s))
        return [await item.reading]

    async def _read_each(self, item: Followed, budget_s: float) -> tuple[Proposal, ...] | ModelUnavailable:
        pieces = self._generator.options(stream=True).generate_each.remote(item.brief, budget_s)
        whole: Batch[tuple[Proposal, ...] | ModelUnavailable] | None = None
        try:
            with _faults(LANGUAGE_MODEL.name):
                async for piece in pieces:
                    if isinstance(piece, Batch):
                        whole = piece
                    else:
                        item.told(piece)
        finally:
            pieces.cancel()
        if whole is None:
            raise Lost("the last piece is missing")
        self.model_versions[LANGUAGE_MODEL.model] = whole.version
        return whole.results[0]


@contextmanager
def _faults(name: str) -> Iterator[None]:
    """Say of what Serve and Ray raise whether the stage is overloaded, failed, or only lost a call."""
    try:
        yield
    except BackPressureError as error:
        raise Overloaded(name, "the replicas' queues are full") from error
    except DeploymentUnavailableError as error:
        raise Failed(name, "no replica") from error
    except RayTaskError:
        raise
    except (RayActorError, RayError, ConnectionError) as error:
        raise Lost(str(error)) from error


@dataclass(slots=True)
class RequestStages:
    """pipelines.optimize.Models for one request: every call carries the same deadline and notes how long it took.

    Scores are corrected by the `calibration` of the account, as long as it was learned from this version of the model.
    """

    stages: Stages
    deadline: float
    calibration: Calibration | None = None
    timings_ms: dict[str, float] = field(default_factory=dict)
    # Whether it had no turn in time, as in a crowd; whether a stage had it and did not answer, which no crowd does.
    crowded: bool = False
    stalled: bool = False

    async def analyze(self, text: str, language: str | None) -> Analysis:
        """Read one text; see pipelines.query_analyzer."""
        return await self._one("query_analyzer", (text, language))  # type: ignore[no-any-return]

    async def read(self, text: str, language: str | None) -> Affect:
        """Read sentiment and its kin; see pipelines.sentiment."""
        return await self._one("sentiment", (text, language))  # type: ignore[no-any-return]

    async def write(self, brief: Brief) -> Drafts:
        """Put a brief right and fill templates; see pipelines.generator."""
        return await self._one("templates", brief)  # type: ignore[no-any-return]

    async def generate(self, brief: Brief, told: Callable[[Proposal], None] | None = None) -> tuple[Proposal, ...]:
        """Let the language model write; see pipelines.generator."""
        with self.stages.asked(brief):
            if told is None:
                return await self._one("language_model", brief)  # type: ignore[no-any-return]
            followed = Followed(brief, told)
            try:
                return await self._one("language_model", followed, self.stages.followed)  # type: ignore[no-any-return]
            finally:
                # Nobody else waits for it: what is not written yet need not be.
                if followed.reading is not None:
                    followed.reading.cancel()

    async def judge(self, items: Sequence[tuple[str, str, Language]]) -> list[float]:
        """Judge texts for their briefs; raises where a single one of them got no answer."""
        return _all_or_raise(await self._many("judge", items))

    async def predict(self, drafts: Sequence[Draft]) -> list[Prediction]:
        """Score drafts; raises where a single one of them has no score."""
        return _all_or_raise(await self.predict_each(drafts))

    async def predict_each(self, drafts: Sequence[Draft]) -> list[Prediction | ModelUnavailable]:
        """Score drafts; one that fails costs only its own place."""
        predictions: list[Prediction | ModelUnavailable] = await self._many("viral_predictor", drafts)
        known = self.calibration
        if known is None or known.version != self.stages.model_versions.get("viral_predictor"):
            return predictions
        return [said if isinstance(said, ModelUnavailable) else calibrated(said, known) for said in predictions]

    async def compare_each(self, pairs: Sequence[Pair]) -> list[Comparison | ModelUnavailable]:
        """Compare wordings; a pair that fails costs only its own place."""
        return await self._many("wording", pairs)

    def versions(self) -> dict[str, str]:
        """Version of each model that has answered so far."""
        return dict(self.stages.model_versions)

    async def _one(self, stage: str, item: Any, batcher: MicroBatcher[Any, Any] | None = None) -> Any:
        (result,) = await self._many(stage, [item], batcher)
        if isinstance(result, ModelUnavailable):
            raise result
        return result

    async def _many(self, stage: str, items: Sequence[Any], batcher: MicroBatcher[Any, Any] | None = None) -> list[Any]:
        batcher = batcher or self.stages[stage]
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
                self.crowded |= isinstance(result, (Late, Overloaded))
                waited = isinstance(result, Overloaded) or (isinstance(result, Late) and not result.sent)
                self.stalled |= batcher.down or not waited
        return results


def _all_or_raise(results: Sequence[Result | ModelUnavailable]) -> list[Result]:
    if failure := next((result for result in results if isinstance(result, ModelUnavailable)), None):
        raise failure
    return list(results)  # type: ignore[arg-type]  # no failure among them
