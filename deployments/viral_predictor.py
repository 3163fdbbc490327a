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
from pipelines.viral_predictor.substance import SubstanceModel
from pipelines.viral_predictor.wording import WordingModel


class ViralPredictor:
    """Holds one predictor and, where their folders and the encoder's are given, what reads substance and wordings."""

    def __init__(self, folder: Path, encoder: Path | None, substance: Path | None, wording: Path | None) -> None:
        settle()
        self._worker = Worker()
        loaded = Encoder.load(encoder, threads=cpus()) if encoder and (substance or wording) else None
        reader = SubstanceModel.load(substance, loaded) if substance and loaded else None
        self._pipeline = Pipeline.load(folder, reader)
        self._version = self._pipeline.version + (f"+substance-{reader.version}" if reader else "")
        self._wording: WordingModel | None = None
        if wording and loaded:
            self._wording = WordingModel.load(wording, loaded, self._pipeline)

    def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Apply `user_config` without a restart."""
        self._pipeline.default_language = ViralPredictorConfig.model_validate(user_config).default_language

    async def predict(self, drafts: list[Draft]) -> Batch[Prediction]:
        """Score drafts, each with its own history."""
        return Batch(self._version, await self._worker.run(self._pipeline.predict, drafts))

    async def compare(self, pairs: list[Pair]) -> Batch[Comparison]:
        """Say of each pair which wording does better."""
        if self._wording is None:
            raise ModelMissing("no wording model is configured: set args.wording and args.encoder")
        return Batch(self._wording.version, await self._worker.run(self._wording.compare, pairs))
