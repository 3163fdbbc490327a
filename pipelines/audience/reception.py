"""How a set of posts was received: its mean percentile, what readers did, and which formats paid off in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from pipelines.outcomes.posts import StoredPost
from pipelines.outcomes.rates import RatioSums
from pipelines.viral_predictor.own_record import percentiles

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Action = Literal["likes", "retweets", "replies", "clicks"]
Format = Literal["link", "question", "hashtag", "mention", "emoji", "media", "long"]
ACTIONS: Final[tuple[Action, ...]] = ("likes", "retweets", "replies", "clicks")
FORMATS: Final[tuple[Format, ...]] = ("link", "question", "hashtag", "mention", "emoji", "media", "long")
# A post is measured against the posts around it: an account that grew has its best posts last, whatever they say.
NEIGHBOURS: Final = 50
# A segment is expected to do as the account does until it shows otherwise: so many posts of the account's mean. With
# percentiles (standard deviation 29) it says that segments differ by 9 points.
PRIOR_POSTS: Final = 10
# So few posts with or without a trait show no difference.
MIN_EACH: Final = 5


@dataclass(frozen=True, kw_only=True)
class Behavior:
    """How readers answered `n` posts whose count is known: `mean` a post, `rate` per impression with its interval.

    `account_rate` is that of all posts that were read. None where impressions are unknown.
    """

    action: Action
    n: int
    mean: float
    rate: float | None
    interval: tuple[float, float] | None
    account_rate: float | None


@dataclass(frozen=True, kw_only=True)
class Preference:
    """Mean percentile of the `n_with` posts of a segment with a format less that of the `n_without`, in points.

    The interval holds at 95 % for all formats of a segment together (Bonferroni). Both are None where one side has
    fewer than 5 posts; `known` is false where the posts do not tell whether they have it.
    """

    feature: Format
    difference: float | None
    interval: tuple[float, float] | None
    n_with: int
    n_without: int
    known: bool = True


@dataclass(frozen=True, kw_only=True)
class Reception:
    """Mean percentile of a segment's posts among those around them, 0 to 100, drawn towards the account's mean.

    `interval` holds at 95 %; `raw` is the mean before, `account` the mean of all posts.
    """

    percentile: float
    interval: tuple[float, float]
    raw: float
    account: float


def outcome_percentiles(engagement: Sequence[int]) -> Floats:
    """Return the mid-rank percentile of each post, oldest first, among its NEIGHBOURS before and after, 0 to 100."""
    values = np.asarray(engagement, np.float64)
    width = min(2 * NEIGHBOURS + 1, len(values))
    starts = np.clip(np.arange(len(values)) - NEIGHBOURS, 0, len(values) - width)
    found = [percentiles(values[[place]], values[start : start + width])[0] for place, start in enumerate(starts)]
    return 100.0 * np.array(found)


def preferences_of(
    known: dict[Format, Bools], achieved: Floats, inside: Bools
) -> tuple[tuple[Preference, ...], tuple[Preference, ...]]:
    """Return the formats with evidence for or against them in a segment, and those without."""
    rows = [_preference(name, known[name][inside], achieved[inside], bool(known[name].any())) for name in FORMATS]
    stated = [row for row in rows if row.interval and (row.interval[0] > 0 or row.interval[1] < 0)]
    stated.sort(key=lambda row: -abs(row.difference or 0.0))
    return tuple(stated), tuple(row for row in rows if row not in stated)


def _preference(name: Format, has: Bools, achieved: Floats, ever: bool) -> Preference:
    with_it, without = achieved[has], achieved[~has]
    sizes = {"n_with": len(with_it), "n_without": len(without)}
    # An export does not say which posts had pictures; where some show it, all do.
    known = name != "media" or ever
    if min(sizes.values()) < MIN_EACH:
        return Preference(feature=name, difference=None, interval=None, **sizes, known=known)
    a, b = with_it.var(ddof=1) / len(with_it), without.var(ddof=1) / len(without)
    gap = float(with_it.mean() - without.mean())
    if a + b <= 0:
        return Preference(feature=name, difference=gap, interval=None, **sizes, known=known)
    degrees = (a + b) ** 2 / (a**2 / (len(with_it) - 1) + b**2 / (len(without) - 1))
    reach = float(t.ppf(1 - 0.025 / len(FORMATS), degrees) * math.sqrt(a + b))
    return Preference(feature=name, difference=gap, interval=(gap - reach, gap + reach), **sizes, known=known)


def spread_within(achieved: Floats, labels: NDArray[np.int64]) -> float:
    """Return the standard deviation within segments."""
    groups = [achieved[labels == label] for label in np.unique(labels)]
    squares = math.fsum(float(((group - group.mean()) ** 2).sum()) for group in groups)
    return math.sqrt(squares / max(len(achieved) - len(groups), 1))


def outcome_of(achieved: Floats, account: float, spread: float) -> Reception:
    """Draw the mean of a segment towards the account's: the posterior of a normal prior worth PRIOR_POSTS posts."""
    n, raw = len(achieved), float(achieved.mean())
    mean = (n * raw + PRIOR_POSTS * account) / (n + PRIOR_POSTS)
    reach = 1.959964 * spread / math.sqrt(n + PRIOR_POSTS)
    return Reception(
        percentile=mean, interval=(max(mean - reach, 0.0), min(mean + reach, 100.0)), raw=raw, account=account
    )


def behavior_of(posts: Sequence[StoredPost], inside: Bools) -> tuple[Behavior, ...]:
    """Return what readers did with the posts inside, as far as it is known of any."""
    own = [post for post, chosen in zip(posts, inside, strict=True) if chosen]
    rows = []
    for action in ACTIONS:
        counts = [count for post in own if (count := getattr(post, action)) is not None]
        if counts:
            sums = _sums(own, action)
            rows.append(
                Behavior(
                    action=action,
                    n=len(counts),
                    mean=math.fsum(counts) / len(counts),
                    rate=sums.rate,
                    interval=sums.interval(),
                    account_rate=_sums(posts, action).rate,
                )
            )
    return tuple(rows)


def _sums(posts: Sequence[StoredPost], action: Action) -> RatioSums:
    return RatioSums.of(
        (told.impressions, count)
        for told in (post.rated for post in posts)
        if told.impressions and (count := getattr(told, action)) is not None
    )
