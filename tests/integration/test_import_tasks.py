"""Imports as the product runs them, in tasks of a real Ray: who leaves ends his import, and no other's file is read."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import asyncpg
import httpx
import psutil
import pytest
import ray

from deployments.http.gate import Gate
from deployments.http.ingress import create_api
from deployments.http.problems import Problem
from deployments.http.uploads import path_of
from deployments.imports import Imports, RunImport, import_in_task, import_in_thread, waiting_file
from deployments.library import Library
from deployments.own_posts import OwnPosts
from store.imports import Upload
from store.postgres import Store, load_queries
from tests.integration.conftest import KEYS, Front, caller
from tests.integration.test_import_api import content, row, send
from tests.integration.test_import_kills import counts

FILE = content(row(1), row(2))
WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'murmuration-outcomes' AND wait_event_type = 'Lock'
"""


@pytest.fixture(scope="module", autouse=True)
def own_ray() -> Iterator[None]:
    # A short path: Ray's sockets stand below it.
    handler, folder = signal.getsignal(signal.SIGTERM), tempfile.mkdtemp(prefix="mm", dir="/tmp")
    # What Ray says to the processes that it starts is not for those of other tests.
    with mock.patch.dict(os.environ):
        ray.init(
            address="local",
            num_cpus=1,
            object_store_memory=100 << 20,
            include_dashboard=False,
            log_to_driver=False,
            configure_logging=False,
            _temp_dir=folder,
        )
        yield
        ray.shutdown()
    signal.signal(signal.SIGTERM, handler)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def imports(database: str) -> Imports:
    """One place for an account."""
    return Imports(database, import_in_task, at_once=2)


@pytest.fixture
def gate(store: Store, library: Library, imports: Imports) -> Gate:
    answers = SimpleNamespace(library=library, store=store, own_posts=OwnPosts(store))
    gate = Gate(create_api(Front(answers, imports)), KEYS, lambda *_: None)
    gate.max_requests = 64
    return gate


@pytest.fixture
async def blocked(client: httpx.AsyncClient, database: str) -> AsyncIterator[asyncio.Task[httpx.Response]]:
    """An upload whose task waits in the database for another writer of the account."""
    async with writing(database, "default"):
        sending = asyncio.create_task(send(client, FILE))
        await until_waiting(database, 1)
        yield sending
        # The connection of the task goes before the other writer ends.
        await until_waiting(database, 0)
    assert await counts(database) == [0, 0, 0]
    assert (await send(client, FILE)).json()["imported"] == 2


@asynccontextmanager
async def writing(database: str, account: str) -> AsyncIterator[None]:
    """Another writer of an account's outcomes, amid its transaction."""
    connection = await asyncpg.connect(database)
    try:
        async with connection.transaction():
            await connection.execute(load_queries()["lock_outcomes"], account)
            yield
    finally:
        await connection.close()


async def until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.01)


async def until_waiting(database: str, imports: int) -> None:
    """Return once as many imports wait in the database for another writer."""
    connection = await asyncpg.connect(database)
    try:
        async with asyncio.timeout(60):
            while await connection.fetchval(WAITING) != imports:  # noqa: ASYNC110  # the database tells nobody
                await asyncio.sleep(0.02)
    finally:
        await connection.close()


def importing() -> list[psutil.Process]:
    """The processes that run an import now; one that ended and was not waited for yet is none."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.name() == "ray::_told" and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def files() -> list[Path]:
    """The files without a name that this process has open and that hold an upload."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        # The one that lists them is gone by now.
        with contextlib.suppress(FileNotFoundError):
            if "(deleted)" in str(descriptor.readlink()) and descriptor.stat().st_size == len(FILE):
                found.append(descriptor)
    return found


async def test_who_leaves_ends_the_task_and_nothing_of_the_file_is_stored(
    blocked: asyncio.Task[httpx.Response], imports: Imports
) -> None:
    assert len(importing()) == len(files()) == 1

    blocked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await blocked

    await until(lambda: not importing(), 1)
    assert files() == []
    with imports.turn("default"):
        pass


async def test_the_place_and_the_file_are_held_until_the_task_has_ended(
    blocked: asyncio.Task[httpx.Response], client: httpx.AsyncClient, imports: Imports
) -> None:
    (process,) = importing()
    # It hears the order to end, and follows it, when it goes on; Ray kills it after five seconds.
    process.suspend()
    blocked.cancel()
    assert (await send(client, FILE)).status_code == HTTPStatus.TOO_MANY_REQUESTS
    assert importing() == [process]
    assert len(files()) == 1
    assert not blocked.done()

    process.resume()
    with pytest.raises(asyncio.CancelledError):
        await blocked
    await until(lambda: not importing(), 1)
    assert files() == []
    with imports.turn("default"):
        pass


async def test_who_is_cancelled_again_gives_the_place_back_at_once(
    blocked: asyncio.Task[httpx.Response], imports: Imports
) -> None:
    (process,) = importing()
    process.suspend()
    blocked.cancel()
    await asyncio.sleep(0.1)
    assert not blocked.done()

    blocked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await blocked

    assert importing() == [process]
    assert files() == []
    with imports.turn("default"):
        pass
    process.resume()


@pytest.mark.parametrize("after_s", [0.0, 0.1])
async def test_who_leaves_before_the_task_has_begun_ends_it_too(
    database: str, client: httpx.AsyncClient, after_s: float
) -> None:
    async with writing(database, "default"):
        sending = asyncio.create_task(send(client, FILE))
        await until(lambda: bool(files()), 20)
        await asyncio.sleep(after_s)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await until(lambda: not importing(), 1)
    assert await counts(database) == [0, 0, 0]
    assert (await send(client, FILE)).json()["imported"] == 2


async def test_the_end_of_one_import_leaves_another_alone(
    database: str, blocked: asyncio.Task[httpx.Response], gate: Gate
) -> None:
    async with caller(gate, "acme") as other:
        async with writing(database, "acme"):
            sending = asyncio.create_task(send(other, FILE))
            await until_waiting(database, 2)

            blocked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await blocked

        assert (await sending).json()["imported"] == 2
        # What the end of every test of one that left counts is of the database as a whole.
        await Imports(database, import_in_task).delete_account("acme")


@pytest.mark.parametrize("run", [import_in_task, import_in_thread])
async def test_a_task_at_whose_path_another_file_is_by_now_refuses_it(database: str, run: RunImport) -> None:
    other = content(row(1), row(3))
    assert len(other) == len(FILE)
    with waiting_file() as mine, waiting_file() as theirs:
        theirs.write(other)
        theirs.flush()
        upload = Upload(
            id=uuid.uuid4(),
            account_id="default",
            path=path_of(mine),
            file_name=None,
            file_hash=hashlib.sha256(FILE).digest(),
            captured_at=None,
            sent_at=datetime.now(UTC),
        )
        # As if mine had been closed and theirs, opened next, had taken its number.
        os.dup2(theirs.fileno(), mine.fileno())

        with pytest.raises(Problem if run is import_in_task else FileNotFoundError) as refused:
            await Imports(database, run).run(upload)

    if isinstance(refused.value, Problem):
        assert (refused.value.status, refused.value.detail) == (503, "The import ended early; send the file again.")
    assert await counts(database) == [0, 0, 0]
