"""One real Postgres and one real Redis for the session; a migrated database of its own for each test."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import httpx
import pytest
from starlette.types import ASGIApp

from deployments.http.gate import Gate
from deployments.http.ingress import create_api
from deployments.library import Library
from store.cache import Cache
from store.migrate import migrate
from store.postgres import AnalyzedQuery, Store
from store.templates import Reading, save_readings
from supervisor.embedded import EmbeddedPostgres, EmbeddedRedis

Answer = Callable[..., AnalyzedQuery]
KEYS = {"default": "d" * 20, "acme": "a" * 20}


@dataclass
class Front:
    """Routes without a cluster: the store and the library, no models."""

    answers: Any
    not_ready: tuple[()] = ()


@pytest.fixture(scope="session")
def servers_folder() -> Iterator[Path]:
    # Not tmp_path: the user that Postgres runs as could not pass through it.
    folder = Path(tempfile.mkdtemp(prefix="murmuration-tests-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres(servers_folder: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(servers_folder)
    server.start()
    asyncio.run(_execute(server.url, 'CREATE DATABASE "migrated"'))
    asyncio.run(migrate(_database(server.url, "migrated")))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def shared_database(postgres: EmbeddedPostgres) -> str:
    """For tests that roll back what they do."""
    asyncio.run(_execute(postgres.url, 'CREATE DATABASE "shared" TEMPLATE "migrated"'))
    return _database(postgres.url, "shared")


@pytest.fixture(scope="session")
def redis(servers_folder: Path) -> Iterator[EmbeddedRedis]:
    server = EmbeddedRedis(servers_folder)
    server.start()
    yield server
    server.stop()


def _database(url: str, name: str) -> str:
    return url.replace("@/murmuration", f"@/{name}")


async def _execute(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(sql)
    await connection.close()


@pytest.fixture
async def empty_database(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    name = f"empty_{uuid.uuid4().hex}"
    await _execute(postgres.url, f'CREATE DATABASE "{name}"')
    yield _database(postgres.url, name)
    await _execute(postgres.url, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
async def database(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    await _execute(postgres.url, f'CREATE DATABASE "{name}" TEMPLATE "migrated"')
    yield _database(postgres.url, name)
    postgres.start()  # for the tests that end it
    await _execute(postgres.url, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
async def connection(database: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


@pytest.fixture
async def store(database: str) -> AsyncIterator[Store]:
    store = await Store.connect(database, min_size=1, max_size=4, timeout_s=5.0)
    yield store
    await store.close()


@pytest.fixture
async def cache(redis: EmbeddedRedis) -> AsyncIterator[Cache]:
    cache = Cache(redis.url, namespace=uuid.uuid4().hex, ttl_s=60, timeout_s=0.5)
    yield cache
    await cache.close()
    redis.start()


@pytest.fixture
def answer() -> Answer:
    """Makes rows; keyword arguments replace single fields."""

    def make(**fields: object) -> AnalyzedQuery:
        usual = {
            "id": uuid.uuid4(),
            "account_id": "default",
            "query_text": "we open a café in Lisbon 🚀",
            "request": json.dumps({"query": "we open a café in Lisbon 🚀"}).encode(),
            "analysis_result": json.dumps({"analysis": {"language": "en"}, "templates": []}).encode(),
            "viral_score": 61.25,
            "degraded": (),
            "model_versions": b'{"sentiment": "1"}',
        }
        return AnalyzedQuery(**(usual | fields))

    return make


@asynccontextmanager
async def hanging(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """Stop the backend that serves the store's only connection to the database of `connection`."""
    backend = await connection.fetchval(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'murmuration' AND datname = current_database()"
    )
    os.kill(backend, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(backend, signal.SIGCONT)


async def save_metrics(store: Store, rows: Sequence[Reading]) -> int:
    """Store readings in a transaction of their own, as the conclusion of an experiment does in its."""
    async with store._transaction() as connection:
        return await save_readings(connection, store._queries, rows)


@pytest.fixture
def library(store: Store) -> Library:
    return Library(store)


@pytest.fixture
def gate(store: Store, library: Library) -> Gate:
    gate = Gate(create_api(Front(SimpleNamespace(library=library, store=store))), KEYS, lambda *_: None)
    gate.max_requests = 64
    return gate


@pytest.fixture
async def client(gate: Gate) -> AsyncIterator[httpx.AsyncClient]:
    async with caller(gate, "default") as client:
        yield client


def caller(gate: ASGIApp, account: str) -> httpx.AsyncClient:
    """A client with the key of an account."""
    transport = httpx.ASGITransport(gate)
    return httpx.AsyncClient(transport=transport, base_url="http://test", headers={"x-api-key": KEYS[account]})


def fields(response: httpx.Response) -> list[str]:
    """The fields that a problem names."""
    assert response.headers["content-type"] == "application/problem+json"
    return [error["field"] for error in response.json()["errors"]]
