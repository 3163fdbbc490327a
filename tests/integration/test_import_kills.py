"""An import that is killed half way leaves nothing, and can be repeated."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from deployments.imports import import_in_thread
from store.errors import StoreUnavailable
from store.migrate import migrate
from supervisor.embedded import EmbeddedPostgres
from tests.benchmarks.imports import upload, write

ROWS = 20_000
ALONE = """
import asyncio, sys
from pathlib import Path
from store.imports import import_file
from store.postgres import load_queries
from tests.benchmarks.imports import upload
asyncio.run(import_file(sys.argv[1], load_queries(), upload(Path(sys.argv[2]))))
"""


@pytest.fixture(scope="module")
def file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "content.csv"
        with path.open("w", newline="", encoding="utf-8") as made:
            write(made, ROWS)
        yield path


@pytest.fixture
def own_postgres() -> Iterator[EmbeddedPostgres]:
    folder = Path(tempfile.mkdtemp(prefix="murmuration-kills-"))
    folder.chmod(0o711)
    server = EmbeddedPostgres(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)


async def half_way(connection: asyncpg.Connection) -> None:
    """Return once rows are on their way into the table."""
    for _ in range(3_000):
        if await connection.fetchval("SELECT sum(tuples_processed) > 1000 FROM pg_stat_progress_copy"):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("no COPY began")


async def counts(url: str) -> list[int]:
    connection = await asyncpg.connect(url)
    tables = ("imports", "posts", "performance_metrics")
    found = [await connection.fetchval(f"SELECT count(*) FROM {table}") for table in tables]
    await connection.close()
    return found


async def test_postgres_killed_half_way_keeps_nothing_of_the_file(own_postgres: EmbeddedPostgres, file: Path) -> None:
    url = own_postgres.url
    await migrate(url)
    watching = await asyncpg.connect(url)
    importing = asyncio.create_task(import_in_thread(url, upload(file)))
    await half_way(watching)

    backends = await watching.fetch("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    for pid in [own_postgres.pid, *(row["pid"] for row in backends)]:
        # Some end by themselves once they see that the first one is gone.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    while own_postgres.running():  # noqa: ASYNC110  # it tells nobody
        await asyncio.sleep(0.01)

    with pytest.raises(StoreUnavailable):
        await importing
    watching.terminate()
    own_postgres.start()
    assert await counts(url) == [0, 0, 0]
    assert (await import_in_thread(url, upload(file))).imported == ROWS
    assert await counts(url) == [1, ROWS, ROWS]


async def test_an_importing_process_killed_half_way_keeps_nothing_of_the_file(database: str, file: Path) -> None:
    watching = await asyncpg.connect(database)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", ALONE, database, str(file))
    await half_way(watching)

    process.kill()

    assert await process.wait() == -signal.SIGKILL
    assert await counts(database) == [0, 0, 0]
    # The lock of the account went with the process: who sends the file again does not wait.
    async with asyncio.timeout(30):
        assert (await import_in_thread(database, upload(file))).imported == ROWS
    again = await import_in_thread(database, upload(file))
    assert (again.imported, again.unchanged) == (0, ROWS)
    await watching.close()
