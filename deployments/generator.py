"""generator: the author's text put right, templates, a causal language model (here or behind HTTP), and the judge."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr

from deployments.replica import Worker, resolve, settle
from deployments.settings import OWN_WRITER, PREPARED_WRITER, Device, GeneratorConfig, RemoteLanguageModel
from deployments.stages import Batch
from pipelines.errors import ModelMissing, ModelUnavailable, WeightsRefused
from pipelines.generator.completion import Left
from pipelines.generator.generator import Generator as Pipeline
from pipelines.generator.generator import ToldProposal, Writer
from pipelines.generator.judge import Judge
from pipelines.generator.language_model import LanguageModel
from pipelines.generator.remote_model import RemoteModel
from pipelines.generator.second_opinion import load_second_opinions
from pipelines.generator.writer import OwnWriter
from pipelines.records import Brief, Drafts, Language, Proposal

# The rest of the budget carries the answer back; what comes after it is lost.
WRITING_SHARE = 0.95
logger = logging.getLogger(__name__)


class TweetGenerator:
    """Holds one generator; write, generate and judge are three stages with a thread each.

    generate_each shares the thread of generate: one call after the other is decoded there. Nobody who wants the
    author's words put right waits for the language model. torch is loaded only where a model of somebody else's runs
    here.
    """

    def __init__(
        self,
        language_model: str | RemoteLanguageModel | None,
        judge: Path,
        verifier: Path | None,
        *,
        device: Device,
        writer_threads: int,
        read_key: Callable[[RemoteLanguageModel], SecretStr | None] = lambda _: None,
    ) -> None:
        settle()
        # Who wants templates alone must not feel that somebody else waits for a language model.
        self._templates, self._language_model, self._judge = Worker(), Worker(niceness=10), Worker(niceness=5)
        if language_model == OWN_WRITER:
            # On its own thread, whose niceness the threads of the computation inherit.
            writer = self._language_model.result(_own_writer, writer_threads)
        else:
            writer = _writer(language_model, resolve(device), read_key)
        self._pipeline = Pipeline(Judge.load(judge), writer, load_second_opinions(verifier) if verifier else None)
        # Word lists and patterns, which the first text would wait for.
        self._pipeline.write(
            [Brief(query="we open on monday.", language=language, keywords=()) for language in get_args(Language)]
        )

    def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Apply `user_config` without a restart."""
        config = GeneratorConfig.model_validate(user_config)
        self._pipeline.temperature, self._pipeline.top_p = config.temperature, config.top_p

    async def write(self, briefs: list[Brief]) -> Batch[Drafts]:
        """Put each brief right and fill templates with its sentences."""
        return Batch(self._pipeline.version, await self._templates.run(self._pipeline.write, briefs))

    async def generate(self, briefs: list[Brief], budget_s: float) -> Batch[tuple[Proposal, ...] | ModelUnavailable]:
        """Let the language model write for each brief, and answer within `budget_s` seconds."""
        return await self._generate(briefs, budget_s)

    async def generate_each(
        self, brief: Brief, budget_s: float
    ) -> AsyncGenerator[Proposal | Batch[tuple[Proposal, ...] | ModelUnavailable], None]:
        """The same for one brief: each proposal as soon as it has passed, and last what generate answers.

        Once the caller has left, the model stops before its next step.
        """
        loop, left = asyncio.get_running_loop(), threading.Event()
        passed: asyncio.Queue[Proposal | None] = asyncio.Queue()

        def told(_: int, proposal: Proposal) -> None:
            loop.call_soon_threadsafe(passed.put_nowait, proposal)

        whole = asyncio.create_task(self._generate([brief], budget_s, told=told, left=left.is_set))
        whole.add_done_callback(lambda _: passed.put_nowait(None))
        try:
            while proposal := await passed.get():
                yield proposal
            yield await whole
        finally:
            left.set()
            # What has not begun leaves the queue.
            whole.cancel()

    async def _generate(
        self, briefs: list[Brief], budget_s: float, told: ToldProposal | None = None, left: Left | None = None
    ) -> Batch[tuple[Proposal, ...] | ModelUnavailable]:
        deadline = time.monotonic() + WRITING_SHARE * budget_s

        def write() -> list[tuple[Proposal, ...] | ModelUnavailable]:
            # Another call may have had the thread first.
            left_s = deadline - time.monotonic()
            return self._pipeline.generate(briefs, max_seconds=left_s, told=told, left=left)

        try:
            written = await self._language_model.run(write)
        except ModelMissing as error:
            return Batch(self._pipeline.version, [ModelUnavailable("generator.lm", str(error))] * len(briefs))
        return Batch(self._pipeline.version, written)

    async def judge(self, items: list[tuple[str, str, Language]]) -> Batch[float]:
        """Say how likely a stranger would post each (brief, text, language)."""
        return Batch(self._pipeline.version, await self._judge.run(self._pipeline.judge, items))


def _own_writer(threads: int) -> Writer | None:
    """Our own writer as set-up prepared it; None, and the reason in the log, where it could not."""
    try:
        return OwnWriter.load(PREPARED_WRITER, threads)
    except (OSError, WeightsRefused) as error:
        logger.warning("the writer is not prepared: %s", error, extra={"action": "writer_missing"})
        return None


def _writer(
    model: str | RemoteLanguageModel | None, device: str, read_key: Callable[[RemoteLanguageModel], SecretStr | None]
) -> Writer | None:
    if isinstance(model, RemoteLanguageModel):
        key = read_key(model)
        return RemoteModel(model.provider, model.model, model.base_url, key.get_secret_value() if key else None)
    return LanguageModel(model, device) if model else None
