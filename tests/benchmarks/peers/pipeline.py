"""What every peer computes for a request, and not more: the product's pipelines and its insert, without Ray.

Nothing here imports `deployments`: a peer's memory and start are its own. The numbers are those of serve_config.yaml.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, get_args

import orjson
import uuid_utils.compat
import yaml
from pydantic import TypeAdapter

from pipelines.encoder import Encoder
from pipelines.generator.candidates import Engines
from pipelines.generator.generator import Generator
from pipelines.generator.judge import Judge
from pipelines.generator.second_opinion import load_second_opinions
from pipelines.optimize import answer
from pipelines.policy import Policy
from pipelines.query_analyzer.analyzer import QueryAnalyzer
from pipelines.records import Affect, Analysis, Brief, Draft, Drafts, Language, Proposal, Query
from pipelines.results import Answer, Prediction
from pipelines.sentiment.ensemble import SentimentEnsemble
from pipelines.sentiment.sensitivity import SensitivityModel
from pipelines.viral_predictor.predictor import ViralPredictor
from pipelines.viral_predictor.substance import SubstanceModel
from store.postgres import AnalyzedQuery, Store

ROOT = Path(__file__).resolve().parents[3]
QUERY = TypeAdapter(Query)
WARM_UP = "Our new running shoes are here. Which color would you wear?"
ListCall = Callable[[list[Any]], Sequence[Any]]


def _ingress() -> dict[str, Any]:
    tree = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    return next(d["user_config"] for d in tree["applications"][0]["deployments"] if d["name"] == "ingress")


INGRESS = _ingress()
ENGINES = Engines(policy=Policy(INGRESS["policy"]), default_language=INGRESS["default_language"])


def warmed(lists: dict[str, ListCall], *items: Any) -> dict[str, ListCall]:
    """Read word lists and patterns now, as the product's replicas do, and not within a request."""
    for call in lists.values():
        call(list(items))
    return lists


def load_analyzer() -> dict[str, ListCall]:
    analyzer = QueryAnalyzer()
    return warmed({"analyze": lambda items: analyzer.analyze(*zip(*items, strict=True))}, (WARM_UP, None))


def load_sentiment() -> dict[str, ListCall]:
    encoder = Encoder.load(ROOT / "models/encoder")
    sensitivity = SensitivityModel.load(ROOT / "models/sensitivity", encoder=encoder.version)
    ensemble = SentimentEnsemble(encoder, sensitivity, SubstanceModel.load(ROOT / "models/substance", encoder))
    return warmed({"read": lambda items: ensemble.read(*zip(*items, strict=True))}, (WARM_UP, "en"))


def load_generator() -> dict[str, ListCall]:
    opinions = load_second_opinions(ROOT / "models/verifier")
    generator = Generator(Judge.load(ROOT / "models/judge"), None, opinions)
    briefs = (Brief(query=WARM_UP, language=language, keywords=()) for language in get_args(Language))
    return warmed({"write": generator.write}, *briefs) | {"judge": generator.judge}


def load_predictor() -> dict[str, ListCall]:
    # Without what reads substance: a request's affect tells it, in the cluster too.
    predictor = ViralPredictor.load(ROOT / "models/viral_predictor")
    return warmed({"predict": predictor.predict}, Draft(text=WARM_UP))


def load() -> dict[str, ListCall]:
    """Every model in this process; each call takes a list of items and returns one result an item."""
    return load_analyzer() | load_sentiment() | load_generator() | load_predictor()


async def connect() -> Store:
    """A pool as the product's ingress has it."""
    return await Store.connect(
        os.environ["DATABASE_URL"],
        min_size=1,
        max_size=INGRESS["store_pool_size"],
        timeout_s=INGRESS["store_deadline_s"],
    )


class Models:
    """pipelines.optimize.Models over `call(name, items)`, a coroutine function."""

    def __init__(self, call: Callable[[str, list[Any]], Any]) -> None:
        self._call = call

    async def analyze(self, text: str, language: str | None) -> Analysis:
        return (await self._call("analyze", [(text, language)]))[0]

    async def read(self, text: str, language: str | None) -> Affect:
        return (await self._call("read", [(text, language)]))[0]

    async def write(self, brief: Brief) -> Drafts:
        return (await self._call("write", [brief]))[0]

    async def generate(self, brief: Brief, _told: Any = None) -> tuple[Proposal, ...]:
        raise AssertionError(f"nobody asked for a language model: {brief}")

    async def judge(self, items: Sequence[tuple[str, str, Language]]) -> list[float]:
        return list(await self._call("judge", list(items)))

    async def predict(self, drafts: Sequence[Draft]) -> list[Prediction]:
        return list(await self._call("predict", list(drafts)))

    async def compare_each(self, pairs: Any) -> Any:
        raise AssertionError(f"nobody compares wordings here: {pairs}")

    def versions(self) -> dict[str, str]:
        return {}


class InStep:
    """The models for a batch of requests that are answered in step: what all of them ask for is one list call.

    It calls when nobody has anything left to do but wait for it: no timer. Of one batch; it is made anew for the next.
    """

    def __init__(self, lists: dict[str, ListCall], executor: Executor | None) -> None:
        self._lists = lists
        self._executor = executor
        self._asked: dict[str, list[tuple[list[Any], asyncio.Future[list[Any]]]]] = {}
        self._flush: asyncio.Task[None] | None = None

    async def __call__(self, name: str, items: list[Any]) -> list[Any]:
        done = asyncio.get_running_loop().create_future()
        self._asked.setdefault(name, []).append((items, done))
        if self._flush is None or self._flush.done():
            self._flush = asyncio.create_task(self._run())
        return await done

    async def _run(self) -> None:
        # Some turns of the loop: those who got the last results are asking for the next by then.
        for _ in range(4):
            await asyncio.sleep(0)
        while self._asked:
            name, asked = self._asked.popitem()
            items = [item for some, _ in asked for item in some]
            if self._executor is None:
                results = self._lists[name](items)
            else:
                results = await asyncio.get_running_loop().run_in_executor(self._executor, self._lists[name], items)
            given = iter(results)
            for some, done in asked:
                done.set_result([next(given) for _ in some])
            for _ in range(4):
                await asyncio.sleep(0)


async def answer_all(
    queries: Sequence[Query], lists: dict[str, ListCall], store: Store, executor: Executor | None = None
) -> list[bytes]:
    """Answer a batch of queries with one list call a model and step, and one insert of all rows; returns JSON."""
    models = Models(InStep(lists, executor))
    answers = await asyncio.gather(*(answer(query, models, ENGINES) for query in queries))
    rows, bodies = zip(*(finished(query, result) for query, result in zip(queries, answers, strict=True)), strict=True)
    await store.save_queries(rows)
    return list(bodies)


async def answer_one(query: Query, models: Models, store: Store) -> bytes:
    """Answer one query with one call a model, and one insert; returns JSON."""
    row, body = finished(query, await answer(query, models, ENGINES))
    await store.save_queries([row])
    return body


def finished(query: Query, result: Answer) -> tuple[AnalyzedQuery, bytes]:
    """The row of an answer, and the JSON that says that it is stored."""
    body = orjson.dumps(result)
    row = AnalyzedQuery(
        id=uuid_utils.compat.uuid7(),
        account_id="default",
        query_text=query.query,
        request=orjson.dumps(query),
        analysis_result=body,
        viral_score=result.viral_score,
        degraded=result.degraded,
        model_versions=b"{}",
    )
    return row, orjson.dumps({"id": row.id, "persisted": True})[:-1] + b"," + body[1:]
