"""The rows of the product in Postgres, over a pool that survives the server's restarts.

Knows no models and no HTTP: JSON comes in as bytes and goes out as bytes.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from pipelines.records import Degraded, Template
from store.accounts import AccountTable
from store.audience import AudienceTable
from store.audit import AuditTable
from store.authorship import Authorship
from store.collector import CollectorTable
from store.errors import DRIVER_ERRORS, ConnectionLost, StoreUnavailable, translate
from store.experiments import ExperimentTable
from store.figures import FigureTable
from store.imports import ImportTable
from store.keys import KeyTable
from store.links import LinkTable
from store.outcomes import OutcomeTable
from store.plan import PlanTable
from store.templates import TemplateTable
from store.track_record import PredictionTable
from store.vitals import VitalTable

if TYPE_CHECKING:
    from asyncpg.pool import Pool, PoolConnectionProxy

CLAIM_ATTEMPTS = 3
FOLDER = Path(__file__).parent
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyzedQuery:
    """One answered query; `id` is minted by the caller, `viral_score` in [0, 100], the byte fields are JSON objects."""

    id: UUID
    account_id: str
    query_text: str
    request: bytes
    analysis_result: bytes
    viral_score: float | None
    degraded: tuple[Degraded, ...]
    model_versions: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """What was answered under an idempotency key, and the hash of the request that was answered."""

    request_hash: bytes
    response: bytes
    status: int


def load_queries() -> dict[str, str]:
    """Return name -> statement of the SQL files of this folder, in which `-- name: x` opens each statement."""
    # Not aiosql: its asyncpg adapter cannot pass a timeout and leaves every call untyped.
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.sql")))
    _, *parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)
    return {name: sql.strip() for name, sql in zip(parts[::2], parts[1::2], strict=True)}


class _Connection(asyncpg.Connection):
    def get_reset_query(self) -> str:
        """Nothing: our statements leave no session state, and the reset costs a round trip each time."""
        return ""


class Store:
    """The pool and its statements.

    Every method raises StoreUnavailable when Postgres cannot be used in time and RowRefused for a value that it does
    not take. Nothing of a refused batch or claim is stored; one that was unavailable may be repeated with the same ids.
    """

    def __init__(self, pool: Pool[asyncpg.Record], timeout_s: float) -> None:
        self._pool = pool
        self._timeout_s = timeout_s
        self._queries = load_queries()
        self.templates = TemplateTable(self._connection, self._transaction, self._queries)
        self.experiments = ExperimentTable(self._connection, self._transaction, self._queries)
        self.accounts = AccountTable(self._connection, self._transaction, self._queries)
        self.outcomes = OutcomeTable(self._connection, self._transaction, self._queries)
        self.collector = CollectorTable(self._connection, self._transaction, self._queries)
        self.predictions = PredictionTable(self._connection, self._transaction, self._queries)
        self.plan = PlanTable(self._connection, self._transaction, self._queries)
        self.imports = ImportTable(self._connection, self._transaction, self._queries)
        self.authorship = Authorship(self._connection, self._transaction, self._queries)
        self.audience = AudienceTable(self._connection, self._transaction, self._queries)
        self.links = LinkTable(self._connection, self._transaction, self._queries)
        self.vitals = VitalTable(self._connection, self._transaction, self._queries)
        self.audit = AuditTable(self._connection, self._transaction, self._queries)
        self.figures = FigureTable(self._connection, self._transaction, self._queries)
        self.keys = KeyTable(self._connection, self._transaction, self._queries)

    @classmethod
    async def connect(cls, dsn: str, *, min_size: int, max_size: int, timeout_s: float) -> Store:
        """Return a store with up to `min_size` connections open; a server that is down is connected to when it is back.

        `timeout_s` bounds every call, the wait for a free connection included.
        """
        pool = asyncpg.create_pool(
            dsn,
            # The pool's own floor would fail here when the server is down.
            min_size=0,
            max_size=max_size,
            timeout=timeout_s,
            connection_class=_Connection,
            server_settings={
                "application_name": "murmuration",
                # Sooner than the caller gives up: what the server cancelled is surely not stored.
                "statement_timeout": str(int(timeout_s * 900)),
            },
        )
        store = cls(await pool, timeout_s)
        opened = await asyncio.gather(*(store._warm_up() for _ in range(min_size)), return_exceptions=True)
        if failures := [result for result in opened if isinstance(result, StoreUnavailable)]:
            logger.warning("%s", failures[0], extra={"action": "store_unavailable"})
        return store

    async def close(self) -> None:
        """Close the pool; what is still running after the timeout is cut off."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._pool.close()
        except TimeoutError:
            logger.warning("connections cut off", extra={"action": "store_closed"})

    async def save_queries(self, rows: Sequence[AnalyzedQuery]) -> None:
        """Store the rows; all are committed on return. A row whose id is there already is left alone."""
        if not rows:
            return
        columns = list(zip(*map(_columns, rows), strict=True))
        async with self._connection() as connection:
            await connection.execute(self._queries["save_queries"], *columns)

    async def claim(  # noqa: PLR0917  # the columns of the key, in their order
        self, row: AnalyzedQuery, key: str, route: str, request_hash: bytes, response: bytes, status: int
    ) -> Claim | None:
        """Store the row and the response under an idempotency key of its account, both or neither.

        Returns None when this call stored them, else what an earlier or concurrent call stored under the key.
        """
        for _ in range(CLAIM_ATTEMPTS):
            async with self._connection() as connection:
                won = await connection.fetchval(
                    self._queries["claim"], *_columns(row), key, route, request_hash, response, status
                )
            if won:
                return None
            if earlier := await self.find_claim(row.account_id, key):
                return earlier
            # The key was deleted in between, so it is free again.
        raise StoreUnavailable(f"an idempotency key vanished {CLAIM_ATTEMPTS} times")

    async def find_claim(self, account_id: str, key: str) -> Claim | None:
        """Return what was answered under an idempotency key."""
        async with self._connection() as connection:
            found = await connection.fetchrow(self._queries["find_claim"], account_id, key)
        return Claim(**found) if found else None

    async def seed_templates(self, templates: Sequence[Template], account_id: str = "default") -> int:
        """Bring the bundled templates of an account up to date; return how many were new, changed or withdrawn.

        Withdrawn are bundled ones that are not among `templates`; they come back with a release that ships them. What
        the account changed or archived itself, what was learned, and unchanged rows are left alone.
        """
        if not templates:
            return 0
        columns = list(zip(*map(astuple, templates), strict=True))[:7]
        async with self._transaction() as connection:
            await connection.execute(self._queries["lock_templates"], account_id)
            changed: int = await connection.fetchval(self._queries["seed_templates"], *columns, account_id)
        return changed

    async def counts(self) -> dict[str, int]:
        """Return table -> rows, exact and committed; the cost does not grow with the tables."""
        async with self._connection() as connection:
            return {row["table_name"]: row["n_rows"] for row in await connection.fetch(self._queries["counts"])}

    async def _warm_up(self) -> None:
        async with self._connection() as connection:
            await connection.prepare(self._queries["save_queries"])

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[PoolConnectionProxy[asyncpg.Record]]:
        async with self._connection() as connection:
            try:
                await connection.execute("BEGIN")
                yield connection
                await connection.execute("COMMIT")
            except asyncpg.PostgresError:
                await connection.execute("ROLLBACK")
                raise
            except BaseException:
                # Out of time or left alone: a server that hangs would not answer a rollback either.
                connection.terminate()
                raise

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[PoolConnectionProxy[asyncpg.Record]]:
        connection = None
        try:
            async with asyncio.timeout(self._timeout_s):
                connection = await self._pool.acquire()
                yield connection
        except DRIVER_ERRORS as error:
            if isinstance(error, TimeoutError) and connection is not None:
                # Its state is unknown, and asking a server that hangs to cancel would take as long again.
                # A transaction has done so already.
                with suppress(asyncpg.InterfaceError):
                    connection.terminate()
            translated = translate(error)
            if isinstance(translated, ConnectionLost):
                # The others of the pool are likely to be of no use either.
                await self._pool.expire_connections()
            raise translated from error
        finally:
            if connection is not None:
                # The work is done or has failed already; a connection that cannot be given back is not news.
                with suppress(*DRIVER_ERRORS):
                    await self._pool.release(connection, timeout=self._timeout_s)


def _columns(row: AnalyzedQuery) -> tuple[UUID, str, str, bytes, bytes, float | None, str, bytes]:
    # An array of ragged arrays cannot be unnested; the names in `degraded` hold no comma.
    return (
        row.id,
        row.account_id,
        row.query_text,
        row.request,
        row.analysis_result,
        row.viral_score,
        ",".join(row.degraded),
        row.model_versions,
    )
