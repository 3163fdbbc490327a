"""The same models in one process, without a cluster."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import uuid_utils.compat
import yaml

from deployments.settings import Args, GeneratorConfig, IngressConfig, QueryAnalyzerConfig, SentimentConfig
from deployments.stages import Batch, Handles
from pipelines.encoder import Encoder
from pipelines.generator.generator import Generator
from pipelines.generator.judge import Judge
from pipelines.generator.second_opinion import load_second_opinions
from pipelines.query_analyzer.analyzer import QueryAnalyzer
from pipelines.records import Brief, Draft
from pipelines.sentiment.ensemble import SentimentEnsemble
from pipelines.sentiment.sensitivity import SensitivityModel
from pipelines.viral_predictor.predictor import ViralPredictor
from pipelines.viral_predictor.substance import SubstanceModel
from pipelines.viral_predictor.wording import WordingModel
from store.postgres import AnalyzedQuery, Store

ROOT = Path(__file__).resolve().parents[2]


def user_config(name: str) -> dict[str, Any]:
    """The numbers of serve_config.yaml."""
    tree = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    return next(d["user_config"] for d in tree["applications"][0]["deployments"] if d["name"] == name)


def ingress_config() -> IngressConfig:
    return IngressConfig.model_validate(user_config("ingress"))


def models() -> Handles:
    """The four pipelines, configured as in the cluster, with the list methods of the deployments."""
    analyzer = QueryAnalyzer(**QueryAnalyzerConfig.model_validate(user_config("query_analyzer")).model_dump())
    arguments = Args()
    assert arguments.encoder is not None
    encoder = Encoder.load(arguments.encoder)
    weights = SentimentConfig.model_validate(user_config("sentiment")).weights
    assert isinstance(weights, str)
    ensemble = SentimentEnsemble(
        encoder,
        SensitivityModel.load(arguments.sensitivity, encoder=encoder.version) if arguments.sensitivity else None,
        SubstanceModel.load(arguments.substance, encoder) if arguments.substance else None,
        weights=weights,
    )
    opinions = load_second_opinions(arguments.verifier) if arguments.verifier else None
    generator = Generator(
        Judge.load(arguments.judge),
        None,
        opinions,
        **GeneratorConfig.model_validate(user_config("generator")).model_dump(),
    )
    predictor = ViralPredictor.load(arguments.viral_predictor)
    assert arguments.wording is not None
    wording = WordingModel.load(arguments.wording, encoder, predictor)
    return Handles(
        query_analyzer=SimpleNamespace(
            analyze=lambda items: Batch(analyzer.version, analyzer.analyze(*zip(*items, strict=True)))
        ),
        sentiment=SimpleNamespace(read=lambda items: Batch(ensemble.version, ensemble.read(*zip(*items, strict=True)))),
        generator=SimpleNamespace(
            write=lambda briefs: Batch(generator.version, generator.write(briefs)),
            generate=None,
            judge=lambda items: Batch(generator.version, generator.judge(items)),
        ),
        viral_predictor=SimpleNamespace(
            predict=lambda drafts: Batch(predictor.version, predictor.predict(drafts)),
            compare=lambda pairs: Batch(wording.version, wording.compare(pairs)),
        ),
    )


def on(executor: Executor, handles: Handles) -> Handles:
    """The same models, called as Serve handles are, on `executor`."""

    def remote(method: Callable[..., Any]) -> SimpleNamespace:
        async def call(*arguments: Any) -> Any:
            return await asyncio.get_running_loop().run_in_executor(executor, method, *arguments)

        return SimpleNamespace(remote=call)

    return Handles(
        **{
            name: SimpleNamespace(**{method: remote(function) for method, function in vars(model).items()})
            for name, model in vars(handles).items()
        }
    )


class Unwatched:
    """Metrics that nobody reads."""

    def batch(self, stage: str, items: int, seconds: float) -> None: ...

    def failed(self, stage: str, reason: str) -> None: ...


async def connect() -> Store:
    config = ingress_config()
    return await Store.connect(
        os.environ["DATABASE_URL"], min_size=1, max_size=config.store_pool_size, timeout_s=config.store_deadline_s
    )


async def batches(seconds: float) -> tuple[float, dict[str, float]]:
    """Texts/s of the pipeline alone, in batches of 64 with its insert and without HTTP, and ms a text of each stage."""
    handles = models()
    store = await connect()
    done = 0
    spent: Counter[str] = Counter()

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        noted = time.perf_counter()
        yield
        spent[name] += time.perf_counter() - noted

    loop = asyncio.get_running_loop()
    started = loop.time()
    while loop.time() - started < seconds:
        texts = [
            f"We launch our new running shoes number {done + n} next week. Pre-orders are open!" for n in range(64)
        ]
        with stage("query_analyzer"):
            analyses = handles.query_analyzer.analyze([(text, None) for text in texts]).results
        with stage("sentiment"):
            affects = handles.sentiment.read([(text, "en") for text in texts]).results
        briefs = [
            Brief(query=text, language="en", keywords=tuple(k.text for k in analysis.keywords), n=5)
            for text, analysis in zip(texts, analyses, strict=True)
        ]
        with stage("generator"):
            written = [drafts.proposals for drafts in handles.generator.write(briefs).results]
        drafts = [
            Draft(text=text)
            for query, proposals in zip(texts, written, strict=True)
            for text in (query, *(proposal.text for proposal in proposals))
        ]
        with stage("viral_predictor"):
            predictions = iter(handles.viral_predictor.predict(drafts).results)
        rows = []
        for text, analysis, affect, proposals in zip(texts, analyses, affects, written, strict=True):
            own, *scored = [next(predictions) for _ in range(1 + len(proposals))]
            result = {
                "analysis": analysis,
                "affect": affect,
                "prediction": own,
                "templates": [*zip(proposals, scored, strict=True)],
            }
            rows.append(
                AnalyzedQuery(
                    id=uuid_utils.compat.uuid7(),
                    account_id="default",
                    query_text=text,
                    request=b"{}",
                    analysis_result=orjson.dumps(result),
                    viral_score=own.viral_score,
                    degraded=(),
                    model_versions=b"{}",
                )
            )
        with stage("store"):
            await store.save_queries(rows)
        done += len(rows)
    rate = done / (loop.time() - started)
    await store.close()
    return rate, {name: 1000 * seconds / done for name, seconds in spent.items()}
