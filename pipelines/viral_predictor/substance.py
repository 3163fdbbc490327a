"""Whether a text says something, or is filler, clickbait, a hollow saying, begging, a heap of words.

A logistic regression on the tweet encoder's embedding, trained by training.substance on texts written as one or the
other, in English. It is no measurement of engagement: it keeps what says nothing below what says something.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipelines.encoder import Encoder
from pipelines.errors import WeightsRefused
from pipelines.text.letters import plain_letters
from pipelines.weights import read_arrays, read_weights

FORMAT: Final = 1
# Points off a score grow from the first chance of saying nothing to the second.
FIRST, LAST, MOST_POINTS = 0.2, 0.6, 40.0

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Weights:
    """coefficients (hidden,) on embedding - mean (hidden,), and intercept (), in log-odds of saying nothing."""

    coefficients: Floats
    mean: Floats
    intercept: Floats


class SubstanceModel:
    """Holds the weights and the encoder that they were learned beside."""

    def __init__(self, weights: Weights, version: str, encoder: Encoder) -> None:
        self.weights = weights
        self.version = version
        self._encoder = encoder

    @classmethod
    def load(cls, folder: Path, encoder: Encoder) -> SubstanceModel:
        """Read weights.npz and metadata.json from `folder`.

        Raises:
            WeightsRefused: a file is missing or not that of the metadata, or another encoder was trained with.
        """
        metadata, files = read_weights(folder, FORMAT)
        if metadata["encoder"] != encoder.version:
            raise WeightsRefused(f"{folder}: trained with encoder {metadata['encoder']}, not {encoder.version}")
        arrays = read_arrays(files["weights.npz"])
        return cls(
            Weights(**{name: array.astype(np.float64) for name, array in arrays.items()}),
            str(metadata["version"]),
            encoder,
        )

    def read(self, texts: Sequence[str]) -> list[float]:
        """Return the chance in [0, 1] that each English text says something.

        Raises:
            PassFailed: the encoder's graph does not compute.
        """
        plain = [unicodedata.normalize("NFC", plain_letters(text)) for text in texts]
        return self.of(self._encoder.encode(plain).embedding) if plain else []

    def of(self, embedding: NDArray[Any]) -> list[float]:
        """Return the chance in [0, 1] that texts of these (texts, hidden) embeddings say something."""
        odds = (embedding - self.weights.mean) @ self.weights.coefficients + self.weights.intercept
        chances: list[float] = (1.0 / (1.0 + np.exp(odds))).tolist()
        return chances


def points_off(substance: float) -> float:
    """Return what a text's score loses, in [0, MOST_POINTS] points, by its chance of saying something."""
    return MOST_POINTS * min(max((1.0 - substance - FIRST) / (LAST - FIRST), 0.0), 1.0)
