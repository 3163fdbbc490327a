"""Writes candidates for a brief: by templates, and by a language model where one is configured; scores how they read.

What a model writes is not trusted: it is cut to one tweet, and a fact that the query does not hold rejects it.
Templates need neither torch nor transformers: a local language model loads them, and the critic at its first score.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

from pipelines.errors import ModelMissing, ModelUnavailable
from pipelines.generator.fluency import FluencyCritic, read_critic
from pipelines.generator.language_model import SENTENCE_END, Completion
from pipelines.generator.templates import PATHS, realise
from pipelines.records import Brief, Proposal
from pipelines.text.facts import invents
from pipelines.text.tweets import CONTROL, FORBIDDEN, MAX_WEIGHTED_LENGTH, fitting_length, is_valid, weighted_length

OPENING_QUOTES, CLOSING_QUOTES = ('"', "“", "«"), ('"', "”", "»")
ELLIPSIS_LENGTH = 2


class Writer(Protocol):
    """A language model, here or behind HTTP."""

    version: str

    def complete(
        self, briefs: Sequence[Brief], *, temperature: float, top_p: float, max_seconds: float
    ) -> Sequence[Sequence[Completion] | ModelUnavailable]:
        """Return up to `brief.n` completions for each brief within `max_seconds`, or why there are none."""


class Generator:
    """Holds the language model and the critic, if they are configured; templates need none.

    `temperature` (above 0) and `top_p` in (0, 1] may change while serving.
    """

    def __init__(
        self,
        writer: Writer | None = None,
        critic: Path | None = None,
        device: str = "cpu",
        temperature: float = 0.8,
        top_p: float = 0.95,
    ) -> None:
        """Hold what writes, and check the critic's files; they are loaded at the first score.

        Args:
            writer: the language model; None for templates alone.
            critic: folder of the fluency critic; None for no scores.
            device: torch device of the critic.
            temperature: of the model's sampling.
            top_p: share of probability that is sampled from.

        Raises:
            WeightsRefused: the critic's files are not those of its metadata.
        """
        self.temperature = temperature
        self.top_p = top_p
        self._writer = writer
        self._critic_folder, self._device = critic, device
        metadata = read_critic(critic)[0] if critic else {}
        self._critic_version = str(metadata.get("version", ""))
        self._critic_languages = frozenset(metadata.get("languages", ()))
        self._frames = hashlib.blake2b(b"".join(path.read_bytes() for path in PATHS), digest_size=4).hexdigest()

    @property
    def version(self) -> str:
        """What a candidate and its rank depend on: the frames, the model and how it is sampled, the critic."""
        parts = [f"templates-{self._frames}"]
        if self._writer:
            parts.append(f"{self._writer.version}-t{self.temperature:g}-p{self.top_p:g}")
        if self._critic_version:
            parts.append(f"critic-{self._critic_version}")
        return "+".join(parts)

    def write(self, briefs: Sequence[Brief]) -> list[list[Proposal]]:
        """Fill templates for each brief; see templates.realise."""
        return [realise(brief) for brief in briefs]

    def generate(self, briefs: Sequence[Brief], *, max_seconds: float) -> list[list[Proposal] | ModelUnavailable]:
        """Let the language model write up to `brief.n` distinct valid tweets for each brief, within `max_seconds`.

        A brief for which a model behind HTTP had no answer gets the reason in its place.

        Raises:
            ModelMissing: no language model is configured.
        """
        if self._writer is None:
            raise ModelMissing("no language model is configured: set args.language_model in serve_config.yaml")
        written = self._writer.complete(briefs, temperature=self.temperature, top_p=self.top_p, max_seconds=max_seconds)
        return [
            completions if isinstance(completions, ModelUnavailable) else _proposals(brief, completions)
            for brief, completions in zip(briefs, written, strict=True)
        ]

    def score(self, items: Sequence[tuple[str, str | None]]) -> list[float | None]:
        """Return how fluent each (text, language) is, in nats a token; see fluency.FluencyCritic.score.

        An undetermined language counts as English. None where the critic does not speak the language, or where none is
        configured. The first call loads the critic.

        Raises:
            WeightsRefused: the critic's files changed since the start, or do not fit each other.
        """
        spoken = [index for index, (_, language) in enumerate(items) if self._speaks(language)]
        scores: list[float | None] = [None] * len(items)
        if spoken and self._critic:
            found = self._critic.score([items[index][0] for index in spoken])
            for index, score in zip(spoken, found, strict=True):
                scores[index] = score
        return scores

    def _speaks(self, language: str | None) -> bool:
        return ("en" if language in {None, "und"} else language) in self._critic_languages

    @cached_property
    def _critic(self) -> FluencyCritic | None:
        return FluencyCritic(self._critic_folder, self._device) if self._critic_folder else None


def one_tweet(text: str, *, finished: bool) -> str | None:
    """Cut a completion to one valid tweet: whole if it is finished and fits, else at its last sentence or line end.

    Where there is none it is cut at a word, and says so with an ellipsis.

    Returns:
        None where nothing that X would take is left.
    """
    text = unicodedata.normalize("NFC", FORBIDDEN.sub("", CONTROL.sub("", text)).replace("\ufffd", "")).strip()
    if text[:1] in OPENING_QUOTES and text[-1:] in CLOSING_QUOTES:
        text = text[1:-1].strip()
    fitting = fitting_length(text)
    if not finished or fitting < len(text):
        ends = [match.end() for match in SENTENCE_END.finditer(text[: fitting + 1]) if match.end() <= fitting]
        head = text[: fitting_length(text, MAX_WEIGHTED_LENGTH - ELLIPSIS_LENGTH)]
        text = text[: ends[-1]].rstrip() if ends else head.rpartition(" ")[0].rstrip(" ,;:-") + "…"
    return text if is_valid(text) and text != "…" else None


def _proposals(brief: Brief, completions: Sequence[Completion]) -> list[Proposal]:
    """The distinct tweets among completions that state nothing which the query does not."""
    found: dict[str, Proposal] = {}
    for completion in completions:
        tweet = one_tweet(completion.text, finished=completion.finished)
        if tweet and not invents(brief.query, tweet):
            found.setdefault(tweet, Proposal(tweet, weighted_length(tweet), "lm"))
    return list(found.values())
