"""A second opinion on a post that breaks no rule of the verifier: a logistic regression on how the words answer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

from pipelines.generator.verifier_alignment import Pair
from pipelines.generator.verifier_features import WordStatistics, features
from pipelines.records import Language
from pipelines.weights import read_weights

FORMAT: Final = 1


@dataclass(frozen=True)
class SecondOpinion:
    """Weights of one language; `doubts` above `threshold` speak against a post."""

    statistics: WordStatistics
    weights: tuple[tuple[str, float, float], ...]
    bias: float
    threshold: float

    def doubts(self, pair: Pair, broken_rules: Sequence[str] = ()) -> float:
        """Return the log odds that a post has a fault."""
        found = features(pair, self.statistics, Counter(broken_rules))
        return self.bias + sum(weight * clipped(found[name], most) for name, most, weight in self.weights)


def clipped(value: float, most: float) -> float:
    """Return a feature as the model reads it, between -`most` and `most`."""
    return max(-most, min(most, value))


def load_second_opinions(folder: Path) -> dict[Language, SecondOpinion]:
    """Read the second opinions of every language; see load_second_opinion."""
    return {language: load_second_opinion(folder, language) for language in get_args(Language)}


def load_second_opinion(folder: Path, language: Language) -> SecondOpinion:
    """Read the second opinion of a language from the folder of the model.

    Raises:
        WeightsRefused: a file is missing or is not the one that metadata.json vouches for.
    """
    _, files = read_weights(folder, FORMAT)
    stored: dict[str, Any] = json.loads(files[f"{language}.json"])
    return SecondOpinion(
        statistics=WordStatistics(stored["brought"], stored["dropped"], stored["exchanged"]),
        weights=tuple((str(name), float(most), float(weight)) for name, most, weight in stored["weights"]),
        bias=float(stored["bias"]),
        threshold=float(stored["threshold"]),
    )
