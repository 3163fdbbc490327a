"""The rows of outcomes: imports, posts and their readings, as an account brought them in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import orjson

from pipelines.outcomes.posts import Counts, Kind, PostReading, Source, StoredPost
from store.errors import ConnectionLost
from store.table import Table

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]

COUNTS = tuple(field.name for field in fields(Counts))
MANY_ROWS = 10_000
# Ranking all that a large account ever posted would take seconds.
MAX_RANKED = 10_000
# How soon a COPY notices that its connection is gone.
LOOK_S = 1.0
# As many are listed, of however many there are.
MAX_REPEATED = 1_000
STAGED = ("line", "post_id", "posted_at", "text", "promoted", *COUNTS, "captured_at", "source")


@dataclass(frozen=True, kw_only=True)
class Import:
    """What brought rows in: a file, or a run of the collector, which has neither name nor hash.

    `captured_at` is the moment of its readings.
    """

    id: UUID
    account_id: str
    source: str
    captured_at: datetime
    file_name: str | None = None
    file_hash: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPost:
    """A post as it is listed, with each count by the latest reading that knows it; `captured_at` is the last one's.

    `engagement` is likes plus retweets, None where unknown.
    """

    post_id: str
    posted_at: datetime
    kind: Kind
    text: str | None
    captured_at: datetime
    source: Source | None
    template_id: int | None
    engagement: int | None
    impressions: int | None
    engagements: int | None
    clicks: int | None
    retweets: int | None
    likes: int | None
    replies: int | None
    quotes: int | None
    bookmarks: int | None
    shares: int | None
    follows: int | None
    profile_clicks: int | None


@dataclass(frozen=True, slots=True)
class PlaceInList:
    """Where a page of posts ended; `engagement` is None where they are listed by time."""

    engagement: int | None
    posted_at: datetime
    post_id: str


@dataclass(frozen=True, slots=True)
class Merged:
    """How many readings were new, changed or known already.

    `n_repeated` lines told a post that a later line tells again; `repeated` lists the first as (line, later line).
    """

    imported: int
    updated: int
    unchanged: int
    n_repeated: int
    repeated: tuple[tuple[int, int], ...]


class OutcomeTable(Table):
    """Reads and changes the outcomes of one account at a time. Raises what Store's methods raise."""

    async def posts(
        self,
        account_id: str,
        *,
        limit: int,
        since: datetime | None = None,
        until: datetime | None = None,
        kinds: Sequence[Kind] | None = None,
        learnable_only: bool = False,
    ) -> tuple[StoredPost, ...]:
        """Return up to `limit` posts with what is known of them, the newest first: `since` on and before `until`.

        `learnable_only` leaves out what came by X's API, which its terms forbid to train on: posts that no file told
        of, and readings of the API; unless the account has switched `learn_from_api` on.
        """
        wanted = (account_id, since, until, limit, kinds and list(kinds), learnable_only)
        async with self._connect() as connection:
            rows = await connection.fetch(self._queries["list_posts_of_account"], *wanted)
        return tuple(map(_post, rows))

    async def page(
        self,
        account_id: str,
        *,
        best_first: bool,
        limit: int,
        kinds: Sequence[Kind] | None = None,
        after: PlaceInList | None = None,
    ) -> tuple[ListedPost, ...]:
        """Return up to `limit` posts that come after `after`: the newest first, or those with most engagement.

        With `best_first` those of the MAX_RANKED newest, and none whose likes or retweets are unknown.
        """
        place = (after.engagement, after.posted_at, after.post_id) if after else (None, None, None)
        wanted = (account_id, best_first, kinds and list(kinds), *place, MAX_RANKED if best_first else limit, limit)
        async with self._connect() as connection:
            rows = await connection.fetch(self._queries["page_posts"], *wanted)
        return tuple(ListedPost(**row) for row in rows)

    async def save(self, told: Import, readings: Sequence[PostReading]) -> Merged:
        """Store readings that fit into one call, and the import that brought them, in one transaction."""
        async with self._transaction() as connection:
            merged = await merge_readings(connection, self._queries, told, map(staged, range(len(readings)), readings))
            await record_import(connection, self._queries, told, merged, rejected=merged.n_repeated)
        return merged


def _post(row: asyncpg.Record) -> StoredPost:
    known = dict(row)
    together: list[int | None] | None = known.pop("together")
    return StoredPost(**known, together=Counts(**dict(zip(COUNTS, together, strict=True))) if together else None)


def staged(
    line: int, reading: PostReading, captured_at: datetime | None = None, source: Source | None = None
) -> tuple[object, ...]:
    """Return a reading as a row of STAGED; `line` is its place in the file.

    `captured_at` and `source` are told where they are the reading's own and not those of all of them.
    """
    promoted = None if reading.promoted is None else orjson.dumps(reading.promoted).decode()
    counts = [getattr(reading, name) for name in COUNTS]
    return (line, reading.post_id, reading.posted_at, reading.text, promoted, *counts, captured_at, source)


async def merge_readings(
    connection: Connection, queries: dict[str, str], told: Import, rows: Iterable[tuple[object, ...]]
) -> Merged:
    """Store rows of STAGED in the caller's transaction: COPY, then what is new or changed; memory stays flat.

    What the account's templates achieved is written anew where one of them wrote a post: a new reading moves the
    median that all are measured against.
    """
    await connection.execute(queries["lock_outcomes"], told.account_id)
    await connection.execute(queries["create_staged"])
    await _copy(connection, rows)
    repeated = await connection.fetch(queries["drop_repeated"], MAX_REPEATED)
    await connection.execute("ANALYZE staged")
    row = await connection.fetchrow(queries["merge_staged"], told.account_id, told.id, told.source, told.captured_at)
    await connection.execute("DROP TABLE staged")
    if row and row["imported"] >= MANY_ROWS:
        # Sooner than the server's own: the next request already reads these rows.
        await connection.execute("ANALYZE posts, performance_metrics")
    if row is None:
        raise AssertionError("an aggregate without a row")
    if (row["imported"] or row["updated"]) and await connection.fetchval(
        queries["any_template_outcome"], told.account_id
    ):
        await connection.execute(queries["lock_templates"], told.account_id)
        await connection.execute(queries["update_outcomes"], told.account_id)
    imported, updated, kept = row
    lines = tuple((row["line"], row["kept"]) for row in repeated)
    n_repeated = repeated[0]["n_repeated"] if repeated else 0
    return Merged(imported, updated, kept - imported - updated, n_repeated, lines)


async def _copy(connection: Connection, rows: Iterable[tuple[object, ...]]) -> None:
    """COPY rows of STAGED; the driver alone would wait for ever for a server that is gone to take more."""
    copying = asyncio.ensure_future(connection.copy_records_to_table("staged", records=rows, columns=STAGED))
    try:
        while not (await asyncio.wait([copying], timeout=LOOK_S))[0]:
            if connection.is_closed():
                raise ConnectionLost("in the middle of a COPY")
        await copying
    finally:
        if not copying.done():
            copying.cancel()
            # What it says of a connection that is closed or cut off is not news.
            await asyncio.gather(copying, return_exceptions=True)


async def record_import(
    connection: Connection, queries: dict[str, str], told: Import, merged: Merged, *, rejected: int
) -> None:
    """Store what brought rows in and its report, in the caller's transaction; `rejected` counts repeated posts too."""
    counts = (merged.imported, merged.updated, merged.unchanged, rejected)
    identity = (told.id, told.account_id, told.source, told.file_name, told.file_hash, told.captured_at)
    await connection.execute(queries["record_import"], *identity, *counts)
