"""The product's models in one process: what the cluster spreads over deployments, for scripts and tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipelines.encoder import Encoder
from pipelines.errors import ModelMissing, ModelUnavailable
from pipelines.generator.generator import Generator
from pipelines.query_analyzer.analyzer import QueryAnalyzer
from pipelines.records import Affect, Analysis, Brief, Draft, Pair, Proposal
from pipelines.results import Comparison, Prediction
from pipelines.sentiment.ensemble import SentimentEnsemble
from pipelines.sentiment.intent import IntentModel
from pipelines.viral_predictor.predictor import ViralPredictor


class LocalModels:
    """pipelines.optimize.Models without a language model; `models` is the folder of the trained weights."""

    def __init__(self, models: Path, critic: Path | None = None) -> None:
        encoder = Encoder.load(models / "encoder")
        self._analyzer = QueryAnalyzer()
        self._ensemble = SentimentEnsemble(encoder, IntentModel.load(models / "intent", encoder=encoder.version))
        self._generator = Generator(critic=critic)
        self._predictor = ViralPredictor.load(models / "viral_predictor")

    async def analyze(self, text: str, language: str | None) -> Analysis:
        """See pipelines.query_analyzer.analyzer."""
        return self._analyzer.analyze([text], [language])[0]

    async def read(self, text: str, language: str | None) -> Affect:
        """See pipelines.sentiment.ensemble."""
        return self._ensemble.read([text], [language])[0]

    async def write(self, brief: Brief) -> list[Proposal]:
        """See pipelines.generator.templates."""
        return self._generator.write([brief])[0]

    async def generate(self, brief: Brief) -> list[Proposal]:
        """There is no language model here."""
        raise ModelMissing(f"no language model for {len(brief.query)} characters")

    async def fluency(self, texts: Sequence[str], language: str | None) -> list[float | None]:
        """See pipelines.generator.fluency."""
        return self._generator.score([(text, language) for text in texts])

    async def predict(self, drafts: Sequence[Draft]) -> list[Prediction]:
        """See pipelines.viral_predictor.predictor."""
        return self._predictor.predict(drafts)

    async def compare_each(self, pairs: Sequence[Pair]) -> list[Comparison | ModelUnavailable]:
        """There is no wording model here."""
        return [ModelUnavailable("viral_predictor", "no wording model") for _ in pairs]

    def versions(self) -> dict[str, str]:
        """The versions that candidates depend on."""
        return {"generator": self._generator.version, "viral_predictor": self._predictor.version}
