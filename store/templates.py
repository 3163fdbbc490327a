"""The rows of content_templates as an account sees them, and the readings that say what they achieved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from pipelines.outcomes.rates import RatioSums, difference
from pipelines.records import Intent, Language, Objective, Template, Tone
from store.table import Table

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

Origin = Literal["bundled", "own"]
Bucket = Literal["day", "week"]
# What RowRefused names when an account has another template of that language and name, archived or not.
UNIQUE_NAME = "content_templates_account_id_language_template_name_key"


@dataclass(frozen=True, kw_only=True)
class StoredTemplate:
    """One template of an account and what it achieved.

    `usage_count` posts have an outcome; `success_rate` in [0, 1] is the share of those with a known engagement rate
    that beat the account's median post, or the other variants of their test, `success_lower_bound` the lower end of
    its 95 % Wilson interval; both are None before any. `version` grows with every change of the content.
    """

    id: int
    name: str
    type: str
    language: Language
    objective: Objective | None
    tone: Tone | None
    intent: Intent | None
    content: str
    origin: Origin
    version: int
    usage_count: int
    success_rate: float | None
    success_lower_bound: float | None
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which templates to list: None is any; those with an id up to `after` and archived ones are left out."""

    after: int = 0
    language: Language | None = None
    objective: Objective | None = None
    tone: Tone | None = None
    intent: Intent | None = None
    origin: Origin | None = None
    archived: bool = False
    limit: int = 50


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The counts of one post at one moment; None is unknown. Engagement = likes + retweets where those are known.

    `template_id` is what wrote the post, where a template did; `viral_score` in [0, 100] what was predicted for it.
    `compared_rate` in [0, 1] is the rate of the other variants, where the "post" is a variant of a test or went out for
    one: that is what it must beat, and it says nothing of the account's median post.
    """

    account_id: str
    post_id: str
    template_id: int | None = None
    impressions: int | None
    engagements: int
    clicks: int | None = None
    retweets: int | None
    likes: int | None
    replies: int | None = None
    viral_score: float | None = None
    captured_at: datetime
    compared_rate: float | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Sums over posts, each at the latest reading of the span that tells impressions and engagements, else the latest.

    `impressions` is None where none are known. `rate` in [0, 1] is engagements per impression, both known, of the
    `posts_with_impressions`, `interval` its 95 % Wilson interval. Readings with more engagements than impressions are
    `suspect_readings` and nothing else.
    """

    posts: int
    posts_with_impressions: int
    impressions: int | None
    engagements: int
    rate: float | None
    interval: tuple[float, float] | None
    suspect_readings: int


@dataclass(frozen=True, kw_only=True)
class BucketOutcome(Outcome):
    """The posts whose reading lies in the day or week (from Monday) that starts at `start`, UTC."""

    start: datetime


@dataclass(frozen=True, kw_only=True)
class Change:
    """How the posts that went out in a span did against those of the equally long span before it.

    Each post is counted once, at its latest reading. Rates are engagements per impression; `difference` is `rate` less
    `previous_rate`, its 95 % `interval` takes posts as the units, None below two posts on either side; `relative` is
    the difference over `previous_rate`, None where that is 0.
    """

    previous_from: datetime
    previous_to: datetime
    posts: int
    rate: float
    previous_posts: int
    previous_rate: float
    difference: float
    interval: tuple[float, float] | None
    relative: float | None


@dataclass(frozen=True, kw_only=True)
class Performance:
    """What a template achieved: its successes over all time as in StoredTemplate, `totals` and `series` over a span.

    `change` is None where the span has no start, or posts with impressions are missing in it or in the one before.
    """

    usage_count: int
    success_rate: float | None
    success_interval: tuple[float, float] | None
    totals: Outcome
    series: tuple[BucketOutcome, ...]
    change: Change | None


class TemplateTable(Table):
    """Reads and changes the templates of one account at a time; an id of another account is unknown.

    Raises what Store's methods raise.
    """

    async def page(self, account_id: str, wanted: Filter) -> tuple[StoredTemplate, ...]:
        """Return up to `wanted.limit` templates by ascending id."""
        after, *filters = astuple(wanted)
        return await self._fetch("list_templates", account_id, after, *filters)

    async def active(self, account_id: str) -> tuple[StoredTemplate, ...]:
        """Return every template that is not archived."""
        return await self._fetch("active_templates", account_id)

    async def find(self, account_id: str, template_id: int) -> StoredTemplate | None:
        """Return a template, archived or not."""
        return await self._fetch_one("find_template", account_id, template_id)

    async def create(self, account_id: str, template: Template) -> StoredTemplate:
        """Store a template of the account's own; refused by UNIQUE_NAME where language and name are taken."""
        (created,) = await self._change("create_template", account_id, *astuple(template)[:7])
        return created

    async def replace(
        self, account_id: str, template_id: int, template: Template, version: int
    ) -> StoredTemplate | None:
        """Replace a template, which is the account's own from then on; refused as in create.

        Returns None, and changes nothing, where it is unknown, archived or no longer at `version`.
        """
        changed = await self._change("replace_template", account_id, template_id, *astuple(template)[:7], version)
        return next(iter(changed), None)

    async def archive(self, account_id: str, template_id: int) -> bool:
        """Take a template out of use and keep what it achieved; return whether there is one."""
        async with self._audited() as connection:
            found = await connection.fetchval(self._queries["archive_template"], account_id, template_id)
        return found is not None

    async def performance(
        self, account_id: str, template_id: int, since: datetime | None, until: datetime | None, bucket: Bucket
    ) -> Performance | None:
        """Return what a template achieved by readings from `since` on and before `until`, or None if it is unknown."""
        async with self._connect() as connection:
            success = await connection.fetchrow(self._queries["template_success"], account_id, template_id)
            if success is None:
                return None
            rows = await connection.fetch(
                self._queries["template_series"], account_id, template_id, since, until, bucket
            )
            change = None
            if since is not None:
                to = until or datetime.now(UTC)
                sums = await connection.fetch(self._queries["template_change"], account_id, template_id, since, to)
                change = _change(sums, since, to)
        *series, totals = rows
        return Performance(
            usage_count=success["usage_count"],
            success_rate=success["success_rate"],
            success_interval=_interval(success),
            totals=Outcome(**_outcome(totals)),
            series=tuple(BucketOutcome(start=row["start"], **_outcome(row)) for row in series),
            change=change,
        )

    async def _change(self, query: str, *arguments: object) -> tuple[StoredTemplate, ...]:
        async with self._audited() as connection:
            return tuple(_stored(row) for row in await connection.fetch(self._queries[query], *arguments))

    async def _fetch(self, query: str, *arguments: object) -> tuple[StoredTemplate, ...]:
        async with self._connect() as connection:
            return tuple(_stored(row) for row in await connection.fetch(self._queries[query], *arguments))

    async def _fetch_one(self, query: str, *arguments: object) -> StoredTemplate | None:
        return next(iter(await self._fetch(query, *arguments)), None)


async def save_readings(
    connection: PoolConnectionProxy[asyncpg.Record], queries: dict[str, str], rows: Sequence[Reading]
) -> int:
    """Store readings, and what the templates of their accounts achieved by them, in the caller's transaction.

    A reading whose account, post and moment are stored already is left alone; returns how many were new. A template
    that the account does not have is refused. The cost grows with the posts of the account, whose median engagement
    rate decides what a success is.
    """
    if not rows:
        return 0
    columns = list(zip(*map(astuple, rows), strict=True))
    accounts = sorted({row.account_id for row in rows})
    # Before the insert: who waits here then sees all that the others committed.
    for account_id in accounts:
        await connection.execute(queries["lock_templates"], account_id)
    saved: int = await connection.fetchval(queries["save_metrics"], *columns)
    for account_id in accounts if saved else ():
        await connection.execute(queries["update_outcomes"], account_id)
    return saved


def _stored(row: asyncpg.Record) -> StoredTemplate:
    def fraction(column: str) -> float | None:
        return None if row[column] is None else float(row[column])

    return StoredTemplate(
        id=row["id"],
        name=row["template_name"],
        type=row["template_type"],
        language=row["language"],
        objective=row["objective"],
        tone=row["tone"],
        intent=row["intent"],
        content=row["template_content"],
        origin=row["origin"],
        version=row["version"],
        usage_count=row["usage_count"],
        success_rate=fraction("success_rate"),
        success_lower_bound=fraction("success_lower_bound"),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        archived_at=row["archived_at"],
    )


def _change(rows: Sequence[asyncpg.Record], since: datetime, until: datetime) -> Change | None:
    sums = {row["current"]: RatioSums(*(row[name] for name in ("n", "x", "y", "xx", "xy", "yy"))) for row in rows}
    if not {True, False} <= sums.keys():
        return None
    now, before = sums[True], sums[False]
    gap = difference(now, before)
    if gap is None or now.rate is None or before.rate is None:
        return None
    return Change(
        previous_from=since - (until - since),
        previous_to=since,
        posts=now.n,
        rate=now.rate,
        previous_posts=before.n,
        previous_rate=before.rate,
        difference=gap[0],
        interval=gap[1],
        relative=gap[0] / before.rate if before.rate else None,
    )


def _outcome(row: asyncpg.Record) -> dict[str, Any]:
    names = ("posts", "posts_with_impressions", "impressions", "engagements", "rate", "suspect_readings")
    return {name: row[name] for name in names} | {"interval": _interval(row)}


def _interval(row: asyncpg.Record) -> tuple[float, float] | None:
    return None if row["low"] is None else (row["low"], row["high"])
