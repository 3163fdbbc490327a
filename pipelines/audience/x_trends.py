"""What trends on X at a place: what X's answer says, and what is told of it. Nothing is inferred from a name."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

ASK_EVERY: Final = timedelta(days=1)
TOLD_FOR: Final = timedelta(days=2)
# X takes 50 at most and asks its price for each one that it returns.
TRENDS_A_DAY: Final = 10
MAX_NAME: Final = 120
MAX_POSTS: Final = 2**63 - 1
# Controls, lone surrogates, ends of lines and paragraphs; and what turns the direction of the text around a name.
REMOVED: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
TURNING: Final = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


@dataclass(frozen=True, kw_only=True)
class XTrend:
    """A trend, and in how many posts X counted it; None where X does not say."""

    name: str
    posts: int | None


@dataclass(frozen=True, kw_only=True)
class XTrendPage:
    """An answer of X: its trends, and how many rows it charges for."""

    trends: tuple[XTrend, ...]
    returned: int


@dataclass(frozen=True, kw_only=True)
class XTrendReading:
    """The trends of the place `woeid` as of `read_at`; `problem` is what was in the way at `asked_at`, if anything."""

    woeid: int
    asked_at: datetime
    read_at: datetime | None = None
    problem: str | None = None
    trends: tuple[XTrend, ...] = ()


@dataclass(frozen=True, kw_only=True)
class XTrends:
    """What trends on X at the place `woeid`, in X's own words and order; not `supported`: `note` says why."""

    supported: bool
    woeid: int | None = None
    read_at: datetime | None = None
    trends: tuple[XTrend, ...] = ()
    note: str | None = None


def read_trend_page(answer: object) -> XTrendPage:
    """Read an answer of `GET /2/trends/by/woeid/{woeid}`; a row without a name is left out.

    https://docs.x.com/x-api/trends/trends-by-woeid/introduction

    Raises:
        ValueError: not of the documented shape.
    """
    rows = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        raise ValueError("data is no list")  # noqa: TRY004  # an answer of X, no argument of ours
    trends = []
    for row in rows:
        name, posts = (row.get("trend_name"), row.get("tweet_count")) if isinstance(row, dict) else (None, None)
        shown = _name(name) if isinstance(name, str) else ""
        if shown:
            counted = type(posts) is int and 0 <= posts <= MAX_POSTS
            trends.append(XTrend(name=shown, posts=posts if counted else None))
    return XTrendPage(trends=tuple(trends), returned=len(rows))


def tell_x_trends(stored: XTrendReading | None, now: datetime, *, off: str | None) -> XTrends:
    """Tell the stored trends for two days; `off` is why X is not asked, None where it is."""
    if stored and stored.read_at and now - stored.read_at <= TOLD_FOR:
        return XTrends(supported=True, woeid=stored.woeid, read_at=stored.read_at, trends=stored.trends)
    note = off
    if note is None and stored is None:
        note = "X was not asked for its trends yet."
    elif note is None and stored and stored.problem:
        note = f"The trends of X could not be read: {stored.problem}."
    return XTrends(supported=False, note=note or "The trends of X that were read last are older than two days.")


def _name(name: str) -> str:
    kept = (one for one in name if unicodedata.category(one) not in REMOVED)
    return "".join(one for one in kept if unicodedata.bidirectional(one) not in TURNING).strip()[:MAX_NAME].strip()
