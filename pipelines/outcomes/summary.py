"""An account's own posts in a few figures: how many, what the middle one achieved, rates, and what each day brought."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median
from typing import Final, Literal
from zoneinfo import ZoneInfo

from scipy.stats import binom

from pipelines.outcomes.posts import StoredPost
from pipelines.outcomes.rates import RatioSums

RateOf = Literal["engagements", "likes", "retweets", "replies", "clicks", "profile_clicks", "bookmarks"]
RATES: Final[tuple[RateOf, ...]] = (
    *("engagements", "likes", "retweets", "replies", "clicks"),
    *("profile_clicks", "bookmarks"),
)
ALPHA: Final = 0.05
SPAN: Final = timedelta(days=366)


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How often an impression of `n` posts led to an action, with the 95 % interval over posts; None below two."""

    action: RateOf
    n: int
    rate: float
    interval: tuple[float, float] | None


@dataclass(frozen=True, kw_only=True)
class DayOfPosts:
    """The posts of one day of the account's clocks; sums of what is known, None where nothing is."""

    day: date
    posts: int
    engagement: int | None
    impressions: int | None


@dataclass(frozen=True, kw_only=True)
class Summary:
    """An account's newest own posts, no replies or reposts, with what is known of each.

    `median_engagement` is that of likes plus retweets over the `n_known` posts of which both are known, with its 95 %
    interval by order statistics, None below six posts. `days` are those with a post of the year up to the last one,
    the oldest first.
    """

    posts: int
    first_posted_at: datetime | None
    last_posted_at: datetime | None
    n_known: int
    median_engagement: float | None
    median_interval: tuple[int, int] | None
    rates: tuple[Rate, ...]
    time_zone: str
    days: tuple[DayOfPosts, ...]


def summary(posts: Sequence[StoredPost], zone: ZoneInfo) -> Summary:
    """Sum up posts in any order; days are those of clocks in `zone`."""
    moments = [post.posted_at for post in posts]
    known = sorted(post.engagement for post in posts if post.engagement is not None)
    return Summary(
        posts=len(posts),
        first_posted_at=min(moments, default=None),
        last_posted_at=max(moments, default=None),
        n_known=len(known),
        median_engagement=float(median(known)) if known else None,
        median_interval=_interval_of_median(known),
        rates=tuple(rate for action in RATES if (rate := _rate(posts, action)) is not None),
        time_zone=zone.key,
        days=_days(posts, zone),
    )


def _interval_of_median(ordered: Sequence[int]) -> tuple[int, int] | None:
    """The narrowest pair of order statistics around the median that holds it in 95 % (Conover 1999, section 3.2)."""
    below = int(binom.ppf(ALPHA / 2, len(ordered), 0.5)) if ordered else 0
    # Of fewer than six values the lowest and the highest hold less.
    return (ordered[below - 1], ordered[len(ordered) - below]) if below > 0 else None


def _rate(posts: Sequence[StoredPost], action: RateOf) -> Rate | None:
    pairs = [
        (told.impressions, count)
        for told in (post.rated for post in posts)
        if told.impressions and (count := getattr(told, action)) is not None and count <= told.impressions
    ]
    sums = RatioSums.of(pairs)
    return None if sums.rate is None else Rate(action=action, n=len(pairs), rate=sums.rate, interval=sums.interval())


def _days(posts: Sequence[StoredPost], zone: ZoneInfo) -> tuple[DayOfPosts, ...]:
    by_day: defaultdict[date, list[StoredPost]] = defaultdict(list)
    for post in posts:
        by_day[post.posted_at.astimezone(zone).date()].append(post)
    return tuple(
        DayOfPosts(
            day=day,
            posts=len(by_day[day]),
            engagement=_sum([post.engagement for post in by_day[day]]),
            impressions=_sum([post.impressions for post in by_day[day]]),
        )
        for day in sorted(by_day)
        if day > max(by_day) - SPAN
    )


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
