"""The stages as a request sees them: what a model that does not answer costs, and what waits for what."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from deployments.generator import TweetGenerator
from deployments.settings import IngressConfig
from deployments.stages import STAGES, Batch, Handles, RequestStages, Stages
from pipelines.errors import ModelMissing, ModelUnavailable
from pipelines.records import Brief, Language, Proposal

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
    handles: dict[str, Any] = {stage.model: SimpleNamespace() for stage in STAGES.values()}
    for stage in STAGES.values():
        setattr(handles[stage.model], stage.method, SimpleNamespace(remote=methods.get(stage.method)))
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
