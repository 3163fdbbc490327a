"""sentiment: transformer + VADER + TextBlob on texts whose language is known (CPU or a share of a GPU)."""

from __future__ import annotations

from typing import Any

from deployments.device import resolve
from deployments.process import settle
from deployments.settings import Device, SentimentConfig
from deployments.stages import Batch
from deployments.worker import Worker
from pipelines.records import Affect
from pipelines.sentiment import SentimentEnsemble as Pipeline


class SentimentEnsemble:
    """Holds one ensemble."""

    def __init__(self, transformer: str | None, languages: tuple[str, ...], device: Device) -> None:
        settle()
        self._worker = Worker()
        self._pipeline = Pipeline(transformer, device=resolve(device), transformer_languages=languages)

    def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Apply `user_config` without a restart."""
        self._pipeline.weights = SentimentConfig.model_validate(user_config).weights.model_dump()

    async def read(self, items: list[tuple[str, str | None]]) -> Batch[Affect]:
        """Read (text, language) pairs."""
        texts, languages = zip(*items, strict=True)
        return Batch(self._pipeline.version, await self._worker.run(self._pipeline.read, texts, languages))
