"""generator: templates on the CPU, and a causal language model where one is configured (GPT-2; CPU or GPU)."""

from __future__ import annotations

from typing import Any

from deployments.device import resolve
from deployments.process import settle
from deployments.settings import Device, GeneratorConfig
from deployments.stages import Batch
from deployments.worker import Worker
from pipelines.generator import Generator as Pipeline
from pipelines.records import Brief, Proposal


class TweetGenerator:
    """Holds one generator; its two methods are two stages, so that templates never wait for the language model."""

    def __init__(self, language_model: str | None, device: Device) -> None:
        settle()
        self._templates, self._language_model = Worker(), Worker()
        self._pipeline = Pipeline(language_model, device=resolve(device))

    def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Apply `user_config` without a restart."""
        config = GeneratorConfig.model_validate(user_config)
        self._pipeline.temperature, self._pipeline.top_p = config.temperature, config.top_p

    async def write(self, briefs: list[Brief]) -> Batch[list[Proposal]]:
        """Fill templates for each brief."""
        return Batch(self._pipeline.version, await self._templates.run(self._pipeline.write, briefs))

    async def generate(self, briefs: list[Brief], budget_s: float) -> Batch[list[Proposal]]:
        """Let the language model write for each brief, for at most `budget_s` seconds."""
        written = await self._language_model.run(self._pipeline.generate, briefs, max_seconds=budget_s)
        return Batch(self._pipeline.version, written)
