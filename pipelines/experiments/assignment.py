"""Which variant a unit sees: a hash of the experiment's seed and the unit, the same on every machine, nothing stored.

The hash and the ranges are those of the GrowthBook SDKs, so that both agree on every unit:
packages/sdk-js/src/util.ts and test/cases.json of growthbook/growthbook (MIT). FNV-1a:
https://datatracker.ietf.org/doc/html/draft-eastlake-fnv
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

BUCKETS: Final = 10_000
_OFFSET_BASIS, _PRIME, _MODULUS = 0x811C9DC5, 0x01000193, 2**32
_MAX_DIGITS = len(str(_MODULUS - 1))
_TOLERANCE = 1e-6


def bucket(seed: str, unit: str) -> float:
    """Return where `unit` falls in the experiment `seed`, in [0, 1): one of 10,000, as in version 2 of the SDKs."""
    return _fnv1a(str(_fnv1a(seed + unit))) % BUCKETS / BUCKETS


def ranges(weights: Sequence[float]) -> tuple[tuple[float, float], ...]:
    """Return the half-open range of buckets of each variant, (variants,) pairs in [0, 1].

    The last variant with a weight ends at 1, also where the sum of the weights is short by rounding.

    Raises:
        ValueError: no weights, one that is negative or not a number, or a sum that is not 1 within 1e-6.
    """
    if not all(weight >= 0 for weight in weights) or not abs(math.fsum(weights) - 1) <= _TOLERANCE:
        raise ValueError("weights must not be negative and must sum to 1")
    last = max(index for index, weight in enumerate(weights) if weight)
    found, start = [], 0.0
    for index, weight in enumerate(weights):
        end = 1.0 if index >= last else min(start + weight, 1.0)
        found.append((start, end))
        start = end
    return tuple(found)


def assign(seed: str, unit: str, weights: Sequence[float]) -> int:
    """Return the index of the variant that `unit` sees, by version 2; errors are those of `ranges`."""
    ends = [end for _, end in ranges(weights)]
    share = _fnv1a(str(_fnv1a(seed + unit))) % BUCKETS / BUCKETS
    return next(index for index, end in enumerate(ends) if share < end)


def assign_all(seed: str, units: Sequence[str], weights: Sequence[float]) -> NDArray[np.int64]:
    """Return what `assign` says of each of `units`, (units,); made for thousands of units of one experiment."""
    ends = np.array([end for _, end in ranges(weights)])
    encoded = [unit.encode("utf-16-le", "surrogatepass") for unit in units]
    lengths = np.array([len(text) // 2 for text in encoded], np.int64)
    code_units = np.frombuffer(b"".join(encoded), "<u2").astype(np.uint32)
    # The longest first: what still has a code unit at a position is then a prefix.
    order = np.argsort(-lengths, kind="stable")
    starts = (np.cumsum(lengths) - lengths)[order]
    state = np.full(len(units), _fnv1a(seed), np.uint32)
    active = np.searchsorted(-lengths[order], -np.arange(lengths.max(initial=0)), "left")
    for position, count in enumerate(active):
        state[:count] = (state[:count] ^ code_units[starts[:count] + position]) * np.uint32(_PRIME)
    shares = np.empty(len(units))
    shares[order] = _of_decimals(state) % BUCKETS / BUCKETS
    return np.searchsorted(ends, shares, "right")


def _fnv1a(text: str) -> int:
    """Return FNV-1a of the UTF-16 code units of `text`, in [0, 2^32)."""
    state = _OFFSET_BASIS
    for unit in np.frombuffer(text.encode("utf-16-le", "surrogatepass"), "<u2").tolist():
        state = (state ^ unit) * _PRIME % _MODULUS
    return state


def _of_decimals(numbers: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return FNV-1a of the decimal text of each of `numbers`, of the same shape."""
    state = np.full(numbers.shape, _OFFSET_BASIS, np.uint32)
    for power in 10 ** np.arange(_MAX_DIGITS - 1, -1, -1):
        digits = (numbers // power % 10).astype(np.uint32)
        hashed = (state ^ (digits + np.uint32(ord("0")))) * np.uint32(_PRIME)
        state = np.where((numbers >= power) | (power == 1), hashed, state)
    return state
