"""The tweet encoder: one forward pass of int8 ONNX gives an embedding and the logits of every head.

It needs ONNX Runtime and the tokenizer alone. Trained by training.encoder; it reads English.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import emoji
import numpy as np
import onnxruntime
import onnxruntime.capi.onnxruntime_pybind11_state as onnx_state
from numpy.typing import NDArray
from tokenizers import Tokenizer

from pipelines.errors import PassFailed
from pipelines.text.tweets import entities
from pipelines.weights import read_weights

FORMAT: Final = 1
# A tweet of 280 characters has fewer; what comes after is not read.
MAX_TOKENS: Final = 128
# Padding costs as much as text; a pass of its own for each costs a sixth more. Measured on tweets, 16 at a time.
MAX_PADDING: Final = 4
MAX_BATCH: Final = 16

WORDS: Final = {"MENTION": "@user", "URL": "http"}

RUNTIME_ERRORS: Final = (
    RuntimeError,
    *(getattr(onnx_state, name) for name in ("Fail", "InvalidArgument", "RuntimeException")),
)

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Calibration:
    """What turns logits into probabilities; fitted on validation texts by training.calibration.

    `sentiment` is (3, 5) and `sentiment_intercept` (3,): a multinomial logistic regression of negative, neutral and
    positive on the three log-probabilities, VADER's compound and TextBlob's polarity. `emotion_temperature` divides the
    emotion logits. `risks` gives slope and intercept of each risk's log-odds.
    """

    sentiment: NDArray[np.float64]
    sentiment_intercept: NDArray[np.float64]
    emotion_temperature: float
    risks: dict[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Encoded:
    """What one pass says of n texts: embedding (n, 384), and logits by head (n, len(labels of the head))."""

    embedding: Floats
    logits: dict[str, Floats]


class Encoder:
    """Holds one ONNX session; `heads` names the labels of each head in the order of its logits."""

    def __init__(self, session: Any, tokenizer: Tokenizer, metadata: dict[str, Any]) -> None:
        self.heads: dict[str, tuple[str, ...]] = {name: tuple(labels) for name, labels in metadata["heads"].items()}
        self.version = str(metadata["version"])
        fitted = metadata["calibration"]
        self.calibration = Calibration(
            sentiment=np.array(fitted["sentiment"]),
            sentiment_intercept=np.array(fitted["sentiment_intercept"]),
            emotion_temperature=float(fitted["emotion_temperature"]),
            risks={name: (float(slope), float(intercept)) for name, (slope, intercept) in fitted["risks"].items()},
        )
        self._session = session
        self._tokenizer = tokenizer
        tokenizer.enable_truncation(MAX_TOKENS)
        tokenizer.no_padding()

    @classmethod
    def load(cls, folder: Path, *, threads: int = 1) -> Encoder:
        """Read model.onnx, tokenizer.json and metadata.json from `folder`; `threads` compute one pass.

        Raises:
            WeightsRefused: a file is missing or unreadable, or not that of the metadata.
        """
        metadata, files = read_weights(folder, FORMAT)
        options: Any = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # The graph is written as it should run; the next level would fuse LayerNormalization into a slower operator.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        # Threads that spin for the next pass would take the cores from the other replicas.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(files["model.onnx"], options, ["CPUExecutionProvider"])
        return cls(session, Tokenizer.from_str(files["tokenizer.json"].decode()), metadata)

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Encode texts, those of like length in one pass; no texts give empty arrays.

        The integer scales are constants: what stands beside a text does not change its logits by more than rounding.

        Raises:
            PassFailed: the graph does not compute.
        """
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch_fast([as_read(text) for text in texts])]
        names = ["embedding", *self.heads]
        found: list[list[Floats]] = []
        order: list[int] = []
        for rows in _alike(tokens):
            order += rows
            try:
                found.append(self._session.run(names, _padded([tokens[row] for row in rows])))
            except RUNTIME_ERRORS as error:
                raise PassFailed from error
        if not found:
            nothing = {name: np.zeros((0, len(labels)), np.float32) for name, labels in self.heads.items()}
            return Encoded(np.zeros((0, 0), np.float32), nothing)
        places = np.argsort(order)
        embedding, *logits = (np.concatenate(parts)[places] for parts in zip(*found, strict=True))
        return Encoded(embedding, dict(zip(self.heads, logits, strict=True)))


def _alike(tokens: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Return the rows by length, in groups for one pass each."""
    group: list[int] = []
    for row in sorted(range(len(tokens)), key=lambda row: len(tokens[row])):
        if group and (len(group) == MAX_BATCH or len(tokens[row]) > len(tokens[group[0]]) + MAX_PADDING):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def _padded(tokens: Sequence[Sequence[int]]) -> dict[str, NDArray[np.int64]]:
    """Return input ids and attention mask, both (batch, longest)."""
    ids = np.zeros((len(tokens), max(map(len, tokens))), np.int64)
    mask = np.zeros_like(ids)
    for row, own in enumerate(tokens):
        ids[row, : len(own)] = own
        mask[row, : len(own)] = 1
    return {"input_ids": ids, "attention_mask": mask}


def log_softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Return the logarithms of softmax; finite for finite logits."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    logarithms: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return logarithms


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Return probabilities along the last axis, which sum to 1."""
    probabilities: NDArray[np.float64] = np.exp(log_softmax(logits))
    return probabilities


def as_read(text: str) -> str:
    """Write a text as the encoder was trained to read it: handles as @user, links as http, emoji by their names."""
    return _without(text, emoji_names=True)


def anonymous(text: str) -> str:
    """Write handles as @user and links as http, as the TweetEval models were trained (Barbieri et al. 2020)."""
    return _without(text, emoji_names=False)


def _without(text: str, *, emoji_names: bool) -> str:
    parts: list[str] = []
    position = 0
    for entity in entities(text):
        word = WORDS.get(entity.label)
        if entity.label == "EMOJI" and emoji_names:
            word = _emoji_name(entity.text)
        if word is not None:
            parts += [text[position : entity.start], word]
            position = entity.end
    return "".join([*parts, text[position:]])


@lru_cache(maxsize=4096)
def _emoji_name(sign: str) -> str:
    return f" {emoji.demojize(sign, delimiters=('', '')).replace('_', ' ')} "
