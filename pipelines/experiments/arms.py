"""One variant as counts of units, never single ones, and the intervals of its rate and of its distance from control.

The intervals hold for a fixed number of units; `alpha` in (0, 1) is the chance that one misses.
"""

from __future__ import annotations

from dataclasses import dataclass

from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint


@dataclass(frozen=True, slots=True)
class Arm:
    """One variant: `n` units, of which `total` were engaged, in [0, n].

    A design effect above 1 makes both fractions: the counts of as many independent units as the clustered ones are
    worth.

    Raises:
        ValueError: a negative n, or more engaged units than units.
    """

    n: float
    total: float

    def __post_init__(self) -> None:
        if self.n < 0:
            raise ValueError("n must not be negative")
        if not 0 <= self.total <= self.n:
            raise ValueError("the units engaged must lie between 0 and n")

    @property
    def mean(self) -> float:
        """The rate of engaged units in [0, 1]; 0 without units."""
        return self.total / self.n if self.n else 0.0

    @property
    def variance(self) -> float:
        """The variance of one unit: p (1 - p)."""
        return self.mean * (1 - self.mean)


def wilson(arm: Arm, alpha: float) -> tuple[float, float]:
    """The score interval of a rate, inside [0, 1]; (0, 1), its limit, without units.

    Wilson (1927), JASA 22, 209-212; Newcombe (1998), Statistics in Medicine 17, 857-872, method 3.
    """
    if arm.n <= 0:
        return 0.0, 1.0
    low, high = proportion_confint(arm.total, arm.n, alpha=alpha, method="wilson")
    # Rounding can put a limit that is 0, 1 or the rate itself on its wrong side.
    return max(0.0, min(float(low), arm.mean)), min(1.0, max(float(high), arm.mean))


def newcombe(control: Arm, variant: Arm, alpha: float) -> tuple[float, float] | None:
    """The interval of the rate of the variant minus control's, inside [-1, 1]; None where an arm is empty.

    Newcombe (1998), Statistics in Medicine 17, 873-890, method 10: from the Wilson limits of both arms.
    """
    if min(control.n, variant.n) <= 0:
        return None
    low, high = confint_proportions_2indep(
        variant.total, variant.n, control.total, control.n, method="newcomb", compare="diff", alpha=alpha
    )
    return max(-1.0, float(low)), min(1.0, float(high))


def log_relative(control: Arm, variant: Arm, alpha: float) -> tuple[float, float] | None:
    """The interval of the relative lift, rate of the variant over control's minus 1, from -1 up.

    Katz et al. (1978), Biometrics 34, 469-474, method C: normal on the logarithm of the ratio. None where that has no
    variance to go by: nobody engaged in an arm (or less than a thousandth of a unit), or everybody in both.
    """
    if min(control.total, variant.total) < 1e-3 or (control.mean == 1 and variant.mean == 1):
        return None
    low, high = confint_proportions_2indep(
        variant.total, variant.n, control.total, control.n, method="log", compare="ratio", alpha=alpha
    )
    return float(low) - 1, float(high) - 1
