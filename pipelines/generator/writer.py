"""Our own writer: a small language model tuned on briefs and posts written for this project, in three styles.

`plain` puts the brief right, `lead` begins with the reader or the strongest fact, `angle` says it in another structure.
The author's text reaches the model as data on one line, without the model's control tokens.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import WeightsRefused
from pipelines.generator.completion import Completion, Left, Told
from pipelines.generator.decoder import Decoder, Floats, Request, Sample, Settings, Veto
from pipelines.records import Brief

FORMAT: Final = 1
# How often each style is asked for in one round, in turn.
STYLES: Final = ("plain", "lead", "plain", "plain", "angle", "plain", "lead", "plain")
MAX_PROMPT_CHARACTERS: Final = 1_200
# What nothing may begin where the brief has none of it.
MARKS: Final = ("@", "#", "http", "://", "www")


class OwnWriter:
    """Holds the decoder of a prepared model; see supervisor/writer.py for how it is prepared."""

    samples, rounds = len(STYLES), 2

    def __init__(self, decoder: Decoder, version: str, languages: Sequence[str] = ("en",)) -> None:
        """Write with `decoder`, in `languages` alone."""
        self.version = version
        self._decoder = decoder
        self._languages = frozenset(languages)

    @classmethod
    def load(cls, folder: Path, threads: int) -> OwnWriter:
        """Load the model that was prepared in `folder`, to compute on `threads` threads.

        Raises:
            WeightsRefused: nothing was prepared there, or by another release.
        """
        try:
            metadata: dict[str, Any] = json.loads((folder / "metadata.json").read_bytes())
        except (OSError, ValueError) as error:
            raise WeightsRefused(f"{folder}: {error}") from error
        if metadata.get("format") != FORMAT:
            raise WeightsRefused(f"{folder}: format {metadata.get('format')}, this code reads {FORMAT}")
        return cls(Decoder(folder, threads), str(metadata["version"]), metadata["languages"])

    def complete(
        self,
        briefs: Sequence[Brief],
        *,
        temperature: float,
        top_p: float,
        max_seconds: float,
        told: Told | None = None,
        left: Left | None = None,
    ) -> list[list[Completion]]:
        """Return `brief.n` completions for each brief, or what is written when `max_seconds` are over or all have left.

        A brief in a language that the model does not write gets none; a sober one gets the plain style alone. The same
        seed gives the same completion, whatever else is in the batch.
        """
        deadline = time.monotonic() + max_seconds
        requests: list[Request] = []
        owners: list[int] = []
        for place, brief in enumerate(briefs):
            if brief.language not in self._languages:
                continue
            styles = [("plain" if brief.sober else STYLES[turn % len(STYLES)]) for turn in range(brief.n)]
            for style in dict.fromkeys(styles):
                seeds = [_seed(brief, turn) for turn, other in enumerate(styles) if other == style]
                requests.append(Request(prompt_of(brief, style), seeds, self._veto(brief)))
                owners.append(place)
        written: list[list[Completion]] = [[] for _ in briefs]
        settings = Settings(temperature, top_p)

        def ended(request: int, sample: Sample) -> None:
            if told is not None and sample.text:
                told(owners[request], _completion(sample))

        sampled = self._decoder.sample(requests, settings, deadline, told=told and ended, left=left)
        for owner, samples in zip(owners, sampled, strict=True):
            written[owner] += [_completion(one) for one in samples if one.text]
        return written

    def score(self, prompt: str, texts: Sequence[str]) -> list[float]:
        """Return the log-likelihood per token, in nats, of each text as an answer to a prompt; see prompt_of."""
        return self._decoder.score(prompt, texts)

    def _veto(self, brief: Brief) -> Veto:
        """Forbid the tokens that could only state what the brief does not hold: its missing digits, links and tags."""
        forbidden = np.concatenate(
            [tokens for mark, tokens in self._marked.items() if mark not in brief.query] or [np.array([], np.int64)]
        )

        def veto(_tokens: list[int], logits: Floats) -> None:
            logits[forbidden] = -np.inf

        return veto

    @cached_property
    def _marked(self) -> dict[str, NDArray[np.int64]]:
        """The tokens that hold each mark and each digit."""
        tokenizer = self._decoder.tokenizer
        texts = [tokenizer.id_to_token(token) or "" for token in range(tokenizer.get_vocab_size())]
        marks = (*MARKS, *"0123456789")
        return {mark: np.array([i for i, text in enumerate(texts) if mark in text], np.int64) for mark in marks}


def prompt_of(brief: Brief, style: str) -> str:
    """Return the prompt as the model was tuned on it; the brief stands in it on one line, as data."""
    query = " ".join(brief.query.replace("<|", " ").replace("|>", " ").split())[:MAX_PROMPT_CHARACTERS]
    objective = brief.objectives[0] if brief.objectives else "awareness"
    head = "Post en español" if brief.language == "es" else "Post"
    return f"<|im_start|>user\n{head} ({objective}, {brief.tone}, {style}): {query}<|im_end|>\n<|im_start|>assistant\n"


def _completion(sample: Sample) -> Completion:
    return Completion(sample.text, sample.finished, sample.mean)


def _seed(brief: Brief, turn: int) -> int:
    return (brief.seed * 1_000_003 + turn) % 2**32
