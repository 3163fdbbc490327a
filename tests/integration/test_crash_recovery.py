"""A Postgres that was killed with much to replay is waited for as long as it says that it starts, and no longer."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import asyncpg
import psutil
import pytest

from store.errors import ServerFailed
from supervisor import server
from supervisor.embedded import EmbeddedPostgres
from supervisor.main import ROOT
from supervisor.server import StartEnded
from supervisor.stopping import Stop

pytestmark = pytest.mark.clock

ROWS = 1_000_000  # over 100 MB in the log, and a second or two to replay
TIMEOUT_S = 3.0


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    # Not tmp_path: the user that Postgres runs as could not pass through it.
    folder = Path(tempfile.mkdtemp(prefix="murmuration-tests-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def crashed(folder: Path) -> Iterator[EmbeddedPostgres]:
    """A Postgres that was killed right after it had written `ROWS` rows."""
    postgres = EmbeddedPostgres(folder)
    postgres.start()

    async def write() -> None:
        connection = await asyncpg.connect(postgres.url)
        await connection.execute(
            "DROP TABLE IF EXISTS kept; CREATE TABLE kept (n int PRIMARY KEY);"
            f"INSERT INTO kept SELECT generate_series(1, {ROWS})"
        )
        await connection.close()

    asyncio.run(write())
    kill(postgres)
    yield postgres
    postgres.stop()


@pytest.fixture
def starter() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as thread:
        yield thread


def kill(postgres: EmbeddedPostgres) -> None:
    assert postgres.pid is not None
    os.kill(postgres.pid, signal.SIGKILL)
    while postgres.running():
        time.sleep(0.02)


def rows(postgres: EmbeddedPostgres) -> int:
    async def count() -> int:
        connection = await asyncpg.connect(postgres.url)
        try:
            return await connection.fetchval("SELECT count(*) FROM kept")
        finally:
            await connection.close()

    return asyncio.run(count())


def held_in_recovery() -> psutil.Process:
    """The process that replays the log for a Postgres of ours, stopped half way: a disk that is very slow."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if "postgres: startup recovering" in " ".join(child.cmdline()):
                    child.suspend()
                    return child
        time.sleep(0.005)
    raise AssertionError("no Postgres recovers")


def test_a_recovery_that_takes_longer_than_a_start_may_is_waited_for_and_said_once(
    crashed: EmbeddedPostgres,
    starter: ThreadPoolExecutor,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "START_TIMEOUT_S", TIMEOUT_S)
    monkeypatch.setattr(server, "LONG_START_S", TIMEOUT_S / 2)
    with caplog.at_level(logging.WARNING, logger="murmuration"):
        starting: Future[None] = starter.submit(crashed.start)
        startup = held_in_recovery()
        time.sleep(2 * TIMEOUT_S)
        waiting = not starting.done()
        startup.resume()
        starting.result(60)

    assert waiting
    assert rows(crashed) == ROWS
    (said,) = caplog.messages
    assert said.startswith("postgres is still starting")
    assert said.endswith(str(crashed.log_path))


def test_who_is_told_to_stop_waits_for_no_recovery_and_the_next_start_loses_nothing(
    crashed: EmbeddedPostgres, starter: ThreadPoolExecutor
) -> None:
    stop = Stop()
    starting = starter.submit(crashed.start, stop)
    startup = held_in_recovery()
    stop.set()
    startup.resume()

    with pytest.raises(StartEnded):
        starting.result(20)
    assert not crashed.running()
    assert not startup.is_running()
    crashed.start(Stop())
    assert rows(crashed) == ROWS


def test_a_recovery_whose_process_ends_is_waited_for_no_longer(
    crashed: EmbeddedPostgres, starter: ThreadPoolExecutor
) -> None:
    starting = starter.submit(crashed.start)
    held_in_recovery().kill()
    with pytest.raises(ServerFailed, match="it ended at once"):
        starting.result(20)


def test_what_another_postgres_said_before_it_was_killed_is_no_sign_of_life(
    crashed: EmbeddedPostgres, starter: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = Stop()
    starting = starter.submit(crashed.start, stop)
    startup = held_in_recovery()
    kill(crashed)
    startup.resume()
    with pytest.raises(ServerFailed):
        starting.result(20)
    with (crashed.folder / "postgres.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until the last of its processes is gone
    left = (crashed.folder / "postgres" / "postmaster.pid").read_text()
    assert "starting" in left

    monkeypatch.setattr(server, "START_TIMEOUT_S", 0.5)
    monkeypatch.setattr(crashed, "_command", lambda: [shutil.which("sleep"), "60"])
    with pytest.raises(ServerFailed, match="no answer"):
        crashed.start()


def test_a_supervisor_that_is_stopped_while_postgres_recovers_ends_without_an_error(crashed: EmbeddedPostgres) -> None:
    crashed.stop()  # gives the folder free
    supervisor = subprocess.Popen(
        [sys.executable, "-m", "supervisor.main", "--data", str(crashed.folder)],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": "", "REDIS_URL": ""},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        startup = held_in_recovery()
        supervisor.terminate()
        startup.resume()
        said = supervisor.communicate(timeout=60)[1]
    finally:
        supervisor.kill()
    assert (supervisor.returncode, said.splitlines()[-1], "error" in said) == (0, "stopped", False), said
    assert not startup.is_running()
