"""Postgres dies, hangs, is full or read-only under a store that is in use."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import asyncpg
import pytest

from store.errors import StoreUnavailable
from store.postgres import Store
from supervisor.embedded import EmbeddedPostgres
from tests.integration.conftest import hanging

pytestmark = pytest.mark.clock


def kill(server: EmbeddedPostgres) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    while server.running():
        time.sleep(0.01)


async def test_a_store_connects_without_a_server_and_each_call_says_so(tmp_path: Path, answer) -> None:
    store = await Store.connect(f"postgresql://postgres@/x?host={tmp_path}", min_size=2, max_size=2, timeout_s=1.0)

    for call in (store.counts(), store.save_queries([answer()]), store.find_claim("default", "k")):
        with pytest.raises(StoreUnavailable):
            await call

    await store.close()


async def test_a_database_that_is_not_migrated_is_unavailable_until_it_is(empty_database: str) -> None:
    store = await Store.connect(empty_database, min_size=1, max_size=1, timeout_s=5.0)
    with pytest.raises(StoreUnavailable, match="UndefinedTable"):
        await store.counts()
    await store.close()


async def test_a_killed_postgres_fails_what_is_in_flight_and_the_next_call_after_its_return_succeeds(
    postgres: EmbeddedPostgres, database: str, answer
) -> None:
    store = await Store.connect(database, min_size=4, max_size=4, timeout_s=5.0)
    stored = [answer() for _ in range(4)]
    await asyncio.gather(*(store.save_queries([row]) for row in stored))
    blocker = await asyncpg.connect(database)
    await blocker.execute("BEGIN; LOCK TABLE analyzed_queries IN ACCESS EXCLUSIVE MODE")
    in_flight = [asyncio.create_task(store.save_queries([answer()])) for _ in range(3)]
    await asyncio.sleep(0.2)

    kill(postgres)

    outcomes = await asyncio.gather(*in_flight, return_exceptions=True)
    assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
    blocker.terminate()
    with pytest.raises(StoreUnavailable):
        await store.save_queries([answer()])
    postgres.start()
    await asyncio.gather(*(store.save_queries([answer()]) for _ in range(4)))
    assert (await store.counts())["analyzed_queries"] == 8
    await store.close()


async def test_a_restart_between_two_calls_is_not_noticed(postgres: EmbeddedPostgres, store: Store, answer) -> None:
    await asyncio.gather(*(store.save_queries([answer()]) for _ in range(4)))

    await asyncio.to_thread(postgres.stop)
    await asyncio.to_thread(postgres.start)

    await asyncio.gather(*(store.save_queries([answer()]) for _ in range(8)))
    assert (await store.counts())["analyzed_queries"] == 12


async def test_a_postgres_that_hangs_costs_one_timeout(database: str, answer) -> None:
    store = await Store.connect(database, min_size=1, max_size=1, timeout_s=1.0)
    async with hanging(store):
        started = time.monotonic()
        with pytest.raises(StoreUnavailable, match="no answer in time"):
            await store.save_queries([answer()])
        assert time.monotonic() - started < 1.9

        await store.save_queries([answer()])
    await store.close()


async def test_a_busy_pool_is_unavailable_when_the_time_is_over(
    database: str, connection: asyncpg.Connection, answer
) -> None:
    store = await Store.connect(database, min_size=1, max_size=1, timeout_s=0.5)
    await connection.execute("BEGIN; LOCK TABLE analyzed_queries IN ACCESS EXCLUSIVE MODE")

    outcomes = await asyncio.gather(*(store.save_queries([answer()]) for _ in range(3)), return_exceptions=True)
    await connection.execute("ROLLBACK")

    assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
    await store.save_queries([answer()])
    assert (await store.counts())["analyzed_queries"] == 1
    await store.close()


async def test_too_many_connections_are_unavailable(postgres: EmbeddedPostgres, database: str) -> None:
    superuser = postgres.url.replace("murmuration@/murmuration", "postgres@/postgres")
    await _execute(superuser, "CREATE ROLE crowded LOGIN CONNECTION LIMIT 0")
    store = await Store.connect(database.replace("murmuration@", "crowded@"), min_size=0, max_size=1, timeout_s=5.0)

    with pytest.raises(StoreUnavailable, match="TooManyConnections"):
        await store.counts()

    await store.close()
    await _execute(superuser, "DROP ROLE crowded")


async def test_a_read_only_database_is_unavailable_and_its_connections_are_replaced(
    database: str, connection: asyncpg.Connection, answer
) -> None:
    name = await connection.fetchval("SELECT current_database()")
    await connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    store = await Store.connect(database, min_size=2, max_size=2, timeout_s=5.0)
    with pytest.raises(StoreUnavailable, match="ReadOnly"):
        await store.save_queries([answer()])

    await connection.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')

    await asyncio.gather(store.save_queries([answer()]), store.save_queries([answer()]))
    await store.close()


async def _execute(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(sql)
    await connection.close()
