"""What the statistics of an experiment see of one variant: counts and sums, never single units."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Arm:
    """One variant as sufficient statistics of its `n` units.

    `total` is the sum of the outcome over units: with `squares` None the outcome is 0 or 1, and `total` the number of
    units engaged, in [0, n]; else any real outcome, with `squares` the sum of its squares. A design effect above 1
    makes `n` and `total` fractions: the counts of as many independent units as the clustered ones are worth.

    Raises:
        ValueError: a negative n, or more engaged units than units.
    """

    n: float
    total: float
    squares: float | None = None

    def __post_init__(self) -> None:
        if self.n < 0:
            raise ValueError("n must not be negative")
        if self.squares is None and not 0 <= self.total <= self.n:
            raise ValueError("the units engaged must lie between 0 and n")

    @property
    def mean(self) -> float:
        """The mean outcome, a rate in [0, 1] for units engaged; 0 without units."""
        return self.total / self.n if self.n else 0.0

    @property
    def variance(self) -> float:
        """The variance of one unit's outcome: p (1 - p) for a rate, else over n - 1, and 0 below two units."""
        if self.squares is None:
            return self.mean * (1 - self.mean)
        return max(0.0, (self.squares - self.total**2 / self.n) / (self.n - 1)) if self.n > 1 else 0.0
