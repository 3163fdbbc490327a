"""What the tables of one account at a time have in common: how they reach the pool, and the statements."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

    Connect = Callable[[], AbstractAsyncContextManager[PoolConnectionProxy[asyncpg.Record]]]

# The request that this task answers, for the rows of the audit that come of it.
CURRENT_REQUEST: ContextVar[str | None] = ContextVar("request_id", default=None)
# Who asks for it, where that is not the account by its own key.
CURRENT_ACTOR: ContextVar[str | None] = ContextVar("actor", default=None)


class Table:
    """Statements over connections of the pool, one alone or in a transaction."""

    def __init__(self, connect: Connect, transaction: Connect, queries: dict[str, str]) -> None:
        self._connect = connect
        self._transaction = transaction
        self._queries = queries

    @asynccontextmanager
    async def _audited(self, actor: str | None = None) -> AsyncIterator[PoolConnectionProxy[asyncpg.Record]]:
        """A transaction whose rows of the audit name the request, and who acts: `actor`, or who sent the request."""
        async with self._transaction() as connection:
            await connection.execute(self._queries["say_who"], CURRENT_REQUEST.get(), actor or CURRENT_ACTOR.get())
            yield connection
