"""Backups of the embedded Postgres: one file and back, and an archived log that is replayed to a point in time."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from store.errors import ServerFailed
from store.migrate import prepare
from store.postgres import AnalyzedQuery, Store
from supervisor.backup import DUMP, ROWS, BackupRefused, backup, restore
from supervisor.embedded import SUPERUSER, EmbeddedPostgres, program_of_postgres

Answer = Callable[..., AnalyzedQuery]
# Nothing here is about the disk, whose fsync would be most of the time.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@pytest.fixture
def place() -> Iterator[Path]:
    # Not tmp_path: the user that Postgres runs as could not pass through it.
    folder = Path(tempfile.mkdtemp(prefix="murmuration-tests-", dir=MEMORY))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """One for all tests here, which leave it running, with whatever rows."""
    folder = Path(tempfile.mkdtemp(prefix="murmuration-tests-", dir=MEMORY))
    folder.chmod(0o711)
    server = EmbeddedPostgres(folder)
    server.start()
    asyncio.run(prepare(server.url))
    yield server
    server.stop()
    shutil.rmtree(folder)


async def fetch(url: str, sql: str) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def write(url: str, answer: AnalyzedQuery) -> datetime:
    """Store an answer as the product does; returns a time of the server after its commit."""
    store = await Store.connect(url, min_size=1, max_size=1, timeout_s=10.0)
    try:
        await store.save_queries([answer])
    finally:
        await store.close()
    return await fetch(url, "SELECT clock_timestamp()")


def texts(server: EmbeddedPostgres) -> list[str]:
    return asyncio.run(fetch(server.url, "SELECT array_agg(query_text ORDER BY query_text) FROM analyzed_queries"))


def damaged(file: Path, *, member: str, content: bytes) -> Path:
    other = file.with_suffix(".damaged")
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(other, "w") as target:
        for name in source.namelist():
            target.writestr(name, content if name == member else source.read(name))
    return other


def test_what_was_written_comes_back_in_another_place(server: EmbeddedPostgres, place: Path, answer: Answer) -> None:
    asyncio.run(write(server.url, answer(query_text="we open a café")))
    file = place / "one.backup"

    # While the server runs.
    rows = backup(server.folder, file)

    assert rows["analyzed_queries"] == len(texts(server))
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in place.iterdir()] == ["one.backup"]
    assert restore(place / "there", file) == rows
    other = EmbeddedPostgres(place / "there")
    other.start()
    assert texts(other) == texts(server)
    # What counts rows by itself counts on from there, and migrations find nothing to do.
    assert asyncio.run(prepare(other.url)) == []
    asyncio.run(write(other.url, answer(query_text="and one more")))
    assert len(texts(other)) == rows["analyzed_queries"] + 1
    other.stop()


def test_rows_that_are_there_are_dropped_only_by_those_who_say_so(
    server: EmbeddedPostgres, place: Path, answer: Answer
) -> None:
    asyncio.run(write(server.url, answer(query_text="old")))
    old = texts(server)
    backup(server.folder, place / "old.backup")
    asyncio.run(write(server.url, answer(query_text="new")))
    with pytest.raises(ServerFailed, match="in use"):
        restore(server.folder, place / "old.backup", replace=True)
    server.stop()

    with pytest.raises(BackupRefused, match=r"holds \d+ rows.*REPLACE"):
        restore(server.folder, place / "old.backup")

    # Of the stopped server.
    assert backup(server.folder, place / "both.backup")["analyzed_queries"] == len(old) + 1
    restore(server.folder, place / "old.backup", replace=True)
    server.start()
    assert texts(server) == old


def test_a_damaged_backup_is_refused_and_leaves_the_database_as_it_was(
    server: EmbeddedPostgres, place: Path, answer: Answer
) -> None:
    asyncio.run(write(server.url, answer(query_text="still here")))
    there = texts(server)
    good = place / "good.backup"
    rows = backup(server.folder, good)
    server.stop()
    cut = place / "cut.backup"
    cut.write_bytes(good.read_bytes()[:-2000])
    with zipfile.ZipFile(good) as archive:
        dump = archive.read(DUMP)
    short = damaged(good, member=DUMP, content=dump[: len(dump) // 2])

    for file, said in ((cut, "damaged"), (place / "none", "No such file"), (short, "pg_restore")):
        with pytest.raises(BackupRefused, match=said):
            restore(server.folder, file, replace=True)
    miscounted = damaged(good, member=ROWS, content=json.dumps(rows | {"analyzed_queries": 7}).encode())
    with pytest.raises(BackupRefused, match="numbers of rows"):
        restore(server.folder, miscounted, replace=True)

    server.start()
    assert texts(server) == there


def test_a_backup_of_a_newer_release_is_refused(server: EmbeddedPostgres, place: Path) -> None:
    asyncio.run(run(server.url, "INSERT INTO schema_migrations (version, sha256) VALUES ('9999_later', 'x')"))
    backup(server.folder, place / "newer.backup")
    asyncio.run(run(server.url, "DELETE FROM schema_migrations WHERE version = '9999_later'"))
    server.stop()
    with pytest.raises(BackupRefused, match="9999_later"):
        restore(server.folder, place / "newer.backup", replace=True)
    server.start()


def test_no_backup_is_made_of_nothing_or_over_another(server: EmbeddedPostgres, place: Path) -> None:
    (place / "taken").touch()
    with pytest.raises(BackupRefused, match="exists"):
        backup(server.folder, place / "taken")
    with pytest.raises(BackupRefused, match="no database"):
        backup(place / "nowhere", place / "new")


async def run(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def until_archived(url: str, archive: Path) -> None:
    """Close the segment that is written and wait until the archive has it."""
    segment = archive / asyncio.run(fetch(url, "SELECT pg_walfile_name(pg_switch_wal())"))
    deadline = time.monotonic() + 20
    while not segment.exists():
        assert time.monotonic() < deadline, "it was not archived in time"
        time.sleep(0.05)


@pytest.fixture
def start() -> Iterator[Callable[[EmbeddedPostgres], EmbeddedPostgres]]:
    """Starts a server, which ends with the test."""
    started: list[EmbeddedPostgres] = []

    def run_it(server: EmbeddedPostgres) -> EmbeddedPostgres:
        started.append(server)
        server.start()
        return server

    yield run_it
    for server in started:
        server.stop()


def recovered(place: Path, base: Path, archive: Path, until: datetime) -> EmbeddedPostgres:
    """A server of its own on a copy of a base backup, told to replay the archive until then."""
    server = EmbeddedPostgres(place)
    place.mkdir()
    data = place / "postgres"
    shutil.copytree(base, data)
    (data / "recovery.signal").touch()
    with (data / "postgresql.auto.conf").open("w") as settings:
        settings.write(f"restore_command = 'cp {archive}/%f %p'\nrecovery_target_time = '{until.isoformat()}'\n")
        settings.write("recovery_target_action = promote\n")
    for path in (place, data, *data.rglob("*")):
        os.chown(path, *server._user())
    place.chmod(0o711)
    return server


def test_a_lost_server_is_replayed_from_its_archived_log_to_the_second_before_a_mistake(
    place: Path, answer: Answer, start: Callable[[EmbeddedPostgres], EmbeddedPostgres]
) -> None:
    server, archive, base = start(EmbeddedPostgres(place / "here")), place / "archive", place / "base"
    asyncio.run(prepare(server.url))
    archive.mkdir()
    os.chown(archive, *server._user())
    superuser = server.url.replace("murmuration@/murmuration", f"{SUPERUSER}@/postgres")
    asyncio.run(
        run(
            superuser,
            "ALTER SYSTEM SET archive_mode = on",
            f"ALTER SYSTEM SET archive_command = 'test ! -f {archive}/%f && cp %p {archive}/%f'",
        )
    )
    server.stop()
    server.start()
    asyncio.run(write(server.url, answer(query_text="before the base backup")))
    command = ["--pgdata", str(base), "--checkpoint=fast", "--wal-method=none", "--dbname", superuser]
    subprocess.run([program_of_postgres("pg_basebackup"), *command], check=True, capture_output=True)
    good = asyncio.run(write(server.url, answer(query_text="after it, before the mistake")))
    asyncio.run(run(server.url, "DELETE FROM analyzed_queries"))
    asyncio.run(write(server.url, answer(query_text="after the mistake")))
    until_archived(superuser, archive)
    assert texts(server) == ["after the mistake"]
    os.kill(server.pid, signal.SIGKILL)
    server.stop()
    shutil.rmtree(server.folder)

    # Without the log a base backup is nothing: it was taken while the server wrote.
    with pytest.raises(ServerFailed, match=r"recovery|checkpoint"):
        start(recovered(place / "alone", base, place / "empty", good))

    restored = start(recovered(place / "restored", base, archive, good))
    assert texts(restored) == ["after it, before the mistake", "before the base backup"]
    # A primary again, which the product writes to.
    deadline = time.monotonic() + 20
    while asyncio.run(fetch(restored.url, "SELECT pg_is_in_recovery()")):
        assert time.monotonic() < deadline, "it was not promoted in time"
        time.sleep(0.05)
    asyncio.run(write(restored.url, answer(query_text="life goes on")))
    assert len(texts(restored)) == 3
