"""The bundled servers as processes: they start, end with their parent, and share their folder with nobody."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
from redis import Redis

from store.errors import ServerFailed
from supervisor.embedded import EmbeddedPostgres, EmbeddedRedis, find_url

pytestmark = pytest.mark.clock

PARENT = """
import json, sys, time
from pathlib import Path
from supervisor.embedded import EmbeddedPostgres, EmbeddedRedis
servers = [EmbeddedPostgres(Path(sys.argv[1])), EmbeddedRedis(Path(sys.argv[1]))]
for server in servers:
    server.start()
print(json.dumps([[server.pid, server.url] for server in servers]), flush=True)
time.sleep(60)
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="murmuration-tests-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def postgres_here(folder: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(folder)
    yield server
    server.stop()


@pytest.fixture
def redis_here(folder: Path) -> Iterator[EmbeddedRedis]:
    server = EmbeddedRedis(folder)
    yield server
    server.stop()


def query(url: str, sql: str) -> object:
    async def fetch() -> object:
        connection = await asyncpg.connect(url, timeout=5)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(fetch())


def until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    # A zombie that nobody reaps is gone as well.
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ")[-1].startswith("Z")
    except OSError:
        return True


def kill(server: EmbeddedPostgres | EmbeddedRedis) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: not server.running())


def start_parent(folder: Path) -> tuple[subprocess.Popen[bytes], list[tuple[int, str]]]:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(folder)], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    return parent, json.loads(parent.stdout.readline())


@needs_root
def test_a_folder_that_only_root_can_enter_serves_too(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = EmbeddedPostgres(closed / "here")

    server.start()

    try:
        assert find_url(closed / "here") == server.url
        assert server.pid is not None
        assert psutil.Process(server.pid).username() == "nobody"
    finally:
        server.stop()


def test_where_no_server_runs_there_is_no_address(tmp_path: Path) -> None:
    with pytest.raises(ServerFailed, match="make serve"):
        find_url(tmp_path)


def test_a_server_that_does_not_start_shows_the_end_of_its_log(postgres_here: EmbeddedPostgres) -> None:
    postgres_here.start()
    postgres_here.stop()
    settings = postgres_here.folder / "postgres" / "postgresql.auto.conf"
    before = settings.read_text()
    settings.write_text("work_mem = 'plenty'\n")

    with pytest.raises(ServerFailed, match="plenty"):
        postgres_here.start()

    assert not postgres_here.running()
    settings.write_text(before)
    postgres_here.start()


def test_a_second_instance_on_the_same_folder_is_refused_and_harms_nothing(
    folder: Path, postgres_here: EmbeddedPostgres, redis_here: EmbeddedRedis
) -> None:
    for first, second in ((postgres_here, EmbeddedPostgres(folder)), (redis_here, EmbeddedRedis(folder))):
        first.start()
        with pytest.raises(ServerFailed, match=f"in use by process {os.getpid()}"):
            second.start()
        second.stop()

    assert query(postgres_here.url, "SELECT 1") == 1


def test_a_killed_postgres_starts_again_at_the_same_address_with_its_rows(postgres_here: EmbeddedPostgres) -> None:
    postgres_here.start()
    url = postgres_here.url
    query(url, "CREATE TABLE kept AS SELECT 42 AS n")
    kill(postgres_here)

    postgres_here.start()

    assert postgres_here.url == url
    assert query(url, "SELECT n FROM kept") == 42
    query(url, "DROP TABLE kept")


def test_a_postgres_killed_while_it_works_starts_again_at_once(postgres_here: EmbeddedPostgres) -> None:
    postgres_here.start()

    async def work_until_killed() -> None:
        connection = await asyncpg.connect(postgres_here.url)
        working = asyncio.create_task(
            connection.execute("SELECT count(*) FROM generate_series(1, 100000000) a, pg_sleep(0)")
        )
        await asyncio.sleep(0.3)
        kill(postgres_here)
        await asyncio.to_thread(postgres_here.start)
        with pytest.raises((OSError, asyncpg.PostgresError)):
            await working

    asyncio.run(work_until_killed())

    assert query(postgres_here.url, "SELECT 1") == 1


def test_a_pid_file_whose_number_belongs_to_another_process_now_is_no_obstacle(postgres_here: EmbeddedPostgres) -> None:
    postgres_here.start()
    kill(postgres_here)
    stranger = subprocess.Popen(["sleep", "60"], user="nobody" if os.geteuid() == 0 else None)
    pid_file = postgres_here.folder / "postgres" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")

    postgres_here.start()

    assert query(postgres_here.url, "SELECT 1") == 1
    stranger.kill()
    stranger.wait()


def test_an_initdb_that_was_cut_off_is_done_again() -> None:
    folder = Path(tempfile.mkdtemp(prefix="murmuration-tests-"))
    folder.chmod(0o711)
    (folder / "postgres.new").mkdir()
    (folder / "postgres.new" / "PG_VERSION").write_text("18\n")
    server = EmbeddedPostgres(folder)

    server.start()

    assert str(query(server.url, "SHOW server_version")).startswith("18")
    server.stop()
    shutil.rmtree(folder)


def test_servers_listen_on_no_network_port_and_in_a_folder_of_their_own(
    postgres_here: EmbeddedPostgres, redis_here: EmbeddedRedis
) -> None:
    postgres_here.start()
    redis_here.start()

    assert query(postgres_here.url, "SHOW listen_addresses") == ""
    with Redis.from_url(redis_here.url) as client:
        assert client.config_get("port") == {"port": "0"}
    for server in (postgres_here, redis_here):
        assert server.sockets.stat().st_mode & 0o777 == 0o700


def test_the_settings_are_durable_for_postgres_and_a_bounded_cache_for_redis(
    postgres_here: EmbeddedPostgres, redis_here: EmbeddedRedis
) -> None:
    postgres_here.start()
    redis_here.start()

    assert query(postgres_here.url, "SHOW fsync") == "on"
    assert query(postgres_here.url, "SHOW synchronous_commit") == "on"
    assert query(postgres_here.url, "SHOW data_checksums") == "on"
    with Redis.from_url(redis_here.url) as client:
        wanted = {"maxmemory": str(128 * 2**20), "maxmemory-policy": "allkeys-lru", "save": "", "appendonly": "no"}
        assert {name: client.config_get(name)[name] for name in wanted} == wanted


def test_stopping_leaves_no_process_and_no_socket_and_can_be_repeated(redis_here: EmbeddedRedis) -> None:
    redis_here.start()
    pid, url = redis_here.pid, redis_here.url
    assert pid is not None

    redis_here.stop()
    redis_here.stop()

    assert gone(pid)
    assert not redis_here.sockets.exists()
    redis_here.start()
    assert redis_here.url == url


def test_a_redis_that_hangs_is_ended_by_force(redis_here: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_here, "stop_signals", ((signal.SIGTERM, 0.2), (signal.SIGKILL, 5.0)))
    redis_here.start()
    pid = redis_here.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)

    redis_here.stop()

    assert gone(pid)


def test_a_server_outlives_the_thread_that_started_it(redis_here: EmbeddedRedis) -> None:
    starter = threading.Thread(target=redis_here.start)
    starter.start()
    starter.join()
    time.sleep(0.2)

    assert redis_here.running()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells children of their parent's death on Linux alone")
@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGTERM])
def test_servers_end_with_their_parent_and_the_next_parent_takes_over(folder: Path, death: signal.Signals) -> None:
    parent, servers = start_parent(folder)
    parent.send_signal(death)
    parent.communicate()

    # At once, while the servers of the first are still ending.
    successor, successors = start_parent(folder)

    for pid, _ in servers:
        until(lambda pid=pid: gone(pid))
    assert query(successors[0][1], "SELECT 1") == 1
    successor.send_signal(signal.SIGKILL)
    successor.communicate()
    for pid, _ in successors:
        until(lambda pid=pid: gone(pid))
    for _, url in [*servers, *successors]:
        shutil.rmtree(Path(url.split("host=")[-1].removeprefix("unix://").removesuffix("/redis.sock")))


@needs_root
def test_a_user_who_is_not_root_can_run_both() -> None:
    folder = Path(tempfile.mkdtemp(prefix="murmuration-tests-"))
    shutil.chown(folder, "nobody")
    command = [sys.executable, "-c", PARENT, str(folder)]
    try:
        parent = subprocess.Popen(command, stdout=subprocess.PIPE, user="nobody", group="nogroup")
    except PermissionError:
        shutil.rmtree(folder)
        pytest.skip("other users cannot run this Python")
    assert parent.stdout is not None
    (postgres_pid, url), _ = json.loads(parent.stdout.readline())

    assert query(url, "SELECT 1") == 1

    parent.kill()
    parent.communicate()
    until(lambda: gone(postgres_pid))
    shutil.rmtree(folder)
