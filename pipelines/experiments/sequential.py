"""May we look now? Asymptotic confidence sequences: valid at every look at once, so anyone may look at any time.

Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, Time-uniform central limit theory and asymptotic confidence sequences,
arXiv:2103.06476v7 (Annals of Statistics 52, 2024). In all functions `n` is the number of units of both arms together,
`alpha` in (0, 1) the chance that any look ever errs, and `tuned_to` > 0 the number of units at which the sequence is
narrowest: the planned total. They hold in the limit of many units, so small samples get no claim.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from pipelines.experiments.arms import Arm
from pipelines.experiments.significance import needs_exact, pooled_z

TUNED_TO = 5000.0  # gbstats' default, for experiments without a plan


def boundary(n: float, alpha: float, tuned_to: float = TUNED_TO, level: float | None = None) -> float:
    """What a |z| must reach at `n` units to exclude no difference; infinite at n = 0.

    Eq. 9 in units of the standard error: sqrt(2 (x + 1) / x log(sqrt(x + 1) / alpha)) with x = n rho^2. It falls as
    `n` nears `tuned_to`, then rises slowly, as sqrt(log n). A `level` below `alpha`, as a correction for many tests has
    it, is what `always_valid_p` must reach there; `alpha` alone tunes.
    """
    if n <= 0:
        return math.inf
    x = n * _rho_squared(alpha, tuned_to)
    return math.sqrt(2 * (x + 1) / x * (math.log1p(x) / 2 - math.log(level or alpha)))


def half_width(standard_error: float, n: float, alpha: float, tuned_to: float = TUNED_TO) -> float:
    """Half the width of the sequence at `n` units, in units of `standard_error` >= 0 (eq. 9); infinite at n = 0."""
    return boundary(n, alpha, tuned_to) * standard_error if n > 0 else math.inf


def always_valid_p(z: float, n: float, alpha: float, tuned_to: float = TUNED_TO) -> float:
    """The p-value of `z` at `n` units, in [0, 1]: at most `alpha` where |z| >= `boundary`, whatever was looked at.

    Eq. 155: the inverse of sqrt(1 / (x + 1)) exp(z^2 x / (2 (x + 1))) with x = n rho^2, at most 1. `alpha` tunes it, so
    it is made to be compared with that alpha.
    """
    if n <= 0:
        return 1.0
    x = n * _rho_squared(alpha, tuned_to)
    return math.exp(min(0.0, math.log1p(x) / 2 - z * z * x / (2 * (x + 1))))


def always_valid_lift(
    control: Arm, variant: Arm, alpha: float, tuned_to: float = TUNED_TO
) -> tuple[float, float] | None:
    """The confidence sequence of the relative lift of two rates, above -1: eq. 9 on the logarithm of their ratio.

    The logarithm's variance is that of Katz et al. (1978), as in `arms.log_relative`; near no difference it says
    what `always_valid_score_test` does. None under five expected units engaged or not, nobody or all engaged in an arm.
    """
    if needs_exact([control, variant]) or not _varies(control, variant):
        return None
    error = math.sqrt(sum(_log_variance(arm) / arm.n for arm in (control, variant)))
    return _around(control, variant, half_width(error, control.n + variant.n, alpha, tuned_to))


def always_valid_rate(arm: Arm, alpha: float, tuned_to: float = TUNED_TO) -> tuple[float, float] | None:
    """The confidence sequence of one rate, inside [0, 1], by the arm's own units (eq. 9 with their variance).

    It holds however the units came to the arm, also where a bandit sent them by what it saw before: the units of one
    arm, in their order, are draws of its own rate. None under five units engaged or not engaged.
    """
    if needs_exact([arm]):
        return None
    width = half_width(math.sqrt(arm.variance / arm.n), arm.n, alpha, tuned_to)
    return max(0.0, arm.mean - width), min(1.0, arm.mean + width)


def always_valid_score_test(control: Arm, variant: Arm, alpha: float, tuned_to: float = TUNED_TO) -> float:
    """The p-value to decide two rates by, in [0, 1]: `always_valid_p` of the pooled score.

    The pooled variance does not collapse where one arm has nobody engaged, as that of the difference does.
    1 as long as an arm is expected to have under five units engaged or not engaged: the theory is one of many units.
    """
    if needs_exact([control, variant]):
        return 1.0
    return always_valid_p(pooled_z(control, variant), control.n + variant.n, alpha, tuned_to)


def adaptive_p(control: Arm, variant: Arm, alpha: float, tuned_to: float = TUNED_TO) -> float:
    """The p-value of two rates at any look however the units came to the arms, also by a bandit, in [0, 1].

    Each arm has a mixture martingale of its own (eq. 155) for every rate that it might have; units go to one arm at a
    time, so the product of both is one too, and the p-value is its inverse at the common rate that it speaks against
    least: exp(-d^2 / (2 V)) sqrt((1 + x_1) (1 + x_2)) with V the sum of s_i^2 (1 + x_i) / x_i, s_i the standard errors,
    x_i = n_i rho^2 and rho tuned to half of `tuned_to` an arm. Kaufmann and Koolen (2021), JMLR 22(246), have such
    products for bandits. 1 as long as `needs_exact`, and where nobody or everybody is engaged in an arm.
    """
    if needs_exact([control, variant]) or not _varies(control, variant):
        return 1.0
    penalty, spread = _adaptive(control, variant, lambda arm: arm.variance, alpha, tuned_to)
    return math.exp(min(0.0, penalty - (variant.mean - control.mean) ** 2 / (2 * spread)))


def adaptive_look(
    control: Arm, variant: Arm, alpha: float, tuned_to: float, level: float
) -> tuple[float, float] | None:
    """Return the statistic d / sqrt(V) of `adaptive_p` and what its size must reach for a p-value of `level`.

    None where that p-value makes no claim.
    """
    if needs_exact([control, variant]) or not _varies(control, variant):
        return None
    penalty, spread = _adaptive(control, variant, lambda arm: arm.variance, alpha, tuned_to)
    return (variant.mean - control.mean) / math.sqrt(spread), math.sqrt(2 * (penalty - math.log(level)))


def adaptive_lift(control: Arm, variant: Arm, alpha: float, tuned_to: float = TUNED_TO) -> tuple[float, float] | None:
    """The confidence sequence of the relative lift that goes with `adaptive_p`; as `always_valid_lift` otherwise."""
    if needs_exact([control, variant]) or not _varies(control, variant):
        return None
    penalty, spread = _adaptive(control, variant, _log_variance, alpha, tuned_to)
    return _around(control, variant, math.sqrt(2 * spread * (penalty - math.log(alpha))))


def _around(control: Arm, variant: Arm, width: float) -> tuple[float, float]:
    ratio = variant.mean / control.mean
    # Beyond that the upper end says nothing, and would not fit into a float.
    return ratio * math.exp(-width) - 1, ratio * math.exp(min(width, 100.0)) - 1


def _varies(control: Arm, variant: Arm) -> bool:
    return all(0 < arm.mean < 1 for arm in (control, variant))


def _log_variance(arm: Arm) -> float:
    """The variance of the logarithm of one unit's share of the rate: (1 - p) / p."""
    return (1 - arm.mean) / arm.mean


def _adaptive(
    control: Arm, variant: Arm, variance: Callable[[Arm], float], alpha: float, tuned_to: float
) -> tuple[float, float]:
    """Return log sqrt((1 + x_1) (1 + x_2)) and V of `adaptive_p`, from the variance of one unit of each arm."""
    penalty = spread = 0.0
    for arm in (control, variant):
        x = arm.n * _rho_squared(alpha, tuned_to / 2)
        penalty += math.log1p(x) / 2
        spread += variance(arm) / arm.n * (1 + x) / x
    return penalty, spread


def _rho_squared(alpha: float, tuned_to: float) -> float:
    """Eq. 161 squared: close to the optimum, -W_{-1}(-alpha^2 / e) - 1 over `tuned_to` with Lambert's W.

    The optimum itself would narrow the sequence by .0066 % at alpha .1, .0029 % at .05, .0007 % at .01.
    """
    surprise = -2 * math.log(alpha)
    return (surprise + math.log1p(surprise)) / tuned_to
