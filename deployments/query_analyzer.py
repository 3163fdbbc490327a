"""query_analyzer: language, entities, keywords, complexity and findings of texts (CPU)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployments.replica import Worker, settle
from deployments.settings import QueryAnalyzerConfig
from deployments.stages import Batch
from pipelines.query_analyzer.analyzer import QueryAnalyzer as Pipeline
from pipelines.records import Analysis


class QueryAnalyzer:
    """Holds one analyzer."""

    def __init__(self, spacy_models: Mapping[str, str]) -> None:
        settle()
        self._worker = Worker()
        self._pipeline = Pipeline(spacy_models)

    def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Apply `user_config` without a restart."""
        self._pipeline.default_language = QueryAnalyzerConfig.model_validate(user_config).default_language

    async def analyze(self, items: list[tuple[str, str | None]]) -> Batch[Analysis]:
        """Analyze (text, language or None to detect it) pairs."""
        texts, languages = zip(*items, strict=True)
        return Batch(self._pipeline.version, await self._worker.run(self._pipeline.analyze, texts, languages))
