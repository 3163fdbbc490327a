"""The rows of link_visits, and what the contents that they name are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import date
from typing import TYPE_CHECKING
from uuid import UUID

from pipelines.outcomes.ga4 import Visits
from store.outcomes import Import, Merged, record_import
from store.table import Table

if TYPE_CHECKING:
    pass

MAX_SPANS = 1_000


@dataclass(frozen=True, kw_only=True)
class Span:
    """Visits of one content from `first_day` to `last_day`, and the import that told of them; None is unknown."""

    first_day: date
    last_day: date
    sessions: int
    engaged_sessions: int | None
    key_events: float | None
    revenue: float | None
    import_id: str


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a content is: a candidate by its id, or a variant; fields of the other kind are None."""

    text: str | None
    template: str | None = None
    query_id: str | None = None
    experiment_id: str | None = None
    variant: str | None = None


class LinkTable(Table):
    """Reads and changes the visits of one account at a time. Raises what Store's methods raise."""

    async def save(self, told: Import, visits: Sequence[Visits], *, rejected: int) -> Merged:
        """Store visits, of which no two have content and span in common, and the import that brought them."""
        columns = list(zip(*map(astuple, visits), strict=True)) if visits else [()] * 7
        async with self._audited() as connection:
            await connection.execute(self._queries["lock_outcomes"], told.account_id)
            row = await connection.fetchrow(self._queries["save_visits"], told.account_id, *columns, told.id)
            if row is None:
                raise AssertionError("an aggregate without a row")
            merged = Merged(row["imported"], row["updated"], len(visits) - row["imported"] - row["updated"], 0, ())
            await record_import(connection, self._queries, told, merged, rejected=rejected)
        return merged

    async def spans(self, account_id: str, utm_content: str) -> tuple[Span, ...]:
        """Return the latest MAX_SPANS spans of a content, the latest first."""
        async with self._connect() as connection:
            rows = await connection.fetch(self._queries["list_visits"], account_id, utm_content, MAX_SPANS)
        return tuple(Span(**row) for row in rows)

    async def origin(self, account_id: str, utm_content: str) -> Origin | None:
        """Return what a content is: the id of a candidate, or `experiment id:variant`; None where it is neither."""
        experiment, colon, variant = utm_content.partition(":")
        async with self._connect() as connection:
            if colon and (identity := _uuid(experiment)):
                row = await connection.fetchrow(self._queries["find_variant"], account_id, identity, variant)
            else:
                row = await connection.fetchrow(self._queries["find_candidate"], account_id, utm_content)
        return Origin(**row) if row else None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
