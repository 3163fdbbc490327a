"""The generator's stages as a request sees them: what a model that does not answer costs, and what waits for what."""

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

from deployments.generator import TweetGenerator
from deployments.settings import IngressConfig
from deployments.stages import FLUENCY, LANGUAGE_MODEL, Batch, Handles, RequestStages, Stages
from pipelines.errors import ModelMissing, ModelUnavailable
from pipelines.generator.templates import realise
from pipelines.records import Brief
from tests.checkpoints import save_critic

TREE = yaml.safe_load((Path(__file__).resolve().parents[2] / "serve_config.yaml").read_text())
CONFIG = IngressConfig.model_validate(TREE["applications"][0]["deployments"][0]["user_config"])
BRIEF = Brief(query="coffee subscription", language="en", keywords=("coffee subscription",), n=2)


class Noting:
    def __init__(self) -> None:
        self.failures: list[tuple[str, str]] = []

    def batch(self, stage: str, items: int, seconds: float) -> None: ...

    def failed(self, stage: str, reason: str) -> None:
        self.failures.append((stage, reason))


def stages_on(**methods: Callable[..., Any]) -> tuple[RequestStages, Noting]:
    """A request's stages, whose generator answers with the given methods."""
    method = SimpleNamespace(remote=None)
    others = SimpleNamespace(analyze=method, read=method, predict=method, compare=method)
    generator = SimpleNamespace(write=method, generate=method, score=method)
    for name, function in methods.items():
        setattr(generator, name, SimpleNamespace(remote=function))
    watch = Noting()
    stages = Stages(Handles(others, others, generator, others), CONFIG.stages, watch)
    return stages.until(asyncio.get_running_loop().time() + 2), watch


async def test_a_server_without_an_answer_costs_the_language_model_alone() -> None:
    async def generate(briefs: list[Brief], _budget_s: float) -> Batch[Any]:
        gone = ModelUnavailable(LANGUAGE_MODEL, "the server answered 429")
        return Batch("1", [gone if brief.seed else realise(brief) for brief in briefs])

    stages, watch = stages_on(generate=generate)
    good, bad = await asyncio.gather(
        stages.generate(BRIEF), stages.generate(replace(BRIEF, seed=1)), return_exceptions=True
    )
    assert good == realise(BRIEF)
    assert isinstance(bad, ModelUnavailable)
    assert bad.stage == LANGUAGE_MODEL
    assert watch.failures == [(LANGUAGE_MODEL, "ModelUnavailable")]


async def failing(_items: Sequence[Any]) -> Batch[float | None]:
    raise ModelMissing


async def late(_items: Sequence[Any]) -> Batch[float | None]:
    await asyncio.sleep(30)
    raise AssertionError


@pytest.mark.parametrize("score", [failing, late])
async def test_a_critic_without_an_answer_is_unavailable_and_says_so(score: Callable[..., Any]) -> None:
    stages, watch = stages_on(score=score)
    with pytest.raises(ModelUnavailable) as error:
        await stages.fluency(["Tea.", "Coffee."], "en")
    assert error.value.stage == FLUENCY
    assert {stage for stage, _ in watch.failures} == {FLUENCY}


async def test_the_texts_of_a_request_are_scored_in_one_call_and_in_order() -> None:
    calls: list[list[tuple[str, str | None]]] = []

    async def score(items: list[tuple[str, str | None]]) -> Batch[float | None]:
        calls.append(items)
        return Batch("1", [float(len(text)) for text, _ in items])

    stages, _ = stages_on(score=score)
    assert await stages.fluency(["Tea.", "Coffee.", ""], "en") == [4.0, 7.0, 0.0]
    assert calls == [[("Tea.", "en"), ("Coffee.", "en"), ("", "en")]]


async def test_templates_and_the_critic_do_not_wait_for_the_language_model(tmp_path: Path) -> None:
    released = threading.Event()

    class Slow:
        version = "slow"

        def complete(self, briefs: Sequence[Brief], **_: float) -> list[list[Any]]:
            assert released.wait(60)
            return [[] for _ in briefs]

    deployment = TweetGenerator(None, save_critic(tmp_path, steps=0), "cpu")
    deployment.reconfigure({"temperature": 0.5, "top_p": 0.9})
    deployment._pipeline._writer = Slow()
    writing = asyncio.create_task(deployment.generate([BRIEF], 30.0))
    templates = await deployment.write([BRIEF])
    scores = await deployment.score([("Good coffee.", "en"), ("Buen café.", "es")])
    assert not writing.done()
    released.set()
    assert (await writing).results == [[]]
    assert templates.results == [realise(BRIEF)]
    assert [score is None for score in scores.results] == [False, True]
    assert templates.version.endswith("+slow-t0.5-p0.9+critic-test")
