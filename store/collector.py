"""The rows of the collector of X's API and of the jobs that run once in a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal

import orjson

from pipelines.audience.x_trends import XTrend, XTrendReading
from pipelines.outcomes.collecting import CollectedPost
from store.table import Table

if TYPE_CHECKING:
    import asyncpg

JobName = Literal["expire", "collect"]
EXPIRED_A_STATEMENT = 1_000
FORGOTTEN_A_STATEMENT = 1_000


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job, when it is due, until when somebody holds it, how often it failed in a row, and its last report."""

    job: JobName
    due_at: datetime
    leased_until: datetime | None
    failures: int
    last_run: dict[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class XAccount:
    """An account at X: all its posts up to `known_until` are known; the tokens are secrets."""

    known_until: datetime | None
    seed_hash: bytes | None
    refresh_token: str | None
    access_token: str | None
    access_until: datetime | None

    def __repr__(self) -> str:
        """Nothing of the tokens."""
        return f"XAccount(known_until={self.known_until})"


@dataclass(frozen=True, kw_only=True)
class Month:
    """What the runs of a month did, and what was spent, in millionths of a USD."""

    microusd: int = 0
    posts_new: int = 0
    snapshots: int = 0
    late: int = 0
    missed: int = 0
    deleted: int = 0


class CollectorTable(Table):
    """Reads and changes what the collector and the upkeep know. Raises what Store's methods raise."""

    async def claim(self, job: JobName, now: datetime, until: datetime) -> Job | None:
        """Hold a job `until` then; None where it is not due or somebody else holds it."""
        return _job(await self._fetchrow("claim_job", job, now, until))

    async def finish(self, held: Job, due_at: datetime, *, failures: int, last_run: dict[str, Any] | None) -> None:
        """Let a claimed job go until `due_at`; a `last_run` of None keeps the report before."""
        report = None if last_run is None else orjson.dumps(last_run).decode()
        await self._execute("finish_job", held.job, held.leased_until, due_at, failures, report)

    async def find(self, job: JobName) -> Job | None:
        """Return a job; None before it was first claimed."""
        return _job(await self._fetchrow("find_job", job))

    async def account(self, account_id: str, user_id: str) -> XAccount:
        """Return what is known of an account at X."""
        row = await self._fetchrow("find_x_account", account_id, user_id)
        return XAccount(**row) if row else XAccount(**dict.fromkeys(XAccount.__dataclass_fields__))

    async def save_known_until(self, account_id: str, user_id: str, moment: datetime) -> None:
        """All posts up to a moment are known; not up to an id, which would outlive its post."""
        await self._execute("save_known_until", account_id, user_id, moment)

    async def save_tokens(self, account_id: str, user_id: str, tokens: XAccount) -> None:
        """Store the tokens that X gave."""
        secrets = (tokens.seed_hash, tokens.refresh_token, tokens.access_token, tokens.access_until)
        await self._execute("save_tokens", account_id, user_id, *secrets)

    async def reserve(self, account_id: str, month: date, cost: int, budget: int) -> bool:
        """Count a cost as spent; False, and nothing counted, where the month's `budget` does not hold it."""
        return await self._fetchrow("reserve_spending", account_id, month, cost, budget) is not None

    async def give_back(self, account_id: str, month: date, cost: int) -> None:
        """Count no longer what was reserved and not used."""
        await self._execute("return_spending", account_id, month, cost)

    async def count_run(self, account_id: str, month: date, did: Month) -> None:
        """Add what a run did to its month; what it spent is counted call by call."""
        counts = (did.posts_new, did.snapshots, did.late, did.missed, did.deleted)
        await self._execute("count_run", account_id, month, *counts)

    async def month(self, account_id: str, month: date) -> Month:
        """Return what was done and spent in a month."""
        row = await self._fetchrow("x_month", account_id, month)
        return Month(**row) if row else Month()

    async def x_trends(self, account_id: str) -> XTrendReading | None:
        """Return what trends on X, as it was last read; None where X was never asked."""
        row = await self._fetchrow("find_x_trends", account_id)
        if row is None:
            return None
        return XTrendReading(**dict(row) | {"trends": tuple(XTrend(**one) for one in orjson.loads(row["trends"]))})

    async def save_x_trends(self, account_id: str, reading: XTrendReading) -> None:
        """Store it in place of the one before."""
        trends = orjson.dumps(reading.trends).decode()
        told = (reading.woeid, reading.asked_at, reading.read_at, reading.problem, trends)
        await self._execute("save_x_trends", account_id, *told)

    async def posts(self, account_id: str) -> tuple[CollectedPost, ...]:
        """Return every post of the account that came by the API."""
        async with self._connect() as connection:
            rows = await connection.fetch(self._queries["collected_posts"], account_id)
        return tuple(CollectedPost(**row) for row in rows)

    async def mark_read(self, account_id: str, post_ids: Sequence[str], at: datetime) -> None:
        """Stored posts had their counts read."""
        await self._execute("mark_read", account_id, list(post_ids), at)

    async def mark_seen(self, account_id: str, post_ids: Sequence[str], at: datetime) -> None:
        """X returned posts."""
        await self._execute("mark_seen", account_id, list(post_ids), at)

    async def forget(self, account_id: str, post_ids: Sequence[str]) -> int:
        """Delete posts and all their readings, whatever told them; return how many posts that were."""
        return await self._forget(account_id, "forget_posts", account_id, list(post_ids))

    async def forget_before(self, account_id: str, before: datetime) -> int:
        """Delete what came by the API of posts from before then; what files told stays. Return of how many posts."""
        total = 0
        while True:
            forgotten = await self._forget(account_id, "forget_kept", account_id, before, FORGOTTEN_A_STATEMENT)
            total += forgotten
            if forgotten < FORGOTTEN_A_STATEMENT:
                return total

    async def expire(self, now: datetime) -> tuple[int, int]:
        """Delete queries and idempotency keys older than their accounts keep them; return how many of each."""
        return await self._expire("expire_queries", now), await self._expire("expire_keys", now)

    async def learns_from_api(self, account_id: str) -> bool:
        """Whether the account learns from what came by the API."""
        row = await self._fetchrow("learns_from_api", account_id)
        return bool(row and row[0])

    async def learn_from_api(self, account_id: str, on: bool) -> None:
        """Switch that."""
        async with self._audited() as connection:
            await connection.execute(self._queries["learn_from_api"], account_id, on)

    async def _expire(self, query: str, now: datetime) -> int:
        total = 0
        while True:
            row = await self._fetchrow(query, now, EXPIRED_A_STATEMENT)
            deleted = 0 if row is None else int(row[0])
            total += deleted
            if deleted < EXPIRED_A_STATEMENT:
                return total

    async def _forget(self, account_id: str, query: str, *arguments: object) -> int:
        async with self._audited("collector") as connection:
            await connection.execute(self._queries["lock_outcomes"], account_id)
            forgotten: int = await connection.fetchval(self._queries[query], *arguments)
            # A reading that is gone moves the median that the account's templates are measured against.
            if forgotten and await connection.fetchval(self._queries["any_template_outcome"], account_id):
                await connection.execute(self._queries["lock_templates"], account_id)
                await connection.execute(self._queries["update_outcomes"], account_id)
        return forgotten

    async def _fetchrow(self, query: str, *arguments: object) -> asyncpg.Record | None:
        async with self._connect() as connection:
            return await connection.fetchrow(self._queries[query], *arguments)

    async def _execute(self, query: str, *arguments: object) -> None:
        async with self._connect() as connection:
            await connection.execute(self._queries[query], *arguments)


def _job(row: asyncpg.Record | None) -> Job | None:
    return None if row is None else Job(**dict(row) | {"last_run": row["last_run"] and orjson.loads(row["last_run"])})
