"""Reads what a marketing text wants: a logistic regression on its words, its marks and, in English, its meaning.

English rests on the encoder's embedding as well; Spanish on words and marks alone, because the encoder reads English.
Trained by training.intent; tests/models/intent/GUIDE.md says what each label means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast, get_args

import numpy as np
from numpy.typing import NDArray

from pipelines.encoder import Encoded, softmax
from pipelines.errors import WeightsRefused
from pipelines.records import Intent, IntentReading
from pipelines.viral_predictor.features import wording
from pipelines.weights import read_arrays, read_weights

FORMAT: Final = 1
INTENTS: Final = cast("tuple[Intent, ...]", get_args(Intent))
UNDETERMINED: Final = "und"

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Weights:
    """Of one language: words (2**bits, 9), marks (len(WORDING), 9) and embedding (hidden or 0, 9) in log-odds.

    marks_mean and marks_scale (len(WORDING),) and embedding_mean (hidden or 0,) standardize; intercept is (9,).
    """

    words: Floats
    marks: Floats
    marks_mean: Floats
    marks_scale: Floats
    embedding: Floats
    embedding_mean: Floats
    intercept: Floats

    def logits(self, texts: Sequence[str], embedding: NDArray[Any] | None) -> Floats:
        """Return (texts, 9) log-odds; `embedding` is (texts, hidden), None where this language needs none."""
        read = wording(texts, len(self.words).bit_length() - 1)
        found: Floats = (read.counts - self.marks_mean) / self.marks_scale @ self.marks + self.intercept
        np.add.at(found, read.rows, read.weights[:, None] * self.words[read.buckets])
        if embedding is not None:
            found += (embedding - self.embedding_mean) @ self.embedding
        return found


class IntentModel:
    """Holds the weights of each language."""

    def __init__(self, weights: Mapping[str, Weights], version: str) -> None:
        self.weights = dict(weights)
        self.version = version

    @classmethod
    def load(cls, folder: Path, *, encoder: str) -> IntentModel:
        """Read weights.npz and metadata.json from `folder`; `encoder` is the version of the encoder beside it.

        Raises:
            WeightsRefused: a file is missing or not that of the metadata, or another encoder was trained with.
        """
        metadata, files = read_weights(folder, FORMAT)
        arrays = read_arrays(files["weights.npz"])
        languages = dict.fromkeys(name.split("_")[0] for name in arrays)
        weights = {
            language: Weights(
                **{
                    name.removeprefix(f"{language}_"): array.astype(np.float64)
                    for name, array in arrays.items()
                    if name.startswith(f"{language}_")
                }
            )
            for language in languages
        }
        if metadata["encoder"] != encoder:
            raise WeightsRefused(f"{folder}: trained with encoder {metadata['encoder']}, not {encoder}")
        return cls(weights, str(metadata["version"]))

    def read(
        self, texts: Sequence[str], languages: Sequence[str], encoded: Encoded | None, places: Mapping[int, int]
    ) -> list[IntentReading | None]:
        """Read each text in its language; `places` says where in `encoded` an English text stands.

        None for a language without weights, and for English where the encoder did not answer.
        """
        readings: list[IntentReading | None] = [None] * len(texts)
        for language, weights in self.weights.items():
            mine = [
                index
                for index, known in enumerate(languages)
                if (known == language or (known == UNDETERMINED and language == "en"))
                and (not len(weights.embedding) or index in places)
            ]
            if not mine:
                continue
            embedding = None
            if len(weights.embedding) and encoded is not None:
                embedding = encoded.embedding[[places[index] for index in mine]]
            scores = softmax(weights.logits([texts[index] for index in mine], embedding)).tolist()
            for index, row in zip(mine, scores, strict=True):
                label = INTENTS[row.index(max(row))]
                readings[index] = IntentReading(label=label, scores=dict(zip(INTENTS, row, strict=True)))
        return readings
