"""The rows of experiments: their life, what was told about units and posts, and what they taught."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import orjson

from pipelines.experiments.records import PostCounts, State, Variant
from store.table import Table
from store.templates import Reading, save_readings

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

# A batch is stored in parts, so that none holds its locks for long; every part is committed before the next.
EVENTS_A_STATEMENT = 2_000
# Of the time that a test runs, for a look at how it went.
SHORTEST_PART = timedelta(seconds=1)


@dataclass(frozen=True, kw_only=True)
class StoredExperiment:
    """One experiment of an account; `plan` and `conclusion` are JSON objects, `version` grows with every change."""

    id: UUID
    account_id: str
    name: str
    state: State
    version: int
    plan: bytes
    conclusion: bytes | None
    variants: tuple[Variant, ...]
    created_at: datetime
    started_at: datetime | None
    stopped_at: datetime | None
    concluded_at: datetime | None


class ToldEvent(NamedTuple):
    """An event as it is stored: `variant` is the position of the variant, `engagement` false for an impression."""

    event_id: str
    variant: int
    engagement: bool
    unit: str
    at: datetime
    mismatch: bool


@dataclass(frozen=True, kw_only=True)
class DayCount:
    """Units of a variant that were first exposed on a day (UTC), and how many of them engaged, then or later.

    `engaged_early` engaged before that impression alone and are none of the engaged. `mismatched` were told with
    another variant than they were assigned, `misdated` with something before the start or after now, `after_stop` saw
    it first when the experiment was over.
    """

    variant: int
    day: date
    exposed: int
    engaged: int
    engaged_early: int
    mismatched: int
    misdated: int
    after_stop: int


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What is known of an experiment's units.

    `crossed` were told with more than one variant and count for each; of the others, `unexposed` engaged without an
    impression and `beyond` came after the first ones that were asked for: both count nowhere else.
    """

    days: tuple[DayCount, ...] = ()
    unexposed: int = 0
    crossed: int = 0
    beyond: int = 0


class UnitsInTime(NamedTuple):
    """Units of a variant that were first exposed on `day` (UTC), in the part that ends at `exposed_by`.

    Those that engaged then or later did so in the part that ends at `engaged_by`; None is those that did not.
    """

    variant: int
    day: date
    exposed_by: datetime
    engaged_by: datetime | None
    units: int


class ExperimentTable(Table):
    """Reads and changes the experiments of one account at a time; an id of another account is unknown.

    Raises what Store's methods raise.
    """

    async def create(
        self, account_id: str, experiment_id: UUID, name: str, plan: bytes, variants: Sequence[Variant], *, start: bool
    ) -> StoredExperiment:
        """Store an experiment with its variants, as a draft or running.

        A template that the account does not have is refused.
        """
        columns = zip(*((v.name, v.content, v.weight, v.template_id) for v in variants), strict=True)
        async with self._audited() as connection:
            await connection.execute(
                self._queries["create_experiment"], experiment_id, account_id, name, plan.decode(), start
            )
            await connection.execute(self._queries["create_variants"], experiment_id, account_id, *map(list, columns))
            (row,) = await connection.fetch(self._queries["find_experiment"], account_id, experiment_id)
        return _stored(row)

    async def find(self, account_id: str, experiment_id: UUID) -> StoredExperiment | None:
        """Return an experiment in whatever state."""
        return await self._fetch_one("find_experiment", account_id, experiment_id)

    async def page(
        self, account_id: str, state: State | None, before: UUID | None, limit: int
    ) -> tuple[StoredExperiment, ...]:
        """Return up to `limit` experiments by descending id, which is the newest first, below the id `before`."""
        async with self._connect() as connection:
            rows = await connection.fetch(self._queries["list_experiments"], account_id, state, before, limit)
        return tuple(map(_stored, rows))

    async def start(self, account_id: str, experiment_id: UUID, version: int | None) -> StoredExperiment | None:
        """Start a draft, at `version` where one is given; None, and no change, where that is not what it is."""
        return await self._change("start_experiment", account_id, experiment_id, version)

    async def stop(self, account_id: str, experiment_id: UUID, version: int | None) -> StoredExperiment | None:
        """Stop a running experiment, as start does; late events still count."""
        return await self._change("stop_experiment", account_id, experiment_id, version)

    async def reweigh(
        self, account_id: str, experiment_id: UUID, version: int, weights: Sequence[float]
    ) -> StoredExperiment | None:
        """Give the variants of a running experiment new weights, in their order; None where it was changed since."""
        async with self._audited() as connection:
            changed = await connection.fetchval(
                self._queries["reweigh_experiment"], account_id, experiment_id, version, list(weights)
            )
        return await self.find(account_id, experiment_id) if changed else None

    async def variant_of(self, experiment_id: UUID, unit: str) -> int | None:
        """Return the variant that a unit was told with first."""
        async with self._connect() as connection:
            found: int | None = await connection.fetchval(self._queries["variant_of_unit"], experiment_id, unit)
        return found

    async def save_events(self, account_id: str, experiment_id: UUID, events: Sequence[ToldEvent]) -> int | None:
        """Store events of an experiment that runs or was stopped; all are committed on return.

        An event whose id is there already changes nothing. Returns how many were new, or None, and stores no more,
        where the experiment takes none. A batch that failed may be repeated as it is.
        """
        saved = 0
        for first in range(0, len(events), EVENTS_A_STATEMENT):
            columns = zip(*events[first : first + EVENTS_A_STATEMENT], strict=True)
            async with self._connect() as connection:
                new = await connection.fetchval(
                    self._queries["save_events"], experiment_id, account_id, *map(list, columns)
                )
            if new is None:
                return None
            saved += new
        return saved

    async def save_posts(self, account_id: str, experiment_id: UUID, posts: Sequence[PostCounts]) -> int | None:
        """Store posts of a switchback that runs or was stopped, each with its newest counts.

        Returns how many were new or newer, or None where the experiment takes none. Every post must say when it was
        read, and none may come twice in a call.
        """
        rows = [(p.post_id, p.posted_at, p.impressions, p.likes, p.retweets, p.captured_at) for p in posts]
        async with self._connect() as connection:
            saved: int | None = await connection.fetchval(
                self._queries["save_posts"], experiment_id, account_id, *map(list, zip(*rows, strict=True))
            )
        return saved

    async def counts(self, experiment_id: UUID, first: int | None = None) -> Counts:
        """Return what the committed events say, of the `first` units by their first impression where that is given."""
        async with self._connect() as connection:
            return await self._counts(connection, experiment_id, first)

    async def over_time(self, experiment_id: UUID, first: int | None, parts: int) -> tuple[UnitsInTime, ...]:
        """Return the units of `counts` by when they came, in `parts` equal parts of the time from first to last.

        What is dated before the start counts in the first part, what is dated after now in the last.
        """
        async with self._connect() as connection:
            span = await connection.fetchrow(self._queries["span_of_units"], experiment_id, first)
            if span is None:
                return ()
            since, until, *last = span
            width = max((until - since) / parts, SHORTEST_PART)
            ends = [since + width * (part + 1) for part in range(parts)]
            rows = await connection.fetch(self._queries["count_units_over_time"], experiment_id, ends[:-1], *last)
        return tuple(
            UnitsInTime(variant, day, ends[exposed_in], None if engaged_in is None else ends[engaged_in], units)
            for variant, day, exposed_in, engaged_in, units in rows
        )

    async def posts(self, experiment_id: UUID) -> tuple[PostCounts, ...]:
        """Return the posts of a switchback in the order in which they were posted."""
        async with self._connect() as connection:
            return await self._posts(connection, experiment_id)

    async def conclude(
        self,
        account_id: str,
        experiment_id: UUID,
        version: int | None,
        decide: Callable[[StoredExperiment, Counts, tuple[PostCounts, ...]], tuple[bytes, Sequence[Reading]]],
        first: int | None = None,
    ) -> StoredExperiment | None:
        """Conclude a stopped experiment: what `decide` finds, its readings and what templates achieved, or nothing.

        All in one transaction that holds back further events, so that the conclusion is about what is stored; `first`
        as in counts. Returns None, and changes nothing, where it is unknown, not stopped or not at `version`.
        """
        async with self._audited() as connection:
            # Before the experiment's own lock, in the order in which every writer of readings takes them.
            await connection.execute(self._queries["lock_templates"], account_id)
            row = await connection.fetchrow(self._queries["lock_stopped"], account_id, experiment_id, version)
            if row is None:
                return None
            counts = await self._counts(connection, experiment_id, first)
            posts = await self._posts(connection, experiment_id)
            conclusion, readings = decide(_stored(row), counts, posts)
            await save_readings(connection, self._queries, readings)
            (concluded,) = await connection.fetch(
                self._queries["conclude_experiment"], account_id, experiment_id, conclusion.decode()
            )
        return _stored(concluded)

    async def _counts(
        self, connection: PoolConnectionProxy[asyncpg.Record], experiment_id: UUID, first: int | None
    ) -> Counts:
        rows = await connection.fetch(self._queries["count_units"], experiment_id)
        exposed = [row for row in rows if row["day"] is not None]
        units, mismatched = (sum(row[name] for row in exposed) for name in ("exposed", "mismatched"))
        # A unit that was told with two variants was told with one that it was not assigned.
        crossed = await connection.fetchval(self._queries["count_crossed"], experiment_id) if mismatched else 0
        if first is not None and units > first:
            exposed = await connection.fetch(self._queries["count_first_units"], experiment_id, first)
        return Counts(
            days=tuple(DayCount(**row) for row in exposed),
            unexposed=sum(row["engaged"] for row in rows if row["day"] is None),
            crossed=crossed,
            beyond=0 if first is None else max(0, units - first),
        )

    async def _posts(
        self, connection: PoolConnectionProxy[asyncpg.Record], experiment_id: UUID
    ) -> tuple[PostCounts, ...]:
        return tuple(PostCounts(**row) for row in await connection.fetch(self._queries["list_posts"], experiment_id))

    async def _change(self, query: str, *arguments: object) -> StoredExperiment | None:
        async with self._audited() as connection:
            row = await connection.fetchrow(self._queries[query], *arguments)
        return None if row is None else _stored(row)

    async def _fetch_one(self, query: str, *arguments: object) -> StoredExperiment | None:
        async with self._connect() as connection:
            row = await connection.fetchrow(self._queries[query], *arguments)
        return None if row is None else _stored(row)


def _stored(row: asyncpg.Record) -> StoredExperiment:
    return StoredExperiment(
        id=UUID(bytes=row["id"].bytes),
        account_id=row["account_id"],
        name=row["name"],
        state=row["state"],
        version=row["version"],
        plan=row["plan"].encode(),
        conclusion=row["conclusion"] and row["conclusion"].encode(),
        variants=tuple(Variant(**variant) for variant in orjson.loads(row["variants"])),
        created_at=row["created_at"],
        started_at=row["started_at"],
        stopped_at=row["stopped_at"],
        concluded_at=row["concluded_at"],
    )
