"""generator: templates, a causal language model (here, CPU or GPU, or behind HTTP), and the fluency critic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import SecretStr

from deployments.replica import Worker, resolve, settle
from deployments.settings import Device, GeneratorConfig, RemoteLanguageModel
from deployments.stages import Batch
from pipelines.errors import ModelUnavailable
from pipelines.generator.generator import Generator as Pipeline
from pipelines.generator.generator import Writer
from pipelines.generator.language_model import LanguageModel
from pipelines.generator.remote_model import RemoteModel
from pipelines.records import Brief, Proposal

# The rest of the budget carries the answer back; what comes after it is lost.
WRITING_SHARE = 0.95


class TweetGenerator:
    """Holds one generator; its three methods are three stages with a thread each.

    Templates wait for neither model. Nothing of torch is loaded before the first text is scored, unless a language
    model runs here.
    """

    def __init__(
        self,
        language_model: str | RemoteLanguageModel | None,
        critic: Path | None,
        device: Device,
        key: SecretStr | None = None,
    ) -> None:
        settle()
        # Who wants templates alone must not feel that somebody else waits for a language model.
        self._templates, self._language_model, self._critic = Worker(), Worker(niceness=10), Worker(niceness=5)
        resolved = resolve(device)
        self._pipeline = Pipeline(_writer(language_model, resolved, key), critic, resolved)

    def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Apply `user_config` without a restart."""
        config = GeneratorConfig.model_validate(user_config)
        self._pipeline.temperature, self._pipeline.top_p = config.temperature, config.top_p

    async def write(self, briefs: list[Brief]) -> Batch[list[Proposal]]:
        """Fill templates for each brief."""
        return Batch(self._pipeline.version, await self._templates.run(self._pipeline.write, briefs))

    async def generate(self, briefs: list[Brief], budget_s: float) -> Batch[list[Proposal] | ModelUnavailable]:
        """Let the language model write for each brief, and answer within `budget_s` seconds."""
        written = await self._language_model.run(self._pipeline.generate, briefs, max_seconds=WRITING_SHARE * budget_s)
        return Batch(self._pipeline.version, written)

    async def score(self, items: list[tuple[str, str | None]]) -> Batch[float | None]:
        """Say how fluent each (text, language) is; None where nobody can."""
        return Batch(self._pipeline.version, await self._critic.run(self._pipeline.score, items))


def _writer(model: str | RemoteLanguageModel | None, device: str, key: SecretStr | None) -> Writer | None:
    if isinstance(model, RemoteLanguageModel):
        return RemoteModel(model.provider, model.model, model.base_url, key.get_secret_value() if key else None)
    return LanguageModel(model, device) if model else None
