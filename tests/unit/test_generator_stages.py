"""The stages as a request sees them: what a model that does not answer costs, and what waits for what."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from deployments.autoscaling import Demand
from deployments.generator import TweetGenerator
from deployments.microbatch import Overloaded
from deployments.settings import IngressConfig
from deployments.stages import STAGES, Batch, Handles, RequestStages, Stages
from pipelines.errors import ModelMissing, ModelUnavailable
from pipelines.generator.completion import Completion
from pipelines.records import Brief, Language, Proposal
from tests.one_process import Near

pytestmark = pytest.mark.clock

ROOT = Path(__file__).resolve().parents[2]
TREE = yaml.safe_load((ROOT / "serve_config.yaml").read_text())["applications"][0]["deployments"][0]["user_config"]
CONFIG = IngressConfig.model_validate(TREE)
BRIEF = Brief(query="We open on Monday. Doors at 7.", language="en", keywords=("doors",), n=2)
WRITTEN = (Proposal("Doors at 7.", 11, "lm", None, 0.5),)


class Noting:
    def __init__(self) -> None:
        self.failures: list[tuple[str, str]] = []

    def batch(self, stage: str, items: int, seconds: float) -> None: ...

    def failed(self, stage: str, reason: str) -> None:
        self.failures.append((stage, reason))


def stages_on(**methods: Callable[..., Any]) -> tuple[RequestStages, Noting]:
    """A request's stages, whose generator answers with the given methods."""
    missing: dict[str, Any] = dict.fromkeys(stage.method for stage in STAGES.values())
    replica = Near(SimpleNamespace(**(missing | methods)))
    handles = dict.fromkeys((stage.model for stage in STAGES.values()), replica)
    watch = Noting()
    stages = Stages(Handles(**handles), CONFIG.limits(), watch)
    return stages.until(asyncio.get_running_loop().time() + 2), watch


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fluency": {"max_items": 1, "max_in_flight": 1, "max_waiting": 1}}, "fluency: there is no such"),
        (None, "wording: missing"),
    ],
)
def test_the_configuration_names_every_stage_and_no_other(change: dict[str, Any] | None, message: str) -> None:
    stages = {**TREE["stages"], **(change or {})}
    if change is None:
        stages.pop("wording")
    with pytest.raises(ValidationError, match=message):
        IngressConfig.model_validate(TREE | {"stages": stages})


async def test_what_waits_to_be_written_is_counted_until_it_is_answered_or_its_caller_leaves() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def generate(briefs: list[Brief], _budget_s: float) -> Batch[Any]:
        begun.set()
        await go_on.wait()
        return Batch("1", [WRITTEN for _ in briefs])

    def demand() -> Demand:
        return stages.stages.demand(texts_per_brief=10, tokens_per_text=22)

    stages, _ = stages_on(generate=generate)
    assert demand() == Demand(queued_tokens=0, queued_briefs=0, writing_calls=0)
    calls = [asyncio.create_task(stages.generate(replace(BRIEF, n=n))) for n in (2, 2, 20)]
    await begun.wait()
    assert demand() == Demand(queued_tokens=(10 + 10 + 20) * 22, queued_briefs=3, writing_calls=1)
    calls[2].cancel()
    await asyncio.wait([calls[2]])
    assert demand().queued_tokens == (10 + 10) * 22
    go_on.set()
    await asyncio.gather(*calls[:2])
    assert demand() == Demand(queued_tokens=0, queued_briefs=0, writing_calls=0)


async def test_a_server_without_an_answer_costs_the_language_model_alone() -> None:
    async def generate(briefs: list[Brief], _budget_s: float) -> Batch[Any]:
        gone = ModelUnavailable("generator.lm", "the server answered 429")
        return Batch("1", [gone if brief.seed else WRITTEN for brief in briefs])

    stages, watch = stages_on(generate=generate)
    good, bad = await asyncio.gather(
        stages.generate(BRIEF), stages.generate(replace(BRIEF, seed=1)), return_exceptions=True
    )
    assert good == WRITTEN
    assert isinstance(bad, ModelUnavailable)
    assert bad.stage == "generator.lm"
    assert watch.failures == [("generator.lm", "ModelUnavailable")]


async def failing(_items: Sequence[Any]) -> Batch[float]:
    raise ModelMissing


async def late(_items: Sequence[Any]) -> Batch[float]:
    await asyncio.sleep(30)
    raise AssertionError


@pytest.mark.parametrize("judge", [failing, late])
async def test_a_judge_without_an_answer_is_unavailable_and_says_so(judge: Callable[..., Any]) -> None:
    stages, watch = stages_on(judge=judge)
    with pytest.raises(ModelUnavailable) as error:
        await stages.judge([("tea", "Tea.", "en"), ("coffee", "Coffee.", "en")])
    assert error.value.stage == "generator.judge"
    assert {stage for stage, _ in watch.failures} == {"generator.judge"}


async def test_the_texts_of_a_request_are_judged_in_one_call_and_in_order() -> None:
    calls: list[list[tuple[str, str, Language]]] = []

    async def judge(items: list[tuple[str, str, Language]]) -> Batch[float]:
        calls.append(items)
        return Batch("1", [float(len(text)) for _, text, _ in items])

    stages, _ = stages_on(judge=judge)
    asked: list[tuple[str, str, Language]] = [("t", "Tea.", "en"), ("c", "Coffee.", "en"), ("", "", "es")]
    assert await stages.judge(asked) == [4.0, 7.0, 0.0]
    assert calls == [asked]


async def test_the_polish_and_the_judge_do_not_wait_for_the_language_model() -> None:
    released = threading.Event()

    class Slow:
        version, samples, rounds = "slow", 1, 1

        def complete(self, briefs: Sequence[Brief], **_: float) -> list[list[Any]]:
            assert released.wait(60)
            return [[] for _ in briefs]

    deployment = TweetGenerator(None, ROOT / "models" / "judge", None, device="cpu", writer_threads=1)
    deployment.reconfigure({"temperature": 0.5, "top_p": 0.9})
    deployment._pipeline._writer = Slow()
    writing = asyncio.create_task(deployment.generate([BRIEF], 30.0))
    written = await deployment.write([BRIEF])
    judged = await deployment.judge([("tea", "Good tea.", "en"), ("té", "Buen té.", "es")])
    assert not writing.done()
    released.set()
    assert (await writing).results == [()]
    assert written.results[0].is_statement
    assert all(0 <= p <= 1 for p in judged.results)
    assert written.version.endswith("+slow-t0.5-p0.9")


async def test_without_the_prepared_writer_the_language_model_alone_is_unavailable() -> None:
    deployment = TweetGenerator(None, ROOT / "models" / "judge", None, device="cpu", writer_threads=1)
    (answer,) = (await deployment.generate([BRIEF], 1.0)).results
    assert isinstance(answer, ModelUnavailable)
    assert answer.stage == "generator.lm"


def stages_of(deployment: TweetGenerator) -> RequestStages:
    """A request's stages on a real generator in this process."""
    return stages_on(generate=deployment.generate, generate_each=deployment.generate_each)[0]


class Model:
    """Says what each brief says, tells of the first at once, and goes on until it may end or all have left."""

    version, samples, rounds = "slow", 1, 1

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.began: list[str] = []
        self.left: list[str] = []

    def complete(
        self, briefs: Sequence[Brief], told: Any = None, left: Any = None, **_: float
    ) -> list[list[Completion]]:
        written = [Completion(brief.query.replace(". ", ": "), finished=True) for brief in briefs]
        self.began.append(written[0].text)
        if told is not None:
            told(0, written[0])
        while not self.may_end.wait(0.01):
            if left is not None and left():
                self.left.append(written[0].text)
                return [[] for _ in briefs]
        return [[one] for one in written]


def deployment_of(model: Model) -> TweetGenerator:
    deployment = TweetGenerator(None, ROOT / "models" / "judge", None, device="cpu", writer_threads=1)
    deployment._pipeline._writer = model
    return deployment


def brief_of(day: str) -> Brief:
    return replace(BRIEF, query=f"We open on {day}. Doors at 7.", n=1)


async def test_what_passes_is_told_before_the_model_has_ended_and_the_whole_comes_last() -> None:
    model = Model()
    stages = stages_of(deployment_of(model))
    heard: list[str] = []

    def told(proposal: Proposal) -> None:
        heard.append(proposal.text)
        assert not model.may_end.is_set()
        model.may_end.set()

    written = await stages.generate(brief_of("Monday"), told)
    assert heard == [proposal.text for proposal in written] == ["We open on Monday: Doors at 7."]
    assert stages.versions()["generator"].endswith("slow-t0.6-p0.9")


async def test_who_leaves_ends_the_writing_and_frees_the_model_for_the_next() -> None:
    model = Model()
    stages = stages_of(deployment_of(model))
    first, second = asyncio.Event(), asyncio.Event()
    leaving = asyncio.create_task(stages.generate(brief_of("Monday"), lambda _: first.set()))
    waiting = asyncio.create_task(stages.generate(brief_of("Friday"), lambda _: second.set()))
    gone = asyncio.create_task(stages.generate(brief_of("Sunday"), lambda _: None))
    await first.wait()
    gone.cancel()
    leaving.cancel()
    await second.wait()
    model.may_end.set()
    assert [proposal.text for proposal in await waiting] == ["We open on Friday: Doors at 7."]
    assert model.left == model.began[:1] == ["We open on Monday: Doors at 7."]
    assert len(model.began) == 2


async def test_those_who_are_told_and_those_who_wait_for_the_whole_take_turns() -> None:
    model = Model()
    stages = stages_of(deployment_of(model))
    told = [asyncio.create_task(stages.generate(brief_of(f"Monday {n}"), lambda _: None)) for n in range(3)]
    await asyncio.sleep(0.05)
    whole = [asyncio.create_task(stages.generate(brief_of(f"Friday {n}"))) for n in range(2)]
    await asyncio.sleep(0.05)
    model.may_end.set()
    await asyncio.gather(*told, *whole)
    # Two who wait for the whole share a call; they wait for one of those who are told, not for three.
    assert ["Friday" in name for name in model.began] == [False, True, False, False]


async def test_one_who_would_be_told_too_late_or_after_too_many_is_refused() -> None:
    model = Model()
    stages = stages_of(deployment_of(model))
    limits = CONFIG.limits()
    stages.stages.reconfigure(limits | {"language_model": replace(limits["language_model"], max_waiting=1)})
    late = asyncio.create_task(stages.generate(brief_of("Monday"), lambda _: None))
    await asyncio.sleep(0.05)
    second = asyncio.create_task(stages.generate(brief_of("Tuesday"), lambda _: None))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await stages.generate(brief_of("Friday"), lambda _: None)
    for waiting in (late, second):
        with pytest.raises(ModelUnavailable) as error:
            await waiting
        assert error.value.stage == "generator.lm"
    assert isinstance(stages.stages.watch, Noting)
    assert stages.stages.watch.failures[0] == ("generator.lm", "Overloaded")


@pytest.mark.parametrize("lost", [ConnectionError("gone"), None])
async def test_a_replica_that_is_lost_amid_its_pieces_is_asked_again(lost: Exception | None) -> None:
    calls: list[int] = []

    async def generate_each(_brief: Brief, _budget_s: float) -> AsyncGenerator[Any, None]:
        calls.append(len(calls))
        yield WRITTEN[0]
        if len(calls) > 1:
            yield Batch("1", [WRITTEN])
        elif lost:
            raise lost

    stages, _ = stages_on(generate_each=generate_each)
    heard: list[Proposal] = []
    assert await stages.generate(BRIEF, heard.append) == WRITTEN
    assert len(calls) == 2


async def test_without_a_language_model_nothing_is_told_and_the_reason_comes_last() -> None:
    deployment = TweetGenerator(None, ROOT / "models" / "judge", None, device="cpu", writer_threads=1)
    with pytest.raises(ModelUnavailable, match="no language model"):
        await stages_of(deployment).generate(BRIEF, lambda _: pytest.fail("told"))
