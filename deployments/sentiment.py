"""sentiment: encoder or transformer + VADER + TextBlob, emotion, risks, intent, sensitivity (CPU or part of a GPU)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deployments.replica import Worker, cpus, resolve, settle
from deployments.settings import Device, SentimentConfig, SentimentWeights
from deployments.stages import Batch
from pipelines.encoder import Encoder
from pipelines.records import Affect
from pipelines.sentiment.ensemble import SentimentEnsemble as Pipeline
from pipelines.sentiment.sensitivity import SensitivityModel
from pipelines.viral_predictor.substance import SubstanceModel


class SentimentEnsemble:
    """Holds one ensemble."""

    def __init__(
        self,
        encoder: Path | None,
        sensitivity: Path | None,
        substance: Path | None,
        *,
        transformer: str | None,
        languages: tuple[str, ...],
        device: Device,
    ) -> None:
        settle()
        self._worker = Worker()
        loaded = Encoder.load(encoder, threads=cpus()) if encoder else None
        self._pipeline = Pipeline(
            loaded,
            SensitivityModel.load(sensitivity, encoder=loaded.version) if sensitivity and loaded else None,
            SubstanceModel.load(substance, loaded) if substance and loaded else None,
            transformer=transformer,
            device=resolve(device),
            transformer_languages=languages,
        )

    def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Apply `user_config` without a restart."""
        weights = SentimentConfig.model_validate(user_config).weights
        self._pipeline.weights = weights.model_dump() if isinstance(weights, SentimentWeights) else weights

    async def read(self, items: list[tuple[str, str | None]]) -> Batch[Affect]:
        """Read (text, language) pairs."""
        texts, languages = zip(*items, strict=True)
        return Batch(self._pipeline.version, await self._worker.run(self._pipeline.read, texts, languages))
