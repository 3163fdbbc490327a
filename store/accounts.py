"""What an account wants of every part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.records import AccountSettings
from store.table import Table

if TYPE_CHECKING:
    pass


class AccountTable(Table):
    """Reads and writes the settings of one account at a time. Raises what Store's methods raise."""

    async def settings(self, account_id: str) -> AccountSettings:
        """Return what the account wants; the defaults where it never said."""
        async with self._connect() as connection:
            row = await connection.fetchrow(self._queries["account_settings"], account_id)
        if row is None:
            return AccountSettings()
        return AccountSettings(
            length_limit=row["length_limit"],
            time_zone=row["time_zone"],
            query_retention_days=row["query_retention_days"],
        )

    async def save(self, account_id: str, wanted: AccountSettings) -> None:
        """Replace what the account wants."""
        async with self._audited() as connection:
            await connection.execute(
                self._queries["save_account_settings"],
                account_id,
                wanted.length_limit,
                wanted.time_zone,
                wanted.query_retention_days,
            )
