"""Which of two wordings does better: a linear model of the difference of their features, one for each domain.

P(a) = sigmoid(slope * w . (f(a) - f(b))): swapping a and b gives 1 - P(a) by construction. Features are counts, hashed
words and the tweet encoder's embedding; between posts of one author, the wording sub-score of the viral predictor. The
domain is the kind of pair that the two texts resemble most; its measured accuracy and coverage come with every answer.
It reads English.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np
from numpy.typing import NDArray

from pipelines.encoder import Encoder
from pipelines.errors import WeightsRefused
from pipelines.records import Domain, Pair, Verdict
from pipelines.results import Comparison
from pipelines.viral_predictor.features import WORDING, Floats, shouting, wording
from pipelines.viral_predictor.predictor import ViralPredictor
from pipelines.weights import read_arrays, read_weights

FORMAT: Final = 1
DOMAINS: Final[tuple[Domain, ...]] = get_args(Domain)
# The last domain rests on the viral predictor, the others on weights of their own.
LEARNED: Final = DOMAINS[:-1]
POINTS: Final = 10.0
_FINAL_HASHTAGS = re.compile(r"(?:\s*#\w+)+\s*$")
_LINK = re.compile(r"https?://\S+")
_WORD = re.compile(r"[^\W\d_]{2,}")
_COUNTS = {name: place for place, name in enumerate(WORDING)}

# What tells domains apart; each is the same for (a, b) and (b, a).
TRAITS: Final[dict[str, str]] = {
    "same_link": "1 if a link stands in both texts, else 0",
    "shared": "Jaccard index of the two sets of case-folded words, [0, 1]",
    "titled": "share of words that begin with a capital, mean of both texts, [0, 1]",
    "links": "links, mean of both texts, [0, 3]",
    "hashtags": "hashtags, mean of both texts, [0, 12]",
    "mentions": "ln(1 + @handles), mean of both texts, [0, 2.57]",
    "length": "ln(1 + characters in words), mean of both texts, [0, 5.7]",
}


@dataclass(frozen=True, slots=True)
class Weights:
    """Trained numbers, by domain in the order of LEARNED and DOMAINS.

    words (learned, 2**bits); counts (learned, len(WORDING)) on counts / scale, scale (len(WORDING),); embedding
    (learned, 384) on embeddings of unit length; slope (domains,) turns a margin into log-odds; threshold (domains,) is
    the least P of a called verdict, above 1 where none is called; accuracy and coverage (domains,) of called verdicts
    on pairs that chose nothing; traits (domains, len(TRAITS) + 1) is a softmax regression, intercept last.
    """

    words: NDArray[np.float32]
    counts: Floats
    scale: Floats
    embedding: Floats
    slope: Floats
    threshold: Floats
    accuracy: Floats
    coverage: Floats
    traits: Floats

    @property
    def bits(self) -> int:
        """Binary logarithm of the number of word buckets."""
        buckets: int = self.words.shape[1]
        return buckets.bit_length() - 1


class WordingModel:
    """Compares pairs with fixed weights; a pair gets the same answer in every batch."""

    def __init__(self, weights: Weights, version: str, encoder: Encoder, predictor: ViralPredictor) -> None:
        self.weights = weights
        self.version = version
        self._encoder = encoder
        self._predictor = predictor

    @classmethod
    def load(cls, folder: Path, encoder: Encoder, predictor: ViralPredictor) -> WordingModel:
        """Read weights.npz and metadata.json from `folder`.

        What it promises was measured beside the bundled predictor: one that an account's own posts moved is left for
        that one, which stands beside `folder`.

        Raises:
            WeightsRefused: a file is missing or unreadable or not that of the metadata, or the weights were learned
                beside another encoder or viral predictor.
        """
        if predictor.retrained_from:
            predictor = ViralPredictor.load(folder.parent / "viral_predictor")
        metadata, files = read_weights(folder, FORMAT)
        for name, version in (("encoder", encoder.version), ("viral_predictor", predictor.version)):
            if metadata[name] != version:
                raise WeightsRefused(f"{folder} was learned beside another {name}: {metadata[name]}, not {version}")
        arrays: dict[str, NDArray[Any]] = read_arrays(files["weights.npz"])
        numbers = {name: array.astype(np.float64) for name, array in arrays.items() if name != "words"}
        return cls(
            Weights(words=arrays["words"].astype(np.float32), **numbers), str(metadata["version"]), encoder, predictor
        )

    def compare(self, pairs: Sequence[Pair]) -> list[Comparison]:
        """Say of each pair which text does better, in their order."""
        if not pairs:
            return []
        guessed = self.domains([(pair.a, pair.b) for pair in pairs])
        places = [
            place if pair.context is None else DOMAINS.index(pair.context)
            for place, pair in zip(guessed, pairs, strict=True)
        ]
        margins = self.margins([(pair.a, pair.b) for pair in pairs])
        return [self._comparison(float(row[place]), place) for row, place in zip(margins, places, strict=True)]

    def margins(self, pairs: Sequence[tuple[str, str]]) -> Floats:
        """Return w . (f(a) - f(b)) in every domain, (pairs, domains)."""
        weights = self.weights
        texts = [text for pair in pairs for text in pair]
        read = wording(texts, weights.bits)
        points = read.counts / weights.scale @ weights.counts.T
        points += embeddings(self._encoder, texts) @ weights.embedding.T
        for domain, words in enumerate(weights.words):
            points[:, domain] += np.bincount(read.rows, read.weights * words[read.buckets], minlength=len(points))
        points = np.c_[points, self._predictor.wording_points(texts) / POINTS]
        margins: Floats = points[0::2] - points[1::2]
        return margins

    def domains(self, pairs: Sequence[tuple[str, str]]) -> list[int]:
        """Return the place in DOMAINS of the kind of pair that each resembles most."""
        seen = np.c_[traits(pairs), np.ones(len(pairs))]
        nearest: list[int] = (seen @ self.weights.traits.T).argmax(axis=1).tolist()
        return nearest

    def _comparison(self, margin: float, domain: int) -> Comparison:
        weights = self.weights
        odds = float(weights.slope[domain]) * margin
        p_a = 1.0 / (1.0 + math.exp(-min(max(odds, -30.0), 30.0)))
        threshold = float(weights.threshold[domain])
        verdict: Verdict = "too_close"
        if max(p_a, 1.0 - p_a) >= threshold:
            verdict = "a" if odds > 0 else "b"
        return Comparison(
            p_a=p_a,
            verdict=verdict,
            threshold=threshold,
            accuracy=float(weights.accuracy[domain]) if weights.coverage[domain] else None,
            coverage=float(weights.coverage[domain]),
            domain=DOMAINS[domain],
        )


def embeddings(encoder: Encoder, texts: Sequence[str]) -> Floats:
    """Return embeddings of unit length, (texts, 384); hashtags at the end are left out, as the words leave them out.

    Texts stand in pairs, a before b; where one of them shouts both are folded: that is counted, and nothing else is to
    be gained by it. Each has a pass of its own: beside others its integers may round otherwise, and 1 - P would not be
    exact.
    """
    spoken = [
        text.casefold() if shouting(a) or shouting(b) else text
        for a, b in zip(texts[0::2], texts[1::2], strict=True)
        for text in (a, b)
    ]
    known = {
        text: encoder.encode([_FINAL_HASHTAGS.sub("", text) or text]).embedding[0] for text in dict.fromkeys(spoken)
    }
    raw = np.array([known[text] for text in spoken], np.float64)
    unit: Floats = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    return unit


def traits(pairs: Sequence[tuple[str, str]]) -> Floats:
    """Return what tells domains apart, (pairs, len(TRAITS))."""
    counts = wording([text for pair in pairs for text in pair], 10).counts
    means = (counts[0::2] + counts[1::2]) / 2
    chosen = means[:, [_COUNTS[name] for name in ("links", "hashtags", "mentions", "length")]]
    found: Floats = np.c_[np.array([_overlap(a, b) for a, b in pairs]).reshape(len(pairs), 3), chosen]
    return found


def _overlap(a: str, b: str) -> tuple[float, float, float]:
    """Return whether two texts share a link, the Jaccard index of their words, and the share of capitalized words."""
    same_link = not {*_LINK.findall(a)}.isdisjoint(_LINK.findall(b))
    first, second = _WORD.findall(_LINK.sub("", a)), _WORD.findall(_LINK.sub("", b))
    known, other = {word.casefold() for word in first}, {word.casefold() for word in second}
    shares = [sum(word[0].isupper() for word in words) / len(words) if words else 0.0 for words in (first, second)]
    return float(same_link), len(known & other) / max(len(known | other), 1), sum(shares) / 2
