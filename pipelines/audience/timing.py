"""When an account's posts do well: a heat map of the week from its own outcomes, and whether time matters at all.

Outcome: the percentile of a post's engagement among the account's own posts of the weeks around it, so that growth does
not look like a good hour. Not the engagement rate: the hour decides how many see a post, and a rate divides that out.
Model: a Gaussian process over the 168 hours of a local week. Effects of the hour (smooth around the clock), of the
weekday and of the single cell are shrunk toward the account's mean; how much each may vary is averaged over a grid by
its evidence (empirical Bayes as in Gelman & Hill 2007, ch. 12, with the grid in place of a point). The prior is flat:
the shipped scorer's hours are UTC hours of other authors. Knows no database and no pictures.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import product
from typing import Final, Literal
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
from numpy.typing import NDArray

from pipelines.outcomes.posts import StoredPost
from pipelines.records import Language

SETTLED: Final = timedelta(hours=24)
WINDOW: Final = timedelta(days=14)
MIN_NEIGHBORS: Final = 30
MIN_POSTS: Final = 25
MAX_POSTS: Final = 10_000
MIN_POSTS_A_CELL: Final = 2
MAX_BEST: Final = 5
HOURS, WEEKDAYS = 24, 7
CELLS: Final = HOURS * WEEKDAYS
# Below .05: ranks of neighbors are not quite free of each other, and accounts ask more than once.
ALPHA: Final = 0.03
# Of a normal distribution: 80 % lie within.
Z80: Final = 1.2815515655446004
FLIPS: Final = 499
MIN_WEEKS: Final = 8
DRAWS: Final = 400
# Variance of an effect as a multiple of the variance between posts of one cell; the first of the grid is no effect.
VARIANCES: Final = (0.0, 0.03, 0.2)
SHARED_VARIANCES: Final = (0.0, 0.1, 0.6)
LEAST_WEIGHT: Final = 1e-4
P_NO_EFFECT: Final = 0.1
# So wide that the data alone say where the account's mean is.
MEAN_VARIANCE: Final = 10.0
HOURS_ALIKE: Final = 1.5
# Names of zones that are none: what this machine is set to, and "not set yet".
NO_ZONES: Final = frozenset({"localtime", "Factory"})
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class UnknownTimeZone(ValueError):
    """No time zone of the IANA database has this name."""


@dataclass(frozen=True, slots=True)
class ShareOfVariance:
    """A value and the 80 % interval of its posterior."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One local hour of the week: `weekday` as in ISO 8601 (1 is Monday), `hour` 0 to 23, `posts` that were made in it.

    `expected` is the percentile in [0, 1] that a post made then reaches among the account's own, `low` and `high` its
    80 % interval. `greyed` cells have too few posts to speak for themselves: what they say is what others say.
    """

    weekday: int
    hour: int
    posts: int
    expected: float
    low: float
    high: float
    greyed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BestTimes:
    """What an account's posts say of the hours of the week, in `time_zone`.

    `share` in [0, 1] is the part of the variance of outcomes that the time of posting explains, None where unsupported;
    `p_value` is the chance of signs as strong where time does not matter. `evidence` holds where that is at most .03
    and the interval of the share leaves out 0. `best` are up to five cells, best first, that are not greyed and whose
    interval lies above the account's mean; none without evidence. `cells` are 168, Monday 0:00 first, or none.
    """

    supported: bool
    time_zone: str
    posts: int
    since: datetime | None = None
    until: datetime | None = None
    outcome: Literal["percentile_of_engagement"] = "percentile_of_engagement"
    prior: Literal["flat"] = "flat"
    evidence: bool = False
    p_value: float | None = None
    share: ShareOfVariance | None = None
    best: tuple[Cell, ...] = ()
    cells: tuple[Cell, ...] = ()


NOTES: Final[dict[Language, dict[str, str]]] = {
    "en": {
        "few": "Too few posts: {needed} with a known outcome are needed, {posts} are there. No map is made up.",
        "none": "There is no evidence that time matters for this account: post when it suits you.",
        "some": "Time explains {share} of how well the posts did (80 % interval {low} to {high}).",
    },
    "es": {
        "few": "Muy pocas publicaciones: faltan resultados, hacen falta {needed} y hay {posts}. No se inventa un mapa.",
        "none": "Nada indica que la hora importe en esta cuenta: publica cuando te convenga.",
        "some": "La hora explica el {share} de lo bien que fueron las publicaciones (80 %: de {low} a {high}).",
    },
}


def note(found: BestTimes, language: Language) -> str:
    """Return in a sentence what a heat map shows, or why there is none."""
    words = NOTES[language]
    if not found.supported or found.share is None:
        return words["few"].format(needed=MIN_POSTS, posts=found.posts)
    share, low, high = (percent(part) for part in (found.share.value, found.share.low, found.share.high))
    return words["some" if found.evidence else "none"].format(share=share, low=low, high=high)


def percent(share: float) -> str:
    """Return .183 as 18 %."""
    return f"{share * 100:.0f} %"


def time_zone(name: str) -> ZoneInfo:
    """Return a time zone of the IANA database.

    Raises:
        UnknownTimeZone: there is none of this name.
    """
    if name not in _zones():
        raise UnknownTimeZone("no time zone of the IANA database has this name")
    return ZoneInfo(name)


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones()) - NO_ZONES


def cell_of(moment: datetime, zone: ZoneInfo) -> int:
    """Return the place of a moment in the local week, 0 (Monday 0:00) to 167.

    From the instant: an hour that clocks show twice is one cell, one that they skip gets no post.
    """
    local = moment.astimezone(zone)
    return local.weekday() * HOURS + local.hour


def best_times(posts: Iterable[StoredPost], zone: ZoneInfo, *, flips: int = FLIPS) -> BestTimes:
    """Return what up to MAX_POSTS posts say of the local week; the same at each call.

    Posts count that are no replies or reposts, have a known engagement, and were at least 24 h old when it was read.
    """
    counted = sorted(
        (one for one in posts if one.kind == "post" and one.captured_at - one.posted_at >= SETTLED),
        key=lambda one: (one.posted_at, one.post_id),
    )
    known = [(one.posted_at, one.engagement) for one in counted if one.engagement is not None][-MAX_POSTS:]
    if len(known) < MIN_POSTS:
        return BestTimes(supported=False, time_zone=zone.key, posts=len(known))
    moments, engagements = [moment for moment, _ in known], np.array([count for _, count in known], np.float64)
    outcomes = percentiles(np.array([moment.timestamp() for moment in moments]), engagements)
    local = [moment.astimezone(zone) for moment in moments]
    cells = np.array([moment.weekday() * HOURS + moment.hour for moment in local])
    days = np.array([moment.toordinal() for moment in local])
    fitted = fit(cells, days, outcomes, flips=flips)
    counts = np.bincount(cells, minlength=CELLS)
    shown = tuple(
        Cell(
            weekday=cell // HOURS + 1,
            hour=cell % HOURS,
            posts=int(counts[cell]),
            expected=float(fitted.expected[cell]),
            low=float(max(fitted.expected[cell] - Z80 * fitted.deviation[cell], 0.0)),
            high=float(min(fitted.expected[cell] + Z80 * fitted.deviation[cell], 1.0)),
            greyed=bool(counts[cell] < MIN_POSTS_A_CELL),
        )
        for cell in range(CELLS)
    )
    evidence = fitted.p_value <= ALPHA and fitted.share.low > 0
    above = [cell for cell in shown if evidence and not cell.greyed and cell.low > outcomes.mean()]
    return BestTimes(
        supported=True,
        time_zone=zone.key,
        posts=len(known),
        since=moments[0],
        until=moments[-1],
        evidence=evidence,
        p_value=fitted.p_value,
        share=fitted.share,
        best=tuple(sorted(above, key=lambda cell: (-cell.low, cell.weekday, cell.hour))[:MAX_BEST]),
        cells=shown,
    )


def percentiles(seconds: Floats, engagements: Floats) -> Floats:
    """Return the mid-rank of each post, (0, 1), among the other posts within WINDOW on either side; both (posts,).

    `seconds` ascend. Where fewer than MIN_NEIGHBORS posts lie in the window it reaches on to the nearest ones.
    """
    n = len(seconds)
    start = np.searchsorted(seconds, seconds - WINDOW.total_seconds(), "left")
    end = np.searchsorted(seconds, seconds + WINDOW.total_seconds(), "right")
    ranks = np.empty(n)
    for row in range(n):
        low, high = int(start[row]), int(end[row])
        while high - low <= MIN_NEIGHBORS and high - low < n:
            before = seconds[row] - seconds[low - 1] if low else math.inf
            after = seconds[high] - seconds[row] if high < n else math.inf
            low, high = (low - 1, high) if before <= after else (low, high + 1)
        near, own = engagements[low:high], engagements[row]
        below, equal = np.count_nonzero(near < own), np.count_nonzero(near == own)
        ranks[row] = (below + equal / 2) / (high - low)
    return ranks


@dataclass(frozen=True, slots=True)
class Fit:
    """The expected percentile of each cell and its standard deviation, both (CELLS,), and what time explains."""

    expected: Floats
    deviation: Floats
    share: ShareOfVariance
    p_value: float


def fit(cells: Integers, days: Integers, outcomes: Floats, *, flips: int = FLIPS) -> Fit:
    """Return the fit to posts with a cell, a local day (ordinal) and an outcome in [0, 1]; all (posts,).

    Posts of one local hour of one day are one observation, their mean: threads and bursts share their luck. So do the
    posts of a week, or of a day where there are few weeks: an effect of its own takes what they share.
    """
    hours, place, size = np.unique(days * CELLS + cells, return_inverse=True, return_counts=True)
    observed = np.bincount(place, outcomes) / size - 0.5
    day = hours // CELLS
    # Ordinal 1 is a Monday.
    group = (day - 1) // WEEKDAYS
    if len(np.unique(group)) < MIN_WEEKS:
        group = day
    _, group = np.unique(group, return_inverse=True)
    seen, column = np.unique(hours % CELLS, return_inverse=True)
    table = _Table(seen, *(_by_group(group, column, len(seen), values) for values in (observed, np.ones(len(hours)))))

    scores = [_score(table, shared, float(observed @ observed)) for shared in SHARED_VARIANCES]
    told, variances = (np.concatenate([getattr(one, name)[:, 0] for one in scores]) for name in ("told", "variance"))
    weights = np.exp(told - told.max()) * np.tile(_prior_weights(), len(scores))
    weights /= weights.sum()
    means, spreads, drawn = np.zeros(CELLS), np.zeros(CELLS), [np.zeros(0)]
    rng = np.random.default_rng(0)
    draws = rng.multinomial(DRAWS, weights)
    of_posts = np.bincount(cells, minlength=CELLS)[seen] / len(cells)
    for point in np.flatnonzero((weights > LEAST_WEIGHT) | (draws > 0)).tolist():
        score, effect = scores[point // len(_priors())], point % len(_priors())
        prior = _priors()[effect]
        gain = prior[:, seen] @ score.inverses[effect]
        mean = gain @ score.sums[:, 0]
        covariance = (prior - gain @ score.precision @ prior[seen]) * variances[point]
        means += weights[point] * mean
        spreads += weights[point] * (np.diag(covariance) + mean**2)
        effects = rng.multivariate_normal(mean[seen], covariance[np.ix_(seen, seen)], draws[point], method="eigh")
        explained = (effects**2) @ of_posts - (effects @ of_posts) ** 2
        # Without an effect only rounding is left of the mean's wide prior.
        drawn.append(explained / (explained + variances[point]) if effect else np.zeros(draws[point]))
    shares = np.concatenate(drawn)
    low, high = np.quantile(shares, (0.1, 0.9))
    kept = weights[(weights > LEAST_WEIGHT) | (draws > 0)].sum()
    expected = means / kept
    deviation = np.sqrt(np.maximum(spreads / kept - expected**2, 0.0))
    share = ShareOfVariance(float(shares.mean()), float(low), float(high))
    return Fit(np.clip(expected + 0.5, 0.0, 1.0), deviation, share, _p_value(table, observed, flips))


def _p_value(table: _Table, observed: Floats, flips: int) -> float:
    """Return the p-value of the Bayes factor for any effect of time, by flips of the signs of whole groups.

    Percentiles lie about .5 alike on both sides, so that without an effect a week was as likely upside down. What the
    posts of a group share, a wave of luck or a phase of habits, stays together (Winkler et al. 2014, NeuroImage 92,
    whole-block exchangeability).
    """
    signs = np.random.default_rng(0).choice((-1.0, 1.0), (flips + 1, len(table.sums)))
    signs[0] = 1.0
    told = np.stack([_score(table, shared, float(observed @ observed), signs).told for shared in SHARED_VARIANCES])
    none = np.logaddexp.reduce(told[:, 0], axis=0)
    some = np.logaddexp.reduce(told[:, 1:].reshape(-1, flips + 1), axis=0)
    # What ties with the observed order counts, whatever rounding does.
    return float(np.count_nonzero(some - none >= some[0] - none[0] - 1e-9)) / (flips + 1)


@dataclass(frozen=True, slots=True)
class _Table:
    """The cells with a post (seen,), and the sums and counts of observations by group and cell, (groups, seen)."""

    seen: Integers
    sums: Floats
    counts: Floats


@dataclass(frozen=True, slots=True)
class _Score:
    """What outcomes say at one variance of what groups share, at each point of the grid of effects.

    Log evidence and variance between posts (grid, columns), weighted sums (seen, columns), their precision (seen, seen)
    and the inverses of I + precision @ prior.
    """

    told: Floats
    variance: Floats
    sums: Floats
    precision: Floats
    inverses: list[Floats]


def _by_group(group: Integers, column: Integers, columns: int, values: Floats) -> Floats:
    groups = int(group.max()) + 1
    sums: Floats = np.bincount(group * columns + column, values, groups * columns).astype(np.float64)
    return sums.reshape(groups, columns)


def _score(table: _Table, shared: float, total: float, signs: Floats | None = None) -> _Score:
    """Return the score of the observed outcomes, or of them with the `signs` (columns, groups) of groups.

    With Z the cells and B the groups, outcomes have the covariance I + Z prior Z' + shared B B', times a variance that
    is integrated out under Jeffreys' prior; M is the inverse of I + shared B B'.
    """
    size = table.counts.sum(1)
    taken = shared / (1 + shared * size)
    of_group = table.sums.sum(1)
    by_group = table.sums - table.counts * (taken * of_group)[:, None]
    sums = by_group.sum(0)[:, None] if signs is None else (signs @ by_group).T
    precision = np.diag(table.counts.sum(0)) - table.counts.T @ (table.counts * taken[:, None])
    # Signs of groups change nothing about it.
    squares = total - float(taken @ of_group**2)
    constant = -0.5 * float(np.log1p(shared * size).sum())
    told, variance, inverses = [], [], []
    for prior in _priors():
        known = prior[np.ix_(table.seen, table.seen)]
        matrix = np.eye(len(table.seen)) + precision @ known
        inverse = np.linalg.inv(matrix)
        form = np.maximum(squares - np.einsum("ij,ij->j", sums, known @ inverse @ sums), 1e-9)
        told.append(constant - 0.5 * np.linalg.slogdet(matrix)[1] - 0.5 * size.sum() * np.log(form))
        variance.append(form / size.sum())
        inverses.append(inverse)
    return _Score(np.array(told), np.array(variance), sums, precision, inverses)


@lru_cache(maxsize=1)
def _priors() -> Sequence[Floats]:
    """Return the prior covariance of the cells at each point of the grid, in units of the variance between posts."""
    hour, weekday = np.arange(CELLS) % HOURS, np.arange(CELLS) // HOURS
    angle = 2 * np.pi * (hour[:, None] - hour[None, :]) / HOURS
    # The periodic kernel of MacKay 1998: hours that lie HOURS_ALIKE apart have a correlation of about .6.
    smooth = np.exp((np.cos(angle) - 1) / (2 * np.pi * HOURS_ALIKE / HOURS) ** 2)
    same = (weekday[:, None] == weekday[None, :]).astype(np.float64)
    alike = (smooth + (hour[:, None] == hour[None, :])) / 2
    return [
        MEAN_VARIANCE + of_hour * smooth + of_weekday * same + of_cell * alike * same
        for of_hour, of_weekday, of_cell in product(VARIANCES, repeat=3)
    ]


@lru_cache(maxsize=1)
def _prior_weights() -> Floats:
    others = len(VARIANCES) ** 3 - 1
    return np.array([P_NO_EFFECT] + [(1 - P_NO_EFFECT) / others] * others)
