"""A tweet encoder: one forward pass of int8 ONNX gives an embedding, the logits of every head, and entities.

It needs ONNX Runtime and the tokenizer alone. Trained by training.encoder.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import emoji
import numpy as np
import onnxruntime
import onnxruntime.capi.onnxruntime_pybind11_state as onnx_state
from numpy.typing import NDArray
from tokenizers import Tokenizer

from pipelines.errors import PassFailed
from pipelines.text.tweets import Entity, entities
from pipelines.weights import read_weights

FORMAT: Final = 2
# A tweet of 280 characters has fewer; what comes after is not read.
MAX_TOKENS: Final = 128
# Padding costs as much as text; a pass of its own for each costs a sixth more. Measured on tweets, 16 at a time.
MAX_PADDING: Final = 4
MAX_BATCH: Final = 16

WORDS: Final = {"MENTION": "@user", "URL": "http"}
# Of the token head: what a token begins or goes on.
ENTITY_TYPES: Final = ("PER", "ORG", "LOC")
ENTITY_TAGS: Final = ("O", *(f"{sort}-{name}" for name in ENTITY_TYPES for sort in "BI"))
ENTITY_LABELS: Final[dict[str, str]] = {"PER": "PERSON", "ORG": "ORG", "LOC": "LOC"}
# A name is made of words; what follows an apostrophe of possession is none of it.
NAME_WORD: Final = re.compile(r"[^\W_]+(?:[-&.'\u2019](?!s\b)[^\W_]+)*")
BETWEEN: Final = re.compile(r"[ .&'\u2019-]{1,3}")

RUNTIME_ERRORS: Final = (
    RuntimeError,
    *(getattr(onnx_state, name) for name in ("Fail", "InvalidArgument", "RuntimeException")),
)

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Calibration:
    """What turns logits into probabilities; fitted on validation texts by training.calibration.

    Of one language. `sentiment` is (3, 5) in English and (3, 3) elsewhere, `sentiment_intercept` (3,): a multinomial
    logistic regression of negative, neutral and positive on the three log-probabilities and, in English, VADER's
    compound and TextBlob's polarity. `emotion_temperature` divides the emotion logits, less `emotion_bias` (labels,).
    `risks` gives slope and intercept of the log-odds of each risk that was measured in the language.
    """

    sentiment: NDArray[np.float64]
    sentiment_intercept: NDArray[np.float64]
    emotion_temperature: float
    emotion_bias: NDArray[np.float64]
    risks: dict[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Encoded:
    """What one pass says of n texts: embedding (n, 384), logits by head (n, len(labels of the head)), entities.

    `entities` is None where the encoder has no head for them.
    """

    embedding: Floats
    logits: dict[str, Floats]
    entities: list[tuple[Entity, ...]] | None


class Encoder:
    """Holds one ONNX session; `heads` names the labels of each head in the order of its logits."""

    def __init__(self, session: Any, tokenizer: Tokenizer, metadata: dict[str, Any]) -> None:
        self.heads: dict[str, tuple[str, ...]] = {name: tuple(labels) for name, labels in metadata["heads"].items()}
        self.version = str(metadata["version"])
        self.calibration = {
            language: Calibration(
                sentiment=np.array(fitted["sentiment"]),
                sentiment_intercept=np.array(fitted["sentiment_intercept"]),
                emotion_temperature=float(fitted["emotion_temperature"]),
                emotion_bias=np.array(fitted.get("emotion_bias", 0.0)),
                risks={name: (float(slope), float(intercept)) for name, (slope, intercept) in fitted["risks"].items()},
            )
            for language, fitted in metadata["calibration"].items()
        }
        self._session = session
        self._tagger = ["entities"] if any(one.name == "entities" for one in session.get_outputs()) else []
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
        if not texts:
            nothing = {name: np.zeros((0, len(labels)), np.float32) for name, labels in self.heads.items()}
            return Encoded(np.zeros((0, 0), np.float32), nothing, [])
        read = [parts_read(text) for text in texts]
        encodings = self._tokenizer.encode_batch(["".join(part.written for part in parts) for parts in read])
        tokens = [encoding.ids for encoding in encodings]
        names = ["embedding", *self.heads]
        found: list[list[Floats]] = []
        order: list[int] = []
        named: list[tuple[Entity, ...]] = [()] * len(texts)
        for rows in _alike(tokens):
            order += rows
            try:
                numbers = self._session.run([*names, *self._tagger], _padded([tokens[row] for row in rows]))
            except RUNTIME_ERRORS as error:
                raise PassFailed from error
            if self._tagger:
                for row, of_row in zip(rows, numbers.pop(), strict=True):
                    named[row] = _entities(texts[row], read[row], encodings[row].offsets, of_row)
            found.append(numbers)
        places = np.argsort(order)
        embedding, *logits = (np.concatenate(parts)[places] for parts in zip(*found, strict=True))
        return Encoded(embedding, dict(zip(self.heads, logits, strict=True)), named if self._tagger else None)


def _entities(
    text: str, read: Sequence[PartRead], offsets: Sequence[tuple[int, int]], logits: Floats
) -> tuple[Entity, ...]:
    """Return the named entities that the (tokens, tags) logits mark, as spans of `text` that end where words end."""
    if not (logits[: len(offsets), 1:].max(axis=1) > logits[: len(offsets), 0]).any():
        return ()
    ends = [end for _, end in offsets]
    spans: list[tuple[int, int, str]] = []
    for start, end, place in _words_read(text, read):
        first, last = bisect_right(ends, place), bisect_right(ends, place + end - start - 1)
        of_word = logits[first : last + 1 if last < len(offsets) and offsets[last][1] > offsets[last][0] else last]
        if not len(of_word):
            continue
        # A word is of the kind that its tokens speak for together; it begins an entity where its first one does.
        name = ENTITY_TAGS[int(of_word.mean(axis=0).argmax())][2:]
        if not name:
            continue
        begins = ENTITY_TAGS[int(of_word[0].argmax())].startswith("B")
        if spans and not begins and spans[-1][2] == name and BETWEEN.fullmatch(text, spans[-1][1], start):
            spans[-1] = (spans[-1][0], end, name)
        else:
            spans.append((start, end, name))
    return tuple(Entity(text[start:end], ENTITY_LABELS[name], start, end) for start, end, name in spans)


def _words_read(text: str, read: Sequence[PartRead]) -> Iterator[tuple[int, int, int]]:
    """Yield start and end of each word of the text that is read as it stands, and where it starts as read."""
    written = 0
    for part in read:
        if part.copied:
            for word in NAME_WORD.finditer(text, part.start, part.end):
                yield word.start(), word.end(), written + word.start() - part.start
        written += len(part.written)


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
    return "".join(part.written for part in parts_read(text))


def anonymous(text: str) -> str:
    """Write handles as @user and links as http, as the TweetEval models were trained (Barbieri et al. 2020)."""
    return "".join(part.written for part in parts_read(text, emoji_names=False))


class PartRead(NamedTuple):
    """What the encoder reads in the place of text[start:end]; `copied` where it is the same."""

    start: int
    end: int
    written: str
    copied: bool


def parts_read(text: str, *, emoji_names: bool = True) -> list[PartRead]:
    """Return the parts that together cover a text, in order."""
    parts: list[PartRead] = []
    position = 0
    for entity in entities(text):
        word = WORDS.get(entity.label)
        if entity.label == "EMOJI" and emoji_names:
            word = _emoji_name(entity.text)
        if word is None:
            continue
        parts.append(PartRead(position, entity.start, text[position : entity.start], copied=True))
        parts.append(PartRead(entity.start, entity.end, word, copied=False))
        position = entity.end
    return [*parts, PartRead(position, len(text), text[position:], copied=True)]


@lru_cache(maxsize=4096)
def _emoji_name(sign: str) -> str:
    return f" {emoji.demojize(sign, delimiters=('', '')).replace('_', ' ')} "
