"""The overdispersion guard: how much wider than binomial the difference of two variants truly is.

Impressions are no independent units: people come in clusters, and days move variants. A design effect is
the factor of the variance, at least 1; `effective` turns an arm into what it is worth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from pipelines.experiments.arms import Arm

MIN_DAYS: Final = 3
_MAX_ROUNDS, _PRECISION = 1000, 1e-10
Floats = NDArray[np.float64]


def intraclass_correlation(clusters: Sequence[Sequence[Arm]]) -> float | None:
    """Return the correlation between two units of one cluster: one sequence of clusters for each variant.

    The analysis of variance estimator for proportions within variants, in [-1, 1], 0 where units are independent:
    Ridout, Demetrio, Firth 1999 (Biometrics 55), eq 3, pooled over variants as Donner & Klar 2000, section 6.2. Under
    a beta-binomial it estimates 1 / (alpha + beta + 1). None where no variant has two clusters, no cluster two units,
    or all units did the same.
    """
    groups = [[cluster for cluster in group if cluster.n] for group in clusters]
    groups = [group for group in groups if group]
    between = within = spare = 0.0
    n_clusters = sum(len(group) for group in groups)
    n_units = sum(cluster.n for group in groups for cluster in group)
    for group in groups:
        n, total = math.fsum(arm.n for arm in group), math.fsum(arm.total for arm in group)
        squares = math.fsum(arm.total**2 / arm.n for arm in group)
        between += squares - total**2 / n
        within += total - squares
        spare += n - math.fsum(arm.n**2 for arm in group) / n
    degrees = n_clusters - len(groups)
    if degrees <= 0 or n_units <= n_clusters:
        return None
    mean_between, mean_within = between / degrees, within / (n_units - n_clusters)
    size = spare / degrees
    scale = mean_between + (size - 1) * mean_within
    # Of a few clusters of unlike sizes the estimate can lie below every correlation.
    return max(-1.0, (mean_between - mean_within) / scale) if scale > 1e-12 else None


def effective(arm: Arm, design_effect: float) -> Arm:
    """Return the arm of as many independent units as `arm` is worth: both counts divided by the design effect.

    Raises:
        ValueError: a design effect below 1.
    """
    if not design_effect >= 1:
        raise ValueError("a design effect is at least 1")
    return Arm(arm.n / design_effect, arm.total / design_effect)


def dispersion_of_days(cells: Sequence[Sequence[Arm]], alpha: float = 0.05) -> float | None:
    """Return the design effect of the difference between variants, from counts by variant and day; at least 1.

    cells (variants, days) of units engaged. What moves all variants of a day alike does not touch their difference: it
    is Pearson's chi-squared of the logit model day + variant over its degrees of freedom (quasi-likelihood, McCullagh &
    Nelder 1989, section 4.5). That weighs days alike, but what is beyond 1 grows with the units of a day under a
    beta-binomial (Williams 1982, Applied Statistics 31), so it is scaled to the day of the mean unit (Kish 1965). As
    few days tell the factor badly, it is stretched by the square of t / normal quantile at `alpha`, so that intervals
    and tests made with the normal one keep their level.

    None below 3 days on which each variant had units and some, but not all, of all units were engaged, or with one
    variant.
    """
    n = np.array([[arm.n for arm in variant] for variant in cells], np.float64)
    total = np.array([[arm.total for arm in variant] for variant in cells], np.float64)
    if n.ndim < 2:
        return None
    # Where all or none are engaged the fit is perfect and tells nothing; dropping a day may leave a variant like that.
    shape = None
    while n.size and n.shape != shape:
        shape = n.shape
        rows = (total.sum(1) > 0) & (total.sum(1) < n.sum(1))
        n, total = n[rows], total[rows]
        columns = (total.sum(0) > 0) & (total.sum(0) < n.sum(0)) & (n > 0).all(0)
        n, total = n[:, columns], total[:, columns]
    variants, days = n.shape
    if variants < 2 or days < MIN_DAYS:
        return None
    degrees: int = (variants - 1) * (days - 1)
    factor = _pearson(n, total) / degrees
    sizes = n.sum(0)
    factor += max(0.0, factor - 1) * float(days * (sizes**2).sum() / sizes.sum() ** 2 - 1)
    stretch = float((t.isf(alpha / 2, degrees) / norm.isf(alpha / 2)) ** 2)
    return max(1.0, factor * stretch)


def _pearson(n: Floats, total: Floats) -> float:
    """Return Pearson's chi-squared of the logit model day + variant over cells (variants, days).

    Fitted as the loglinear model without the interaction of variant, day and outcome, by iterative proportional
    fitting (Bishop, Fienberg, Holland 1975, section 3.5), which never fails, whatever cells are empty.
    """
    observed = np.stack([total, n - total])
    fitted = np.stack([n, n]) / 2
    for _ in range(_MAX_ROUNDS):
        before = fitted
        for axis in (2, 1, 0):
            fitted = fitted * (observed.sum(axis, keepdims=True) / fitted.sum(axis, keepdims=True))
        if np.abs(fitted - before).max() < _PRECISION * n.max():
            break
    product = fitted.prod(0)
    possible = product > 0
    return float(((total - fitted[0])[possible] ** 2 * n[possible] / product[possible]).sum())
