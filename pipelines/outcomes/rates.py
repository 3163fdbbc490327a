"""Rates of posts, of which each counts as one unit: readers of one post are not independent of each other."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from scipy.stats import t

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class RatioSums:
    """Sums over n posts of impressions x and of what was done y, of their squares and of their product."""

    n: int
    x: float
    y: float
    xx: float
    xy: float
    yy: float

    @classmethod
    def of(cls, pairs: Iterable[tuple[int, int]]) -> RatioSums:
        """Sum up (impressions, what was done) of each post."""
        kept = list(pairs)
        return cls(
            len(kept),
            math.fsum(x for x, _ in kept),
            math.fsum(y for _, y in kept),
            math.fsum(x * x for x, _ in kept),
            math.fsum(x * y for x, y in kept),
            math.fsum(y * y for _, y in kept),
        )

    @property
    def rate(self) -> float | None:
        """What was done per impression; None without impressions."""
        return self.y / self.x if self.x > 0 else None

    @property
    def variance(self) -> float | None:
        """Variance of the rate, None below two posts: the ratio estimator of Cochran 1977, Sampling Techniques, 6.4."""
        if self.n < 2 or self.rate is None:
            return None
        residual = self.yy - 2 * self.rate * self.xy + self.rate**2 * self.xx
        # Of sums as large as these no more digits are known.
        residual = residual if residual > 1e-12 * self.yy else 0.0
        return self.n / (self.n - 1) * residual / self.x**2

    def interval(self) -> tuple[float, float] | None:
        """Return the 95 % interval of the rate, Student's t with n - 1 degrees, cut off at 0; None below two posts."""
        if self.rate is None or self.variance is None:
            return None
        reach = float(t.ppf(0.5 + CONFIDENCE / 2, self.n - 1)) * math.sqrt(self.variance)
        return max(self.rate - reach, 0.0), self.rate + reach


def difference(one: RatioSums, other: RatioSums) -> tuple[float, tuple[float, float] | None] | None:
    """Return rate(one) - rate(other) with its 95 % interval (Welch 1947); None where either has no rate.

    The interval is None where either has fewer than two posts, or the posts show no spread at all.
    """
    if one.rate is None or other.rate is None:
        return None
    gap = one.rate - other.rate
    a, b = one.variance, other.variance
    if a is None or b is None or a + b <= 0:
        return gap, None
    degrees = (a + b) ** 2 / (a**2 / (one.n - 1) + b**2 / (other.n - 1))
    reach = float(t.ppf(0.5 + CONFIDENCE / 2, degrees)) * math.sqrt(a + b)
    return gap, (gap - reach, gap + reach)
