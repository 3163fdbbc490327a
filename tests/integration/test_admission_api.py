"""Where the models have their hands full: who is told to come back, and who needs none of them and is not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from deployments.admission import Place
from deployments.answers import Answers, SharedCalls, _note
from deployments.microbatch import Failed, Late, Overloaded
from deployments.stages import RequestStages
from pipelines.errors import ModelUnavailable
from pipelines.records import Query
from pipelines.results import Candidate
from store.cache import Cache
from store.postgres import Store
from tests.integration.conftest import caller
from tests.integration.test_track_record_api import product

TEMPLATES = {"query": "We bake bread.", "engine": "templates"}
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("/analyze-query", TEMPLATES),
    ("/generate", TEMPLATES),
    ("/generate/stream", TEMPLATES),
    ("/optimize", {"draft": "We bake bread."}),
]


@pytest.mark.parametrize(("path", "body"), CALLS)
async def test_who_finds_all_places_taken_is_told_to_come_back_and_then_answered(
    store: Store, cache: Cache, path: str, body: dict[str, Any]
) -> None:
    async with product(store, cache) as (gate, answers), caller(gate, "acme") as client:
        answers._admission.limit = 1
        with answers._admission.admitted():
            refused = await client.post(path, json=body)
        answered = await client.post(path, json=body)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert "in time" in refused.json()["detail"]
    assert answered.status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [("/analyze-query", TEMPLATES | {"engine": "lm"}), ("/generate", TEMPLATES | {"engine": "lm"}), CALLS[-1]],
)
async def test_who_asks_the_language_model_waits_in_its_queue_instead(
    store: Store, cache: Cache, path: str, body: dict[str, Any]
) -> None:
    async with product(store, cache, language_model=True) as (gate, answers), caller(gate, "acme") as client:
        answers._admission.limit = 0
        assert (await client.post(path, json=body)).status_code == 200


async def test_what_is_known_is_told_without_a_place(store: Store, cache: Cache) -> None:
    async with product(store, cache) as (gate, answers), caller(gate, "acme") as client:
        answers.config = answers.config.model_copy(update={"cache_engines": ("templates",)})
        key = {"idempotency-key": "once"}
        first = await client.post("/analyze-query", json=TEMPLATES, headers=key)
        # What models answered decides the key of the cache: the first answer comes before that is known.
        await client.post("/analyze-query", json=TEMPLATES)
        answers._admission.limit = 0
        replayed = await client.post("/analyze-query", json=TEMPLATES, headers=key)
        cached = await client.post("/analyze-query", json=TEMPLATES)
        new = await client.post("/analyze-query", json=TEMPLATES | {"query": "We bake cakes."})
    assert replayed.content == first.content
    assert (cached.status_code, new.status_code) == (200, 503)


async def test_equal_requests_in_flight_take_one_place(store: Store, cache: Cache) -> None:
    async with product(store, cache) as (gate, answers), caller(gate, "acme") as client:
        answers._admission.limit = 1
        found = await asyncio.gather(*(client.post("/analyze-query", json=TEMPLATES) for _ in range(5)))
        assert answers._admission.inside == 0
    assert [one.status_code for one in found] == [200] * 5


async def test_a_stream_holds_its_place_until_it_ends_or_is_closed(store: Store, cache: Cache) -> None:
    async with product(store, cache) as (_, answers):
        query = Query(query="We bake bread.", engine="templates")
        for left_early in (True, False):
            pieces = await answers.generate_each(query, "acme")
            assert answers._admission.inside == 0, "nothing was computed yet"
            assert isinstance(await anext(pieces), Candidate)
            assert answers._admission.inside == 1
            if left_early:
                await pieces.aclose()
            else:
                assert [piece async for piece in pieces]
            assert answers._admission.inside == 0


async def test_who_comes_when_the_last_caller_of_an_equal_request_has_left_is_answered() -> None:
    calls, began = SharedCalls(), []

    async def answer() -> str:
        began.append(1)
        try:
            await asyncio.sleep(0.3)
        except asyncio.CancelledError:
            # As a connection that is given back takes a moment.
            await asyncio.sleep(0.02)
            raise
        return "answer"

    leaving = asyncio.create_task(calls.run("key", answer))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait([leaving])
    first = asyncio.create_task(calls.run("key", answer))
    await asyncio.sleep(0.1)
    # The one that was cancelled has ended by now, and took nothing of the other along.
    assert await asyncio.gather(first, calls.run("key", answer)) == ["answer"] * 2
    assert len(began) == 2
    assert await calls.run("key", answer) == "answer", "nothing of it is left"
    assert len(began) == 3


async def test_one_who_leaves_gives_the_place_back(store: Store, cache: Cache) -> None:
    async with product(store, cache) as (_, answers):
        waiting = asyncio.create_task(_forever(answers))
        await asyncio.sleep(0)
        assert answers._admission.inside == 1
        waiting.cancel()
        await asyncio.wait([waiting])
        assert answers._admission.inside == 0


async def _forever(answers: Answers) -> None:
    with answers._admission.admitted():
        await asyncio.sleep(60)


@dataclass
class Batcher:
    """A stage that gives one answer."""

    answer: ModelUnavailable | str
    down: bool = False
    name: str = "sentiment"

    async def submit_many(self, items: Sequence[Any], _deadline: float) -> list[Any]:
        return [self.answer] * len(items)


@pytest.mark.parametrize(
    ("batcher", "budget_ms", "outcome"),
    [
        (Batcher("read"), None, "whole"),
        (Batcher("read"), 50, "whole"),
        (Batcher(Late("sentiment", "in the queue")), None, "late"),
        (Batcher(Overloaded("sentiment", "2048 wait")), None, "late"),
        (Batcher(Late("sentiment", "in the queue")), 50, "unknown"),
        (Batcher(Late("sentiment", "in the queue"), down=True), None, "unknown"),
        (Batcher(Late("sentiment", "no answer", sent=True)), None, "unknown"),
        (Batcher(Failed("sentiment", "no replica")), None, "unknown"),
    ],
)
async def test_only_a_queue_that_was_too_long_makes_an_answer_late(
    store: Store, cache: Cache, batcher: Batcher, budget_ms: int | None, outcome: str
) -> None:
    async with product(store, cache) as (_, answers):
        models: RequestStages = answers.until_deadline()
        await models._many("sentiment", [("We bake bread.", "en")], batcher)  # type: ignore[arg-type]
        place = Place()
        _note(place, Query(query="We bake bread.", latency_budget_ms=budget_ms), models)
    assert place.outcome == outcome
