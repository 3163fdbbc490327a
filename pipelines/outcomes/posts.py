"""The records of outcomes: a post of the account's own and its counts at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

Source = Literal["tweet_activity", "content", "archive", "x_api"]
DaySource = Literal["overview", "video"]
Kind = Literal["post", "reply", "repost"]
SOURCES: tuple[Source, ...] = get_args(Source)
# Of X's ids, which tell the millisecond from November 2010 on:
# https://github.com/twitter-archive/snowflake/tree/snowflake-2010
SNOWFLAKE_EPOCH_MS = 1_288_834_974_657
FIRST_SNOWFLAKE = 29_700_000_000
MAX_ID = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What X counts of a post; None is unknown, never zero. `clicks` are those on links.

    `engagements` are X's own sum of all that readers did; an archive does not tell it.
    """

    impressions: int | None = None
    engagements: int | None = None
    clicks: int | None = None
    retweets: int | None = None
    likes: int | None = None
    replies: int | None = None
    quotes: int | None = None
    bookmarks: int | None = None
    shares: int | None = None
    follows: int | None = None
    profile_clicks: int | None = None
    hashtag_clicks: int | None = None
    detail_expands: int | None = None
    permalink_clicks: int | None = None
    app_opens: int | None = None
    app_installs: int | None = None
    email_posts: int | None = None
    dial_phone: int | None = None
    media_views: int | None = None
    media_engagements: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PostReading(Counts):
    """One post and its counts; `text` None is unknown, `promoted` the counts of what was paid for, by column."""

    post_id: str
    posted_at: datetime
    text: str | None = None
    promoted: dict[str, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPost(Counts):
    """A post of the account with each count by the latest reading that knows it; `captured_at` is that of the last one.

    `source` is that of the latest reading, None where an experiment told it; `template_id` is what wrote the post, if
    told. Replies begin with a mention, reposts with "RT @". `together` are the counts of one reading where there are
    several: of the latest that knows impressions and engagements, else impressions, else of the latest.
    """

    post_id: str
    posted_at: datetime
    text: str | None
    kind: Kind
    source: Source | None
    captured_at: datetime
    template_id: int | None = None
    together: Counts | None = None

    @property
    def engagement(self) -> int | None:
        """Likes plus retweets, as everywhere here; None where either is unknown."""
        return None if self.likes is None or self.retweets is None else self.likes + self.retweets

    @property
    def rated(self) -> Counts:
        """The counts that rates are of: all of one reading, as the impressions of another moment are no denominator."""
        return self.together or self


def moment_of_id(post_id: str) -> datetime | None:
    """Return when a post was made by its id, to the millisecond; None for ids from before November 2010 and others."""
    if not (post_id.isascii() and post_id.isdecimal()) or not FIRST_SNOWFLAKE <= int(post_id) <= MAX_ID:
        return None
    milliseconds = (int(post_id) >> 22) + SNOWFLAKE_EPOCH_MS
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
