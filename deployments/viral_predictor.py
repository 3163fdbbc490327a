"""viral_predictor: expected percentile of drafts against the author's own record (CPU)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deployments.process import settle
from deployments.settings import ViralPredictorConfig
from deployments.stages import Batch
from deployments.worker import Worker
from pipelines.records import Draft, Prediction
from pipelines.viral_predictor import ViralPredictor as Pipeline


class ViralPredictor:
    """Holds one predictor."""

    def __init__(self, folder: Path) -> None:
        settle()
        self._worker = Worker()
        self._pipeline = Pipeline.load(folder)

    def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Refuse keys that nothing reads."""
        ViralPredictorConfig.model_validate(user_config)

    async def predict(self, drafts: list[Draft]) -> Batch[Prediction]:
        """Score drafts, each with its own history."""
        return Batch(self._pipeline.version, await self._worker.run(self._pipeline.predict, drafts))
