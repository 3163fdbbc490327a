"""Files into the tables of outcomes, everything out of them again, and what was stored deleted.

Each of these takes as long as its rows need, on a connection of its own: the pool's calls are bounded in time.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast
from uuid import UUID

import asyncpg
import orjson

from pipelines.outcomes.exports import DayReading, Export, OwnReading, open_export
from pipelines.outcomes.files import Row
from pipelines.outcomes.posts import PostReading
from pipelines.outcomes.tables import TableContent
from store.errors import DRIVER_ERRORS, translate
from store.outcomes import Import, Merged, merge_readings, record_import, staged
from store.table import CURRENT_ACTOR, CURRENT_REQUEST, Table

if TYPE_CHECKING:
    pass

CONNECT_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 5.0
MAX_LISTED = 1_000
# A day alone may be that of any time zone.
A_DAY = timedelta(days=1)
EXPORT_ROWS = 500
DAY_SOURCES = ("overview", "video")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file that waits at `path`, and what is known of it; `id` is minted by the caller.

    Its readings are of `captured_at` where that is told, else of when the same bytes were captured first, else of the
    `end_of_range` that its name tells, else of `sent_at`. Where another file told that end already, as an export of the
    same range that was downloaded earlier, they are of `sent_at` too: neither takes the readings of the other.
    """

    id: UUID
    account_id: str
    path: str
    file_name: str | None
    file_hash: bytes
    captured_at: datetime | None
    sent_at: datetime
    end_of_range: datetime | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedRow:
    """The line of a file that a row starts on, from 1, and why it was left out."""

    line: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """What became of a file: rows = imported + updated + unchanged + rejected_rows.

    `rejected` lists the first MAX_LISTED of the `rejected_rows`.
    """

    id: UUID
    source: str
    captured_at: datetime
    rows: int
    imported: int
    updated: int
    unchanged: int
    rejected: tuple[RejectedRow, ...]
    rejected_rows: int


@dataclass(frozen=True, kw_only=True)
class StoredImport:
    """What brought rows in, and its report; an import without a `file_name` is a run of the collector."""

    id: UUID
    source: str
    file_name: str | None
    captured_at: datetime
    rows: int
    imported: int
    updated: int
    unchanged: int
    rejected_rows: int
    created_at: datetime


@dataclass
class _Rejected:
    """Rows that were left out: all counted, the first listed."""

    count: int = 0
    listed: list[tuple[int, str]] = field(default_factory=list)

    def add(self, line: int, reason: str) -> None:
        self.count += 1
        if len(self.listed) < MAX_LISTED:
            self.listed.append((line, reason))


@dataclass(frozen=True, kw_only=True)
class AccountDay:
    """What X counted of an account in a whole day, by the kind of export that told it; None is unknown."""

    day: date
    source: str
    counts: dict[str, float | None]
    captured_at: datetime


class ImportTable(Table):
    """Reads what brought rows in, one account at a time. Raises what Store's methods raise."""

    async def page(self, account_id: str, *, before: UUID | None, limit: int) -> tuple[StoredImport, ...]:
        """Return up to `limit` imports, the newest first, from the one after `before` on."""
        async with self._connect() as connection:
            rows = await connection.fetch(self._queries["list_imports"], account_id, before, limit)
        # The driver's own kind of UUID is not one that orjson knows.
        return tuple(StoredImport(**{**row, "id": UUID(int=row["id"].int)}) for row in rows)

    async def days(self, account_id: str, *, before: date | None, limit: int) -> tuple[AccountDay, ...]:
        """Return `limit` rows of days with what overviews told of them, the newest first, those before `before`.

        Of the last day all rows are returned, also beyond `limit`.
        """
        async with self._connect() as connection:
            rows = await connection.fetch(self._queries["list_days"], account_id, before, limit)
        return tuple(AccountDay(**{**row, "counts": orjson.loads(row["counts"])}) for row in rows)


async def import_file(dsn: str, queries: Mapping[str, str], upload: Upload) -> Report:
    """Store what a file says, all of it or nothing; memory does not grow with the file. Keeps its thread busy.

    Raises:
        FileNotFoundError: another file is at its path by now.
        FileRefused: the file is none of X's exports, or broken; the message says where.
        StoreError: as Store's methods.
    """
    with Path(upload.path).open("rb") as file:  # noqa: ASYNC230  # nothing else runs here
        # Its path and its inode may be another account's by now, as both are used again; its bytes are not.
        if hashlib.file_digest(file, "sha256").digest() != upload.file_hash:
            raise FileNotFoundError(f"{upload.path} is not the file that was sent")
        file.seek(0)
        with open_export(file) as export:
            return await _import(dsn, dict(queries), upload, export)


async def _import(dsn: str, queries: dict[str, str], upload: Upload, export: Export) -> Report:
    rejected = _Rejected()
    async with _transaction(dsn) as connection:
        await connection.execute(queries["say_who"], upload.request_id, None)
        # Before the look-up: of two that send the same file at once the second sees what the first told.
        await connection.execute(queries["lock_outcomes"], upload.account_id)
        captured_at = upload.captured_at or await connection.fetchval(
            queries["capture_of_file"], upload.account_id, upload.file_hash
        )
        told = Import(
            id=upload.id,
            account_id=upload.account_id,
            source=export.source,
            captured_at=captured_at or await _assumed(connection, queries, upload, export.source),
            file_name=upload.file_name,
            file_hash=upload.file_hash,
        )
        merged = await _merge(connection, queries, told, export, rejected)
        n_rejected = rejected.count + merged.n_repeated
        await record_import(connection, queries, told, merged, rejected=n_rejected)
    repeated = [(line, f"the post or day stands in line {kept} again, which counts") for line, kept in merged.repeated]
    return Report(
        id=told.id,
        source=told.source,
        captured_at=told.captured_at,
        rows=merged.imported + merged.updated + merged.unchanged + n_rejected,
        imported=merged.imported,
        updated=merged.updated,
        unchanged=merged.unchanged,
        rejected=tuple(
            RejectedRow(line=line, reason=reason) for line, reason in sorted([*rejected.listed, *repeated])[:MAX_LISTED]
        ),
        rejected_rows=n_rejected,
    )


async def _assumed(
    connection: asyncpg.Connection[asyncpg.Record], queries: dict[str, str], upload: Upload, source: str
) -> datetime:
    """When the counts of a file were taken, of which nobody says so."""
    ended = upload.end_of_range
    if ended is None:
        return upload.sent_at
    told = await connection.fetchval(queries["told_at_that_moment"], upload.account_id, source, ended, upload.file_hash)
    return upload.sent_at if told else ended


async def _merge(
    connection: asyncpg.Connection[asyncpg.Record],
    queries: dict[str, str],
    told: Import,
    export: Export,
    rejected: _Rejected,
) -> Merged:
    if export.source in DAY_SOURCES:
        return await _merge_days(connection, queries, told, cast("Iterable[Row[DayReading]]", export.rows), rejected)
    rows = cast("Iterable[Row[PostReading]]", export.rows)
    return await merge_readings(connection, queries, told, _staged(rows, rejected, told.captured_at))


def _staged(
    rows: Iterable[Row[PostReading]], rejected: _Rejected, captured_at: datetime
) -> Iterator[tuple[object, ...]]:
    for line, reading in rows:
        if isinstance(reading, str):
            rejected.add(line, reading)
            continue
        taken_at = reading.captured_at if isinstance(reading, OwnReading) else captured_at
        if reading.posted_at > taken_at + A_DAY:
            rejected.add(line, "posted after its counts were taken")
        elif isinstance(reading, OwnReading):
            yield staged(line, reading, reading.captured_at, reading.source)
        else:
            yield staged(line, reading)


async def _merge_days(
    connection: asyncpg.Connection[asyncpg.Record],
    queries: dict[str, str],
    told: Import,
    rows: Iterable[Row[DayReading]],
    rejected: _Rejected,
) -> Merged:
    # No more days than a century has, whatever the file.
    days: dict[date, tuple[int, str]] = {}
    repeated: list[tuple[int, int]] = []
    n_repeated = 0
    for line, reading in rows:
        if isinstance(reading, str):
            rejected.add(line, reading)
            continue
        if earlier := days.pop(reading.day, None):
            n_repeated += 1
            if len(repeated) < MAX_LISTED:
                repeated.append((earlier[0], line))
        days[reading.day] = (line, orjson.dumps(reading.counts, option=orjson.OPT_SORT_KEYS).decode())
    counts = [count for _, count in days.values()]
    row = await connection.fetchrow(
        queries["merge_days"], told.account_id, told.source, told.captured_at, told.id, list(days), counts
    )
    imported, updated = row or (0, 0)
    return Merged(imported, updated, len(days) - imported - updated, n_repeated, tuple(repeated))


async def export_rows(
    dsn: str, queries: Mapping[str, str], account_id: str, content: TableContent
) -> AsyncGenerator[Sequence[asyncpg.Record], None]:
    """Return every reading of an account with its post, or its days, some rows at a time, as of one moment."""
    async with _transaction(dsn, isolation="repeatable_read", readonly=True) as connection:
        # A client that stops reading does not hold the snapshot for good.
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = '60s'")
        cursor = await connection.cursor(
            queries["export_readings" if content == "posts" else "export_days"], account_id
        )
        while rows := await cursor.fetch(EXPORT_ROWS):
            yield rows


async def delete_import(
    dsn: str, queries: Mapping[str, str], account_id: str, import_id: UUID
) -> dict[str, int] | None:
    """Delete what an import brought, and say of how many rows of each table; None where there is no such import.

    A post that nothing else tells goes with it, another one loses the text that it brought.
    """
    async with _deletion(dsn, queries, account_id) as connection:
        if not await connection.fetchval(queries["find_import"], account_id, import_id):
            return None
        deleted = await _delete_where(
            connection, queries, {"account_id": account_id, "import_id": import_id}, besides=("posts", "imports")
        )
        deleted["posts"] = _count(await connection.execute(queries["delete_posts_without_reading"], account_id))
        texts = await connection.execute(queries["forget_texts_of_import"], account_id, import_id)
        deleted["texts"] = _count(texts)
        deleted["imports"] = _count(await connection.execute(queries["delete_import"], account_id, import_id))
    return deleted


async def delete_post(dsn: str, queries: Mapping[str, str], account_id: str, post_id: str) -> dict[str, int] | None:
    """Delete a post from every table, and say of how many rows of each; None where no table has it."""
    async with _deletion(dsn, queries, account_id) as connection:
        deleted = await _delete_where(connection, queries, {"account_id": account_id, "post_id": post_id})
        in_experiments = await connection.execute(queries["delete_post_of_experiments"], account_id, post_id)
        deleted["experiment_posts"] = _count(in_experiments)
    return deleted if any(deleted.values()) else None


async def delete_account(dsn: str, queries: Mapping[str, str], account_id: str) -> dict[str, int]:
    """Delete everything of an account from every table, and say of how many rows of each.

    The audit of what it did goes too; one row there says that the account of this name was deleted, and when.
    """
    async with _deletion(dsn, queries, account_id, learn=False) as connection:
        await connection.execute(queries["silence_audit"])
        deleted = {}
        for table, query in (
            ("experiment_events", "delete_events_of_account"),
            ("experiment_units", "delete_units_of_account"),
            ("experiment_posts", "delete_posts_of_experiments"),
        ):
            deleted[table] = _count(await connection.execute(queries[query], account_id))
        deleted |= await _delete_where(connection, queries, {"account_id": account_id})
        await connection.execute(queries["record_account_deletion"], account_id, CURRENT_REQUEST.get())
    return deleted


async def _delete_where(
    connection: asyncpg.Connection[asyncpg.Record],
    queries: Mapping[str, str],
    columns: Mapping[str, Any],
    besides: Sequence[str] = (),
) -> dict[str, int]:
    """Delete the rows with these values from every table that has all of the columns, one that others point at last."""
    found = await connection.fetch(queries["deletions"], list(columns))
    waiting = [(row["table_name"], row["statement"]) for row in found if row["table_name"] not in besides]
    deleted = {}
    while waiting:
        pointed_at: list[tuple[str, str]] = []
        for table, statement in waiting:
            try:
                async with connection.transaction():
                    deleted[table] = _count(await connection.execute(statement, *columns.values()))
            except asyncpg.ForeignKeyViolationError:
                if len(pointed_at) + 1 == len(waiting):
                    raise
                pointed_at.append((table, statement))
        waiting = pointed_at
    return deleted


@asynccontextmanager
async def _deletion(
    dsn: str, queries: Mapping[str, str], account_id: str, *, learn: bool = True
) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A transaction that deletes, and at its end writes down anew what the account's templates achieved."""
    async with _transaction(dsn) as connection:
        # In the order in which every writer takes them.
        await connection.execute(queries["lock_outcomes"], account_id)
        await connection.execute(queries["lock_templates"], account_id)
        await connection.execute(queries["say_who"], CURRENT_REQUEST.get(), CURRENT_ACTOR.get())
        yield connection
        if learn:
            await connection.execute(queries["update_outcomes"], account_id)


@asynccontextmanager
async def _transaction(
    dsn: str, *, isolation: Literal["repeatable_read"] | None = None, readonly: bool = False
) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A transaction on a connection of its own, which lasts as long as it takes."""
    try:
        connection = await asyncpg.connect(
            dsn,
            timeout=CONNECT_TIMEOUT_S,
            server_settings={
                "application_name": "murmuration-outcomes",
                "statement_timeout": "0",
                # One that waits for a lock would not notice before it has it that its client was ended.
                "client_connection_check_interval": "2s",
            },
        )
        try:
            async with connection.transaction(isolation=isolation, readonly=readonly):
                yield connection
        finally:
            # What was committed is stored, however the connection ends.
            with suppress(*DRIVER_ERRORS):
                await connection.close(timeout=CLOSE_TIMEOUT_S)
    except DRIVER_ERRORS as error:
        raise translate(error) from error


def _count(tag: str) -> int:
    """The rows of a command tag such as DELETE 3."""
    return int(tag.rpartition(" ")[2])
