"""The rows of the plan: what an account wants to post, and when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from pipelines.audience.bulk import Slot
from store.table import Table

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

# Of what is still to come: a year of a few posts a day, and a list that one answer holds.
MAX_SLOTS = 2_000


class PlanTable(Table):
    """Reads and changes the plan of one account at a time; an id of another account is unknown.

    Raises what Store's methods raise.
    """

    async def state_of_outcomes(self, account_id: str) -> tuple[object, ...]:
        """Return what is another value once the account's posts or their readings changed; cheap at any size.

        It may change without them, when another account's do.
        """
        async with self._connect() as connection:
            row = await connection.fetchrow(self._queries["state_of_outcomes"], account_id)
        return tuple(row) if row else ()

    async def slots(
        self, account_id: str, since: datetime | None = None, until: datetime | None = None
    ) -> tuple[Slot, ...]:
        """Return up to MAX_SLOTS slots, `since` on and before `until`, in order of time."""
        async with self._connect() as connection:
            rows = await connection.fetch(self._queries["list_slots"], account_id, since, until, MAX_SLOTS)
        return tuple(map(_slot, rows))

    async def taken(self, account_id: str, since: datetime, until: datetime) -> tuple[datetime, ...]:
        """Return when posts are planned already, `since` on and before `until`, ascending."""
        async with self._connect() as connection:
            return await self._taken(connection, account_id, since, until)

    async def save(  # noqa: PLR0917  # what was planned, then what it was planned against
        self,
        account_id: str,
        slots: Sequence[tuple[UUID, str | None, str, datetime, float | None]],
        zone: str,
        now: datetime,
        span: tuple[datetime, datetime],
        taken: tuple[datetime, ...],
    ) -> tuple[Slot, ...] | Literal["changed", "full"]:
        """Store (id, candidate_id, text, at, expected) rows, all or none, and return them in order of time.

        "changed" where the plan of the span is no longer what `taken` said, "full" where more than MAX_SLOTS would be
        to come: nothing is stored then.
        """
        columns = [list(column) for column in zip(*slots, strict=True)] if slots else [[], [], [], [], []]
        async with self._audited() as connection:
            await connection.execute(self._queries["lock_plan"], account_id)
            if await self._taken(connection, account_id, *span) != taken:
                return "changed"
            if await connection.fetchval(self._queries["count_slots"], account_id, now) + len(slots) > MAX_SLOTS:
                return "full"
            *most, expected = columns
            rows = await connection.fetch(self._queries["save_slots"], account_id, *most, [zone] * len(slots), expected)
        return tuple(sorted(map(_slot, rows), key=lambda slot: slot.at))

    async def change(
        self, account_id: str, slot_id: UUID, at: datetime | None, text: str | None, distance: timedelta
    ) -> Slot | Literal["crowded"] | None:
        """Give a slot another moment or text; None where it is unknown, "crowded" where another is within `distance`.

        Nothing is changed then.
        """
        async with self._audited() as connection:
            await connection.execute(self._queries["lock_plan"], account_id)
            if at and await connection.fetchval(self._queries["crowded"], account_id, slot_id, at, distance):
                known = await connection.fetchrow(self._queries["find_slot"], account_id, slot_id)
                return "crowded" if known else None
            row = await connection.fetchrow(self._queries["change_slot"], account_id, slot_id, at, text)
        return None if row is None else _slot(row)

    async def delete(self, account_id: str, slot_id: UUID) -> bool:
        """Take a slot out of the plan for good; return whether there was one."""
        async with self._audited() as connection:
            return await connection.fetchval(self._queries["delete_slot"], account_id, slot_id) is not None

    async def _taken(
        self, connection: PoolConnectionProxy[asyncpg.Record], account_id: str, since: datetime, until: datetime
    ) -> tuple[datetime, ...]:
        rows = await connection.fetch(self._queries["moments_planned"], account_id, since, until)
        return tuple(row["at"] for row in rows)


def _slot(row: asyncpg.Record) -> Slot:
    return Slot(**(dict(row) | {"id": UUID(bytes=row["id"].bytes)}))
