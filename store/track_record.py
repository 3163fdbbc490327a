"""The predictions that were stored with an account's queries, as its track record needs them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from pipelines.outcomes.matching import StoredPrediction
from store.table import Table

if TYPE_CHECKING:
    pass


class PredictionTable(Table):
    """Reads the predictions of one account at a time. Raises what Store's methods raise."""

    async def said(
        self, account_id: str, *, since: datetime, until: datetime, queries: int
    ) -> tuple[StoredPrediction, ...]:
        """Return what was predicted for the newest `queries` queries, `since` on and before `until`, in no order."""
        async with self._connect() as connection:
            rows = await connection.fetch(self._queries["list_predictions"], account_id, since, until, queries)
        return tuple(StoredPrediction(**row) for row in rows)

    async def last_import(self, account_id: str) -> UUID | None:
        """Return the newest import of the account, None where nothing was ever imported."""
        async with self._connect() as connection:
            found: UUID | None = await connection.fetchval(self._queries["last_import"], account_id)
        return found
