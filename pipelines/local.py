"""The product's models in one process: what the cluster spreads over deployments, for scripts and tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pipelines.encoder import Encoder
from pipelines.errors import ModelUnavailable
from pipelines.generator.generator import Generator, Writer
from pipelines.generator.judge import Judge
from pipelines.generator.second_opinion import load_second_opinions
from pipelines.query_analyzer.analyzer import QueryAnalyzer
from pipelines.records import Affect, Analysis, Brief, Draft, Drafts, Language, Pair, Proposal
from pipelines.results import Comparison, Prediction
from pipelines.sentiment.ensemble import SentimentEnsemble
from pipelines.sentiment.sensitivity import SensitivityModel
from pipelines.viral_predictor.predictor import ViralPredictor
from pipelines.viral_predictor.substance import SubstanceModel

# As long as a request of the cluster lets the writer write.
WRITING_S = 24.0


class LocalModels:
    """pipelines.optimize.Models; `models` is the folder of the trained weights, `writer` a language model if wanted."""

    def __init__(self, models: Path, writer: Writer | None = None) -> None:
        encoder = Encoder.load(models / "encoder")
        substance = SubstanceModel.load(models / "substance", encoder)
        self._analyzer = QueryAnalyzer()
        self._ensemble = SentimentEnsemble(
            encoder,
            SensitivityModel.load(models / "sensitivity", encoder=encoder.version),
            substance,
        )
        self._generator = Generator(Judge.load(models / "judge"), writer, load_second_opinions(models / "verifier"))
        self._predictor = ViralPredictor.load(models / "viral_predictor", substance)

    async def analyze(self, text: str, language: str | None) -> Analysis:
        """See pipelines.query_analyzer.analyzer."""
        return self._analyzer.analyze([text], [language])[0]

    async def read(self, text: str, language: str | None) -> Affect:
        """See pipelines.sentiment.ensemble."""
        return self._ensemble.read([text], [language])[0]

    async def write(self, brief: Brief) -> Drafts:
        """See pipelines.generator.generator."""
        return self._generator.write([brief])[0]

    async def generate(self, brief: Brief, told: Callable[[Proposal], None] | None = None) -> tuple[Proposal, ...]:
        """See pipelines.generator.generator."""
        each = None if told is None else lambda _, proposal: told(proposal)
        (written,) = self._generator.generate([brief], max_seconds=WRITING_S, told=each)
        if isinstance(written, ModelUnavailable):
            raise written
        return written

    async def judge(self, items: Sequence[tuple[str, str, Language]]) -> list[float]:
        """See pipelines.generator.judge."""
        return self._generator.judge(items)

    async def predict(self, drafts: Sequence[Draft]) -> list[Prediction]:
        """See pipelines.viral_predictor.predictor."""
        return self._predictor.predict(drafts)

    async def compare_each(self, pairs: Sequence[Pair]) -> list[Comparison | ModelUnavailable]:
        """There is no wording model here."""
        return [ModelUnavailable("viral_predictor", "no wording model") for _ in pairs]

    def versions(self) -> dict[str, str]:
        """The versions that candidates depend on."""
        return {"generator": self._generator.version, "viral_predictor": self._predictor.version}
