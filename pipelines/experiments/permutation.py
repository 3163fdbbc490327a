"""The test of a switchback experiment: labels permuted within blocks of posts.

It needs no model of the posts: under no difference each order of the variants within a block was as likely as the
other. Fisher 1935; Ernst 2004 (Statistical Science 19); p-values that count the observed order: Phipson & Smyth 2010.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.experiments.significance import holm

MAX_EXACT: Final = 2**14
_CHUNK = 2**20
# Orders that tie with the observed one must count, whatever rounding does to sums of logs.
_TIE = 1e-9
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Post:
    """One post of a switchback: the block and variant of its slot, its impressions and engagements so far."""

    block: int
    variant_index: int
    impressions: int
    engagements: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """A variant against control: relative lift of the geometric mean rate, its interval (None: unbounded), p-values."""

    variant_index: int
    lift: float
    low: float | None
    high: float | None
    p_value: float
    p_adjusted: float


@dataclass(frozen=True, slots=True)
class SwitchbackResult:
    """What the posts say: the omnibus p-value, None without a complete block, and what was counted and left out.

    `comparisons` have Holm's adjustment among each other.
    """

    p_value: float | None
    comparisons: tuple[Comparison, ...]
    blocks: int
    posts_without_impressions: int
    incomplete_blocks: int


def permutation_test(
    posts: Sequence[Post],
    n_variants: int,
    *,
    seed: int,
    control: int = 0,
    alpha: float = 0.05,
    n_permutations: int = 20_000,
) -> SwitchbackResult:
    """Return the test of `posts`, one row a post, over the blocks in which every variant has a post.

    Outcome: the log of (engagements + 0.5) / (impressions + 1), averaged over the posts of a slot. Two variants: the
    mean difference within blocks; more: the sum of squares between the variants' means, and each variant against
    control by exchanges of the two within blocks. All arrangements are counted up to 2^14, else n_permutations drawn
    ones and the observed. The interval at 1 - alpha inverts the same exchanges (Hartigan 1969, typical values), so it
    leaves out a lift of 0 exactly where p_value <= alpha; it is not adjusted. Posts without impressions are left out.

    Raises:
        ValueError: fewer than 2 variants, a control or post outside them, negative counts, alpha not in (0, 1), or no
            permutations.
    """
    if n_variants < 2 or not 0 <= control < n_variants or n_permutations < 1 or not 0 < alpha < 1:
        raise ValueError("at least 2 variants with control among them, 1 permutation, and alpha in (0, 1)")
    for post in posts:
        if not 0 <= post.variant_index < n_variants or min(post.impressions, post.engagements) < 0:
            raise ValueError("a post needs a variant of the experiment and counts that are not negative")
    shown = [post for post in posts if post.impressions]
    by_slot = outcomes_by_slot(posts)
    blocks = sorted({block for block, _ in by_slot})
    complete = [block for block in blocks if all((block, variant) in by_slot for variant in range(n_variants))]
    kept = set(complete)
    p_value: float | None = None
    comparisons: tuple[Comparison, ...] = ()
    if complete:
        outcomes = np.array([[np.mean(by_slot[block, v]) for v in range(n_variants)] for block in complete])
        p_value, comparisons = _tested(outcomes, control, alpha, n_permutations, np.random.default_rng(seed))
    return SwitchbackResult(
        p_value=p_value,
        comparisons=comparisons,
        blocks=len(complete),
        posts_without_impressions=len(posts) - len(shown),
        incomplete_blocks=len({post.block for post in posts} - kept),
    )


def outcomes_by_slot(posts: Sequence[Post]) -> dict[tuple[int, int], list[float]]:
    """Return the outcomes of the posts with impressions by block and variant: log of their rate, never of 0."""
    by_slot: dict[tuple[int, int], list[float]] = {}
    for post in posts:
        if post.impressions:
            outcome = math.log((post.engagements + 0.5) / (post.impressions + 1))
            by_slot.setdefault((post.block, post.variant_index), []).append(outcome)
    return by_slot


def _tested(
    outcomes: Floats, control: int, alpha: float, n_permutations: int, rng: np.random.Generator
) -> tuple[float, tuple[Comparison, ...]]:
    """Return the omnibus p-value and the comparisons of outcomes (blocks, variants)."""
    variants = [variant for variant in range(outcomes.shape[1]) if variant != control]
    found = [_exchanged(outcomes[:, v] - outcomes[:, control], alpha, n_permutations, rng) for v in variants]
    adjusted = holm([p for *_, p in found])
    comparisons = tuple(Comparison(v, *one, p) for v, one, p in zip(variants, found, adjusted, strict=True))
    p_value = comparisons[0].p_value if len(variants) == 1 else _omnibus(outcomes, n_permutations, rng)
    return p_value, comparisons


def _exchanged(
    differences: Floats, alpha: float, n_permutations: int, rng: np.random.Generator
) -> tuple[float, float | None, float | None, float]:
    """Return lift, low, high and p-value from the differences of logs (blocks,) of two variants.

    To exchange the two in some blocks turns the sign there. Against a true difference theta such an order beats the
    observed mean exactly where the mean of the turned blocks is at most theta (or that of the others, which turns
    all signs), so the same means give the p-value and, sorted, the limits.
    """
    mean = differences.mean()
    means = []
    for turned in _turned(len(differences), n_permutations, rng):
        sums = turned @ differences
        counts = turned.sum(1)
        for part, size in ((sums, counts), (differences.sum() - sums, len(differences) - counts)):
            # No block turned is the observed order, which always counts.
            each = np.where(np.abs(part) <= _TIE, 0.0, part) / np.maximum(size, 1)
            means.append(np.where(size, each, -np.inf if mean > 0 else np.inf))
    turned_means = np.sort(np.concatenate(means)) if means else np.empty(0)
    orders = 1 + len(turned_means) // 2
    hits = turned_means <= 0 if mean > 0 else turned_means >= 0
    p_value = min((1 + int(hits.sum())) / orders, 1.0) if abs(differences.sum()) > _TIE else 1.0
    edge = math.floor(alpha * orders + _TIE)
    low, high = (turned_means[edge - 1], turned_means[-edge]) if edge else (-np.inf, np.inf)
    limits = [float(np.expm1(limit)) if np.isfinite(limit) else None for limit in (low, high)]
    return float(np.expm1(mean)), limits[0], limits[1], p_value


def _turned(n_blocks: int, n_permutations: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Yield chunks (orders, blocks) of which blocks are exchanged; one of each pair of opposite orders, no observed."""
    exact = _enumerable(2, n_blocks)
    count = 2 ** (n_blocks - 1) - 1 if exact else n_permutations
    size = max(1, _CHUNK // n_blocks)
    for first in range(0, count, size):
        numbers = np.arange(first, min(first + size, count))
        if exact:
            yield ((numbers[:, None] + 1) >> np.arange(n_blocks) & 1).astype(np.float64)
        else:
            yield rng.integers(0, 2, (len(numbers), n_blocks)).astype(np.float64)


def _omnibus(outcomes: Floats, n_permutations: int, rng: np.random.Generator) -> float:
    """Return the p-value of "all variants are alike" by the sum of squares between the variants' means."""
    centered = outcomes - outcomes.mean(1, keepdims=True)
    n_blocks, n_variants = centered.shape
    least = (centered.sum(0) ** 2).sum() * (1 - _TIE) - _TIE**2
    orders = math.factorial(n_variants)
    exact = _enumerable(orders, n_blocks)
    count = orders**n_blocks - 1 if exact else n_permutations
    size = max(1, _CHUNK // centered.size)
    tables = np.array(list(itertools.permutations(range(n_variants)))) if exact else None
    hits = 0
    for first in range(0, count, size):
        numbers = np.arange(first, min(first + size, count))
        if tables is None:
            permuted = rng.permuted(np.broadcast_to(centered, (len(numbers), *centered.shape)), axis=2)
        else:
            # The digits of a number in base k! name the order of each block; 0 is the observed one.
            digits = (numbers[:, None] + 1) // orders ** np.arange(n_blocks) % orders
            permuted = centered[np.arange(n_blocks)[:, None], tables[digits]]
        hits += int(((permuted.sum(1) ** 2).sum(1) >= least).sum())
    return (1 + hits) / (1 + count)


def _enumerable(orders: int, n_blocks: int) -> bool:
    return n_blocks * math.log2(orders) <= math.log2(MAX_EXACT) + _TIE
