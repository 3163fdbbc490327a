"""How far a text is from the way its author writes: n-grams of its shape, in which topics do not show.

The shape keeps function words, punctuation, emoji, line ends and how words are written, and drops which words they are:
character n-grams are the best single sign of an author, and those of affixes and punctuation are that across topics
(Stamatatos 2013, On the robustness of authorship attribution based on character n-gram features, J. Law & Policy 21(2);
Sapkota et al. 2015, Not all character n-grams are created equal, NAACL). It judges nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import regex
from numpy.typing import NDArray

from pipelines.text.tweets import masked
from pipelines.text.words import FUNCTION_WORDS

Floats = NDArray[np.float64]

# Fewer say too little of how somebody writes.
MIN_POSTS: Final = 25
SIZES: Final = (2, 3, 4)
BITS: Final = 12
BUCKETS: Final = 2**BITS
POWERS: Final = np.array([1, 1_000_003, 1_000_003**2, 1_000_003**3], np.uint64)
MIXER: Final = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Voice:
    """How an author writes: `mean` (BUCKETS,) of the shapes of the posts, of length 1.

    `usual` in (0, 1] is the median distance of the author's own posts from the mean of the others.
    """

    mean: Floats
    usual: float

    def distance(self, text: str) -> float:
        """Return how far a text is, in units of the usual distance: 1 is like a post of the author's."""
        return round((1.0 - float(_shape(text) @ self.mean)) / self.usual, 2)


def voice_of(texts: Sequence[str]) -> Voice | None:
    """Learn how the author of these posts writes, about 0.2 ms a post; None where there are fewer than MIN_POSTS."""
    if len(texts) < MIN_POSTS:
        return None
    shapes = np.vstack([_shape(text) for text in texts])
    total = shapes.sum(axis=0)
    others = total - shapes
    closeness = (shapes * others).sum(axis=1) / np.maximum(np.linalg.norm(others, axis=1), 1e-9)
    length = float(np.linalg.norm(total))
    return Voice(total / max(length, 1e-9), max(float(np.median(1.0 - closeness)), 0.01))


def _shape(text: str) -> Floats:
    """Return the (BUCKETS,) square roots of the counts of n-grams of a text's shape, of length 1."""
    shape = DIGITS.sub("9", WORD.sub(_bare, f"\n{masked(text)}\n"))
    codes = np.frombuffer(shape.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    counts = np.zeros(BUCKETS)
    for size in SIZES:
        n = len(codes) - size + 1
        if n > 0:
            # A polynomial of the code points, whose upper bits are mixed best (Knuth, TAOCP 3, 6.4).
            hashed = sum(codes[place : place + n] * POWERS[place] for place in range(size)) * MIXER
            counts += np.bincount((hashed >> np.uint64(64 - BITS)).astype(np.int64), minlength=BUCKETS)
    vector: Floats = np.sqrt(counts)
    vector /= max(float(np.linalg.norm(vector)), 1e-9)
    return vector


def _bare(word: regex.Match[str]) -> str:
    """Write a word of content as how it is written alone."""
    if word[0].casefold() in KNOWN:
        return word[0]
    return "X" if word[0].isupper() else "Xx" if word[0][0].isupper() else "x"


KNOWN: Final = frozenset().union(*FUNCTION_WORDS.values())
WORD: Final = regex.compile(r"\p{L}[\p{L}\p{M}]*+")
DIGITS: Final = regex.compile(r"\d+")
