"""The same models in one process, for the systems that the cluster is compared with."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from deployments.settings import Args, GeneratorConfig, IngressConfig, QueryAnalyzerConfig, SentimentConfig
from deployments.stages import Batch, Handles
from pipelines.encoder import Encoder
from pipelines.generator.generator import Generator
from pipelines.generator.judge import Judge
from pipelines.generator.second_opinion import load_second_opinions
from pipelines.query_analyzer.analyzer import QueryAnalyzer
from pipelines.sentiment.ensemble import SentimentEnsemble
from pipelines.sentiment.sensitivity import SensitivityModel
from pipelines.viral_predictor.predictor import ViralPredictor
from pipelines.viral_predictor.substance import SubstanceModel
from pipelines.viral_predictor.wording import WordingModel

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
