"""The tweet encoder: one forward pass of int8 ONNX gives an embedding and the logits of every head.

It needs ONNX Runtime and the tokenizer alone. Trained by pipelines.training.encoder; it reads English.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from pipelines.tweets import entities
from pipelines.weights import read_weights

FORMAT: Final = 1
# A tweet of 280 characters has fewer; what comes after is not read.
MAX_TOKENS: Final = 128

WORDS: Final = {"MENTION": "@user", "URL": "http"}

RUNTIME_ERRORS: Final = (
    RuntimeError,
    *(getattr(onnx_state, name) for name in ("Fail", "InvalidArgument", "RuntimeException")),
)

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Calibration:
    """What turns logits into probabilities; fitted on validation texts by pipelines.training.calibration.

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
        # Threads that spin for the next pass would take the cores from the other replicas.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(files["model.onnx"], options, ["CPUExecutionProvider"])
        return cls(session, Tokenizer.from_str(files["tokenizer.json"].decode()), metadata)

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Encode texts, each in a pass of its own; no texts give empty arrays.

        The integer scale of a pass follows its largest activation: beside other texts, the same text would get other
        logits. Alone it does not, and on a CPU a batch would save a sixth of the time at most.

        Raises:
            PassFailed: the graph does not compute.
        """
        names = ["embedding", *self.heads]
        passes: list[list[Floats]] = []
        for encoding in self._tokenizer.encode_batch_fast([as_read(text) for text in texts]):
            ids = np.array([encoding.ids], np.int64)
            try:
                passes.append(self._session.run(names, {"input_ids": ids, "attention_mask": np.ones_like(ids)}))
            except RUNTIME_ERRORS as error:
                raise PassFailed from error
        if not passes:
            nothing = {name: np.zeros((0, len(labels)), np.float32) for name, labels in self.heads.items()}
            return Encoded(np.zeros((0, 0), np.float32), nothing)
        embedding, *logits = (np.concatenate(found) for found in zip(*passes, strict=True))
        return Encoded(embedding, dict(zip(self.heads, logits, strict=True)))


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
