"""One real Postgres and one real Redis for the session; a migrated database of its own for each test."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
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

from deployments import keys, snapshots
from deployments.http.gate import Gate
from deployments.http.ingress import create_api
from deployments.imports import Imports, import_in_thread
from deployments.keys import StoredKeys
from deployments.library import Library
from deployments.live import Live
from deployments.own_posts import OwnPosts
from deployments.settings import IngressConfig, read_serve_config
from deployments.upkeep import Upkeep
from store.cache import Cache
from store.errors import StoreUnavailable
from store.migrate import migrate
from store.postgres import AnalyzedQuery, Store
from store.templates import Reading, save_readings
from supervisor.embedded import EmbeddedPostgres, EmbeddedRedis, find_url
from supervisor.ports import free_port

Answer = Callable[..., AnalyzedQuery]
ROOT = Path(__file__).resolve().parents[2]
SERVED = read_serve_config(ROOT / "serve_config.yaml").applications[0]
INGRESS = IngressConfig.model_validate(SERVED.deployments[0].user_config)
# A disk that need not sync: databases come and go with every test. What a kill of the server loses is the same there.
MEMORY = Path("/dev/shm")
COLLECTOR = INGRESS.collector
KEYS = {"default": "d" * 20, "acme": "a" * 20}


@dataclass
class Front:
    """Routes without a cluster: the store and the library, no models; files are imported in a thread."""

    answers: Any
    imports: Imports | None = None
    upkeep: Upkeep | None = None
    live: Live | None = None
    keys: StoredKeys | None = None
    not_ready: tuple[()] = ()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The whole product starts, and hundreds of calls follow. A mark would count more than the `--timeout` of a run."""
    if config.getoption("timeout") is None:
        for item in items:
            if "product" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.timeout(600))


@pytest.fixture
def is_patient(request: pytest.FixtureRequest) -> bool:
    """Whether the clock is not what the test is about: then all may take as long as a busy machine wants."""
    return request.node.get_closest_marker("clock") is None


@pytest.fixture(autouse=True)
def patient(is_patient: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if is_patient:
        monkeypatch.setattr(snapshots, "FIRST_LOAD_S", 20.0)
        monkeypatch.setattr(keys, "LOOK_TIMEOUT_S", 20.0)


@pytest.fixture(scope="session")
def servers_folder() -> Iterator[Path]:
    # Not tmp_path: the user that Postgres runs as could not pass through it.
    folder = Path(tempfile.mkdtemp(prefix="murmuration-tests-", dir=MEMORY if MEMORY.is_dir() else None))
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


@dataclass(frozen=True)
class Product:
    """The whole product in a process of its own, with its models; without its writer unless `--writer` says so."""

    url: str
    database_url: str

    def client(self, account: str) -> httpx.Client:
        """Calls with the key of an account, each on a connection of its own: the server ends those that idle."""
        headers, limits = {"x-api-key": key_of(account)}, httpx.Limits(max_keepalive_connections=0)
        return httpx.Client(base_url=self.url, headers=headers, limits=limits, timeout=120, trust_env=False)


ACCOUNTS = ("default", "acme", "stranger-1", "stranger-2")


def key_of(account: str) -> str:
    """The key of an account of the whole product."""
    return f"a-key-for-the-tests-of-{account}"


@pytest.fixture(scope="session")
def product(servers_folder: Path, request: pytest.FixtureRequest) -> Iterator[Product]:
    folder, port = servers_folder / "product", free_port()
    folder.mkdir()
    folder.chmod(0o711)
    with_keys = [f"{account}={key_of(account)}" for account in ACCOUNTS]
    command = [sys.executable, "-m", "tests.one_process", "--port", str(port), "--data", str(folder)]
    command += ["--deadlines", "60", "30"]
    command += [] if request.config.getoption("--writer") else ["--no-writer"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, "--accounts", *with_keys], cwd=ROOT, stdout=log, stderr=log)
    product = Product(f"http://127.0.0.1:{port}", "")
    try:
        while not _answers(product):
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.2)
        yield Product(product.url, find_url(folder))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(120)


def _answers(product: Product) -> bool:
    try:
        return httpx.get(f"{product.url}/readyz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


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
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def _drop(postgres: EmbeddedPostgres, name: str) -> None:
    """Drop a database and end who is still in it.

    The server's own vacuum may be among them for a moment, and Postgres lets only a superuser end that.
    """
    for wait in (0.1, 0.5, 2.0, 8.0, None):
        try:
            await _execute(postgres.url, f'DROP DATABASE "{name}" WITH (FORCE)')
        except asyncpg.InsufficientPrivilegeError:
            if wait is None:
                raise
            await asyncio.sleep(wait)
        else:
            return


@pytest.fixture
async def empty_database(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    name = f"empty_{uuid.uuid4().hex}"
    await _execute(postgres.url, f'CREATE DATABASE "{name}"')
    yield _database(postgres.url, name)
    await _drop(postgres, name)


@pytest.fixture
async def database(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    await _execute(postgres.url, f'CREATE DATABASE "{name}" TEMPLATE "migrated"')
    yield _database(postgres.url, name)
    postgres.start()  # for the tests that end it
    await _drop(postgres, name)


@pytest.fixture
async def connection(database: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


@pytest.fixture
async def store(database: str, is_patient: bool) -> AsyncIterator[Store]:
    store = await Store.connect(database, min_size=1, max_size=4, timeout_s=30.0 if is_patient else 5.0)
    yield store
    await store.close()


@pytest.fixture
async def cache(redis: EmbeddedRedis, is_patient: bool) -> AsyncIterator[Cache]:
    cache = Cache(redis.url, namespace=uuid.uuid4().hex, ttl_s=60, timeout_s=30.0 if is_patient else 3.0)
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
async def hanging(store: Store) -> AsyncIterator[None]:
    """Stop the backend of the store's only connection, which is opened again where a slow machine has lost it."""
    while True:
        with contextlib.suppress(StoreUnavailable):
            async with store._connection() as connection:
                backend = connection.get_server_pid()
                break
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
def gate(store: Store, library: Library, database: str) -> Gate:
    answers = SimpleNamespace(library=library, store=store, own_posts=OwnPosts(store), on_answer=lambda _: None)
    live = Live(store.figures.of, None, INGRESS.live)
    stored = StoredKeys(every_s=5, grace_s=60)
    stored.table = store.keys
    front = Front(answers, Imports(database, import_in_thread), Upkeep(store, None, COLLECTOR), live, stored)
    gate = Gate(create_api(front), KEYS, lambda *_: None, stored=stored)
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
