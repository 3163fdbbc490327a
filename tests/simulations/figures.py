"""What a simulation found, how exactly, and what was promised."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Figure:
    """A value with its Monte-Carlo standard error, over `runs` runs.

    It is promised to lie in [low, high], where they are not None; `tolerance` is what the promise may be off by.
    """

    name: str
    value: float
    error: float
    runs: int
    low: float | None = None
    high: float | None = None
    tolerance: float | None = None

    def within(self, errors: float = 0.0) -> bool:
        """Return whether the promise is kept, give or take so many standard errors."""
        slack = errors * self.error
        return (self.low is None or self.value >= self.low - slack) and (
            self.high is None or self.value <= self.high + slack
        )

    def sharp(self) -> bool:
        """Return whether the standard error is below a quarter of the tolerance."""
        return self.tolerance is None or self.error < self.tolerance / 4


def mean(
    name: str,
    values: Iterable[float] | np.ndarray,
    low: float | None = None,
    high: float | None = None,
    tolerance: float | None = None,
) -> Figure:
    """Return the mean of one value a run; for shares, values of 0 and 1."""
    seen = np.asarray(list(values) if not isinstance(values, np.ndarray) else values, np.float64)
    if tolerance is None and low is not None and high is not None:
        tolerance = (high - low) / 2
    # Where all runs agree, one more could have been the first that does not.
    error = max(float(seen.std()) / math.sqrt(len(seen)), 1 / len(seen))
    return Figure(name, float(seen.mean()), error, len(seen), low, high, tolerance)


def agree(vectorized: np.ndarray, product: Iterable[float]) -> None:
    """Refuse a simulation whose vectorized form is not what the product computes.

    Raises:
        ValueError: some row differs.
    """
    rows = np.array(list(product), np.float64)
    if not np.allclose(vectorized[: len(rows)], rows, rtol=1e-9, atol=1e-12):
        raise ValueError("the vectorized form differs from the product's function")
