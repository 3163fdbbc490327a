"""What the collector reads of X, when and for how much, and what X's answers say.

Pure functions of rows, answers and a moment; knows no clock, no network and no database. Money is in millionths of a
USD, as whole numbers.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from pipelines.outcomes.posts import MAX_ID, SNOWFLAKE_EPOCH_MS, PostReading, moment_of_id

# X tells clicks and engagements of posts younger than 30 days; a little less, so that a post does not age on the way.
# https://docs.x.com/x-api/fundamentals/metrics
PRIVATE_FOR = timedelta(days=29, hours=23)
# X's rule is 24 hours; what is left is for a run that fails and the ones after it.
SEEN_EVERY = timedelta(hours=22)
SEEN_WITHIN = timedelta(hours=24)
BATCH = 100  # ids of a look-up, posts of a page
LEAST_PAGE = 5  # fewer X does not send
NEWEST_POSTS = 3200  # further back an account's timeline does not reach
MAX_TEXT = 25_000
MAX_COUNT = 2**63 - 1
FIRST_TWEET = datetime(2006, 3, 21, tzinfo=UTC)
AHEAD = timedelta(days=1)
SPAN = timedelta(days=5)
FIRST_SNOWFLAKE_AT = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=SNOWFLAKE_EPOCH_MS)
USD = 1_000_000
PUBLIC_FIELDS = ("created_at", "note_tweet", "public_metrics")
PRIVATE_FIELDS = (*PUBLIC_FIELDS, "non_public_metrics", "organic_metrics")
PUBLIC_COUNTS = {
    "impressions": "impression_count",
    "likes": "like_count",
    "retweets": "retweet_count",
    "replies": "reply_count",
    "quotes": "quote_count",
    "bookmarks": "bookmark_count",
}
PRIVATE_COUNTS = {"engagements": "engagements", "clicks": "url_link_clicks", "profile_clicks": "user_profile_clicks"}
# What X counts apart where a post was also paid for.
ORGANIC_COUNTS = ("impressions", "likes", "retweets", "replies")


@dataclass(frozen=True, slots=True)
class CollectedPost:
    """A post that came by the API: when its counts were last read, and when X last returned it."""

    post_id: str
    posted_at: datetime
    read_at: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A reading that is due. `missed` are the ages (hours) whose own reading can no longer be taken."""

    post_id: str
    age_h: int
    due_at: datetime
    missed: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Which posts X is asked for: the timeline after the id `since`, then the `wanted` ones that it did not bring.

    `cost` is what the known posts among them cost at most; posts that are new come on top.
    """

    since: int
    wanted: tuple[str, ...]
    cost: int


@dataclass(frozen=True, slots=True)
class Span:
    """The posts after the id `since` up to `last`, where there is one; `private` says which counts are asked for."""

    since: int
    last: int | None
    private: bool


@dataclass(frozen=True, slots=True)
class Prices:
    """What X asks for a post that it returns: on the account's own timeline, and looked up by its id."""

    timeline: int
    lookup: int


@dataclass(frozen=True, slots=True)
class Page:
    """One answer: readings, reasons why posts were left out, ids that are gone, and the token of the next page.

    `shown` are the ids of the posts that X returned, `returned` is how many it charges for.
    """

    readings: tuple[PostReading, ...]
    rejected: tuple[str, ...]
    gone: tuple[str, ...]
    shown: frozenset[str]
    returned: int
    next_token: str | None


@cache
def price_list() -> Mapping[str, Any]:
    """The dated price list: source, as_of and microusd by name."""
    listed: dict[str, Any] = json.loads(Path(__file__).with_name("x_prices.json").read_text(encoding="utf-8"))
    return listed


def prices(*, owned: bool) -> Prices:
    """Return what reading costs.

    Only an account's own timeline is cheaper, and only where the account owns the app that asks for it ("Owned Reads");
    a look-up by id never is.
    """
    listed = price_list()["microusd"]
    return Prices(listed["owned_read"] if owned else listed["post_read"], listed["post_read"])


def due_snapshots(posts: Iterable[CollectedPost], ages_h: Sequence[int], now: datetime) -> tuple[Snapshot, ...]:
    """Return which readings are due by `now`, at the rising `ages_h` (hours after posting).

    A post has one due reading at most: that of the last age that it reached without one. Earlier ones that were missed
    are not made up for one by one; they are named.
    """
    snapshots = []
    for post in posts:
        if post.read_at - post.posted_at >= timedelta(hours=ages_h[-1]):
            continue
        moments = [(age, post.posted_at + timedelta(hours=age)) for age in ages_h]
        open_ = [(age, moment) for age, moment in moments if post.read_at < moment <= now]
        if open_:
            age, moment = open_[-1]
            snapshots.append(Snapshot(post.post_id, age, moment, tuple(age for age, _ in open_[:-1])))
    return tuple(snapshots)


def is_late(snapshot: Snapshot, taken_at: datetime) -> bool:
    """Whether a reading was taken so late that its age is another: by more than a tenth of it, and 20 minutes."""
    allowed = max(timedelta(minutes=20), timedelta(hours=snapshot.age_h) / 10)
    return taken_at - snapshot.due_at > allowed


def next_due(posts: Iterable[CollectedPost], ages_h: Sequence[int]) -> datetime | None:
    """Return when the next reading is due; in the past where one is due already, None where no post has one left."""
    moments = ((post, post.posted_at + timedelta(hours=age)) for post in posts for age in ages_h)
    return min((moment for post, moment in moments if moment > post.read_at), default=None)


def unseen(posts: Iterable[CollectedPost], now: datetime, within: timedelta) -> tuple[CollectedPost, ...]:
    """Return the posts that X did not return `within` that time, those unseen for longest first."""
    return tuple(sorted((post for post in posts if now - post.seen_at >= within), key=lambda post: post.seen_at))


def make_plan(
    posts: Sequence[CollectedPost], snapshots: Iterable[Snapshot], newest: int, price: Prices, now: datetime
) -> Plan:
    """Return the cheapest way to read what is due, to see what was long unseen, and to find what is new.

    The timeline brings every post after an id, wanted or not, at its own price; a look-up only those asked for.
    `newest` is the id up to which all posts are known.
    """
    wanted = dict.fromkeys(post.post_id for post in unseen(posts, now, SEEN_EVERY))
    wanted |= dict.fromkeys(snapshot.post_id for snapshot in snapshots)
    ids = sorted(int(post.post_id) for post in posts)
    asked = sorted(int(post_id) for post_id in wanted)
    # Ids up to `newest` are known; those after it come with every plan.
    best = Plan(newest, tuple(wanted), len(asked) * price.lookup)
    for place, post_id in enumerate(asked):
        within = bisect_left(ids, newest + 1) - bisect_left(ids, post_id)
        if within > NEWEST_POSTS or post_id > newest:
            continue
        cost = within * price.timeline + place * price.lookup
        if cost < best.cost:
            best = Plan(post_id - 1, tuple(wanted), cost)
    return best


def timeline_spans(since: int, now: datetime, *, private: bool) -> list[Span]:
    """Divide the timeline after an id into spans from the oldest on, at most SPAN long; the last one has no end.

    X returns the newest posts first: a run that ends within a span has to read that one again, not all. With `private`
    a span has posts alone that still have private counts, or none of these.
    """
    border = id_at(now - PRIVATE_FOR)
    edges = set(range(since, id_at(now), id_at(FIRST_SNOWFLAKE_AT + SPAN))) | {since}
    if private and since < border:
        edges.add(border)
    starts = sorted(edges)
    return [
        Span(start, end, private and start >= border) for start, end in zip(starts, [*starts[1:], None], strict=True)
    ]


def estimate_month(posts: Sequence[CollectedPost], ages_h: Sequence[int], price: Prices, now: datetime) -> int:
    """Return what 30 days cost at most, where as much is posted as in the last 30.

    Each new post is found once and read at each age; each stored one is seen every day.
    """
    new = sum(now - post.posted_at < timedelta(days=30) for post in posts)
    near = min(len(posts), NEWEST_POSTS)
    daily = near * min(price.timeline, price.lookup) + (len(posts) - near) * price.lookup
    sights = timedelta(days=30) / SEEN_EVERY
    return new * (price.timeline + len(ages_h) * price.lookup) + int(sights * daily)


def id_at(moment: datetime) -> int:
    """Return the smallest id that a post of `moment` can have; for since_id and until_id. Not before November 2010."""
    milliseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    return max(0, milliseconds - SNOWFLAKE_EPOCH_MS) << 22


def last_id_of(moment: datetime) -> int:
    """Return the largest id that a post of that millisecond can have."""
    return id_at(moment + timedelta(milliseconds=1)) - 1


def read_answer(answer: object, asked: Collection[str], now: datetime) -> Page:
    """Read an answer of `GET /2/users/:id/tweets` or `GET /2/tweets`; `asked` are the ids of a look-up.

    A post that cannot be stored as it is costs its own row. Gone is only what X says is not found by an id that was
    asked for; what it merely does not show (withheld, not authorized) is not.

    Raises:
        ValueError: not of the documented shape.
    """
    if not isinstance(answer, dict):
        raise ValueError("no object")  # noqa: TRY004  # an answer of X, no argument of ours
    told: dict[str, Any] = {"data": [], "errors": [], "meta": {}}
    told |= {name: value for name, value in answer.items() if value is not None}
    rows, errors, meta = told["data"], told["errors"], told["meta"]
    if not isinstance(rows, list) or not isinstance(errors, list) or not isinstance(meta, dict):
        raise ValueError("data, errors or meta have another shape")  # noqa: TRY004
    token = meta.get("next_token")
    if token is not None and not (isinstance(token, str) and 0 < len(token) <= 512):
        raise ValueError("next_token is no token")
    readings: dict[str, PostReading] = {}
    rejected, shown = [], set()
    for row in rows:
        try:
            shown.add(_id(row.get("id") if isinstance(row, dict) else None))
            reading = reading_of(row, now)
        except ValueError as error:
            rejected.append(str(error))
        else:
            readings[reading.post_id] = reading
    gone = sorted({post_id for post_id in map(_not_found, errors) if post_id in asked} - shown)
    return Page(tuple(readings.values()), tuple(rejected), tuple(gone), frozenset(shown), len(rows), token)


def reading_of(row: object, now: datetime) -> PostReading:
    """Return a post as X tells it.

    `promoted` is the part of the counts that X does not call organic, where there is one.

    Raises:
        ValueError: it cannot be stored; the message names the field and repeats nothing of it.
    """
    if not isinstance(row, dict):
        raise ValueError("a post that is no object")  # noqa: TRY004
    post_id = _id(row.get("id"))
    posted_at = _moment(row.get("created_at"), post_id)
    if not FIRST_TWEET <= posted_at <= now + AHEAD:
        raise ValueError("created_at is not when a post can be")
    note = row.get("note_tweet")
    text = note.get("text") if isinstance(note, dict) else row.get("text")
    public, private, organic = (row.get(f"{kind}_metrics") for kind in ("public", "non_public", "organic"))
    if not isinstance(public, dict):
        raise ValueError("public_metrics are missing")  # noqa: TRY004
    counts = {name: _count(public, field) for name, field in PUBLIC_COUNTS.items()}
    if isinstance(private, dict):
        counts |= {name: _count(private, field) for name, field in PRIVATE_COUNTS.items()}
    return PostReading(
        post_id=post_id,
        posted_at=posted_at,
        text=_text(text),
        promoted=_promoted(counts, organic) if isinstance(organic, dict) else None,
        **counts,
    )


def _id(value: object) -> str:
    number = str(value) if isinstance(value, str) or type(value) is int else ""
    if not (number.isascii() and number.isdecimal() and len(number) <= 19 and 0 < int(number) <= MAX_ID):
        raise ValueError("id is no id")
    return str(int(number))


def _moment(value: object, post_id: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        moment = moment_of_id(post_id)
    if moment is None:
        raise ValueError("created_at is missing")
    return moment.astimezone(UTC)


def _text(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError("text is no text")  # noqa: TRY004
    # X escapes these three and nothing else.
    text = value.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    if "\x00" in text or (not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)):
        raise ValueError("text holds what no text can")
    if len(text) > MAX_TEXT:
        raise ValueError("text is longer than a post can be")
    return text


def _count(counts: Mapping[str, object], field: str) -> int | None:
    value = counts.get(field)
    if value is None:
        return None
    if type(value) is not int or not 0 <= value <= MAX_COUNT:
        raise ValueError(f"{field} is no count")
    return value


def _promoted(counts: Mapping[str, int | None], organic: Mapping[str, object]) -> dict[str, int] | None:
    paid = {}
    for name in ORGANIC_COUNTS:
        total, unpaid = counts[name], _count(organic, PUBLIC_COUNTS[name])
        if total is not None and unpaid is not None and total > unpaid:
            paid[name] = total - unpaid
    return paid or None


def _not_found(error: object) -> str:
    if not isinstance(error, dict) or not str(error.get("type", "")).endswith("/problems/resource-not-found"):
        return ""
    return str(error.get("resource_id") or error.get("value"))
