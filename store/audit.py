"""The rows of the audit: who changed what, and when. Triggers of the database write them; here they are read.

What is no row of a table is written here: which weights are served.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import orjson

from store.table import Table

Action = Literal[
    "created",
    "started",
    "stopped",
    "concluded",
    "reallocated",
    "imported",
    "changed",
    "archived",
    "moved",
    "deleted",
    "revoked",
]
Kind = Literal["experiment", "import", "post", "template", "slot", "settings", "account", "weights", "key"]


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """What was done to one thing, or to several by one call.

    `actor` is the account, `key ID`, `collector`, `command` or `installation`; `detail` says what changed, by kind;
    `name` and `object_id` are None where there is none, `request_id` where no request asked for it.
    """

    id: int
    at: datetime
    actor: str
    action: Action
    kind: Kind
    object_id: str | None
    name: str | None
    detail: dict[str, Any]
    request_id: str | None


class AuditTable(Table):
    """Reads what one account did and what all are told. Raises what Store's methods raise."""

    async def page(
        self, account_id: str, *, before: int | None, action: Action | None, kind: Kind | None, limit: int
    ) -> tuple[AuditEntry, ...]:
        """Return up to `limit` entries, the newest first, those with an id below `before`."""
        async with self._connect() as connection:
            rows = await connection.fetch(self._queries["list_audit"], account_id, before, action, kind, limit)
        return tuple(AuditEntry(**dict(row) | {"detail": orjson.loads(row["detail"])}) for row in rows)

    async def record_weights(self, served: Mapping[str, str]) -> bool:
        """Write down which version of each model is served; return whether that is news.

        However many replicas say the same, one row is written; a model that is not told keeps its last version.
        """
        async with self._transaction() as connection:
            await connection.execute(self._queries["lock_weights"])
            found = await connection.fetchval(self._queries["record_weights"], orjson.dumps(served).decode())
        return found is not None
