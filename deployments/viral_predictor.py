"""viral_predictor: how drafts do against the author's own record, and which of two wordings does better (CPU)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deployments.replica import Worker, cpus, settle
from deployments.settings import ViralPredictorConfig
from deployments.stages import Batch
from pipelines.encoder import Encoder
from pipelines.errors import ModelMissing
from pipelines.records import Draft, Pair
from pipelines.results import Comparison, Prediction
from pipelines.viral_predictor.predictor import ViralPredictor as Pipeline
from pipelines.viral_predictor.wording import WordingModel


class ViralPredictor:
    """Holds one predictor and, where both its folders are given, one wording model."""

    def __init__(self, folder: Path, wording: Path | None, encoder: Path | None) -> None:
        settle()
        self._worker = Worker()
        self._pipeline = Pipeline.load(folder)
        self._wording: WordingModel | None = None
        if wording and encoder:
            self._wording = WordingModel.load(wording, Encoder.load(encoder, threads=cpus()), self._pipeline)

    def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Apply `user_config` without a restart."""
        self._pipeline.default_language = ViralPredictorConfig.model_validate(user_config).default_language

    async def predict(self, drafts: list[Draft]) -> Batch[Prediction]:
        """Score drafts, each with its own history."""
        return Batch(self._pipeline.version, await self._worker.run(self._pipeline.predict, drafts))

    async def compare(self, pairs: list[Pair]) -> Batch[Comparison]:
        """Say of each pair which wording does better."""
        if self._wording is None:
            raise ModelMissing("no wording model is configured: set args.wording and args.encoder")
        return Batch(self._wording.version, await self._worker.run(self._wording.compare, pairs))
