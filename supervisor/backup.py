"""All rows of the embedded Postgres in one file, and back: `make backup FILE=...`, `make restore FILE=...`.

The file is a zip of what pg_dump writes and of the number of rows of each table, both of one snapshot. It is restored
beside the database that is there, counted, and only then put in its place. Not for servers of one's own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from store.contents import applied_versions, count_kept_rows, count_rows
from store.errors import DRIVER_ERRORS, ServerFailed, StoreError, translate
from store.migrate import MIGRATIONS
from supervisor.embedded import EmbeddedPostgres, find_url, program_of_postgres

DUMP, ROWS = "database.dump", "rows.json"
NEW, OLD = "murmuration_restoring", "murmuration_before"
logger = logging.getLogger("murmuration")


class BackupRefused(StoreError):
    """The backup was not made or not restored, and nothing was changed."""


def main() -> int:
    """Back up or restore; returns 2 where that was refused or failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["backup", "restore"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--data", type=Path, default=Path(".murmuration"))
    parser.add_argument("--replace", action="store_true", help="drop what the database holds now")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        if arguments.what == "backup":
            rows = backup(arguments.data, arguments.file)
        else:
            rows = restore(arguments.data, arguments.file, replace=arguments.replace)
    except StoreError as error:
        logger.error("error: %s", error)  # noqa: TRY400  # one line, no traceback: it is the user's to mend
        return 2
    counted = ", ".join(f"{table} {number}" for table, number in rows.items() if number)
    logger.info("%s %s: %s", "wrote" if arguments.what == "backup" else "restored", arguments.file, counted)
    return 0


def backup(folder: Path, file: Path) -> dict[str, int]:
    """Write the database of `folder` to `file`, whether `make serve` runs or not; returns the rows of each table.

    Raises:
        BackupRefused: there is no database, or `file` exists.
        StoreError: Postgres failed.
    """
    if file.exists():
        raise BackupRefused(f"{file} exists already")
    if not (folder / "postgres").exists():
        raise BackupRefused(f"there is no database in {folder}")
    with _reachable(folder) as url, tempfile.TemporaryDirectory(dir=file.absolute().parent, prefix=".backup-") as place:
        dump, unfinished = Path(place) / DUMP, Path(place) / file.name
        rows = asyncio.run(_dump(url, dump))
        with zipfile.ZipFile(unfinished, "w") as archive:
            archive.write(dump, DUMP)
            archive.writestr(ROWS, json.dumps(rows))
        unfinished.chmod(0o600)
        unfinished.rename(file)
    return rows


def restore(folder: Path, file: Path, *, replace: bool = False) -> dict[str, int]:
    """Put the database of `file` in the place of the one in `folder`; returns the rows of each table.

    Raises:
        BackupRefused: `file` is damaged, incomplete or of a newer release, or the database holds rows that `replace`
            does not give up; the database is as it was.
        StoreError: Postgres failed, or `make serve` runs here.
    """
    with tempfile.TemporaryDirectory(prefix="murmuration-restore-") as place:
        rows = _unpack(file, Path(place))
        server = EmbeddedPostgres(folder)
        server.start()
        try:
            asyncio.run(_put_in_place(server.url, Path(place) / DUMP, rows, replace=replace))
        finally:
            server.stop()
    return rows


@contextmanager
def _reachable(folder: Path) -> Iterator[str]:
    """The address of the Postgres that runs on `folder`, or of one that runs as long as this lasts."""
    server = EmbeddedPostgres(folder)
    try:
        server.start()
    except ServerFailed:
        yield find_url(folder)
        return
    try:
        yield server.url
    finally:
        server.stop()


async def _dump(url: str, path: Path) -> dict[str, int]:
    connection = await _connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            snapshot = await connection.fetchval("SELECT pg_export_snapshot()")
            command = ["--format=custom", "--no-owner", f"--snapshot={snapshot}", f"--file={path}", url]
            await asyncio.to_thread(_client, "pg_dump", command)
            return await count_rows(connection)
    except DRIVER_ERRORS as error:
        raise translate(error) from error
    finally:
        await connection.close()


def _unpack(file: Path, place: Path) -> dict[str, int]:
    try:
        with zipfile.ZipFile(file) as archive:
            archive.extract(DUMP, place)  # checks its sum
            rows: dict[str, int] = json.loads(archive.read(ROWS))
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise BackupRefused(f"{file} is no backup, or a damaged one ({error})") from error
    return rows


async def _put_in_place(url: str, dump: Path, rows: dict[str, int], *, replace: bool) -> None:
    new_url, no_database = url.replace("@/murmuration", f"@/{NEW}"), url.replace("@/murmuration", "@/postgres")
    connection = await _connect(url)
    kept = await count_kept_rows(connection)
    await connection.close()
    if kept and not replace:
        raise BackupRefused(f"the database holds {kept} rows; make a backup of them, and add REPLACE=1 to drop them")
    server = await _connect(no_database)
    try:
        for leftover in (NEW, OLD):
            await server.execute(f"DROP DATABASE IF EXISTS {leftover} WITH (FORCE)")
        await server.execute(f"CREATE DATABASE {NEW}")
        command = ["--exit-on-error", "--single-transaction", "--no-owner", f"--dbname={new_url}", str(dump)]
        await asyncio.to_thread(_client, "pg_restore", command)
        await _check(new_url, rows)
        async with server.transaction():
            await server.execute(f"ALTER DATABASE murmuration RENAME TO {OLD}")
            await server.execute(f"ALTER DATABASE {NEW} RENAME TO murmuration")
        await server.execute(f"DROP DATABASE {OLD} WITH (FORCE)")
    except DRIVER_ERRORS as error:
        raise translate(error) from error
    finally:
        await server.close()


async def _check(url: str, rows: dict[str, int]) -> None:
    connection = await _connect(url)
    try:
        restored = await count_rows(connection)
        newer = await applied_versions(connection) - {path.stem for path in MIGRATIONS.glob("*.sql")}
    finally:
        await connection.close()
    if restored != rows:
        raise BackupRefused("other numbers of rows came back than were written")
    if newer:
        raise BackupRefused(f"it was made by a newer release, which has {min(newer)}")


async def _connect(url: str) -> asyncpg.Connection[asyncpg.Record]:
    try:
        return await asyncpg.connect(url, server_settings={"application_name": "murmuration-backup"})
    except DRIVER_ERRORS as error:
        raise translate(error) from error


def _client(name: str, arguments: list[str]) -> None:
    done = subprocess.run([str(program_of_postgres(name)), *arguments], capture_output=True, text=True, check=False)  # noqa: S603  # our own program
    if done.returncode != 0:
        raise BackupRefused(f"{name}: {done.stderr.strip().splitlines()[0] if done.stderr else done.returncode}")


if __name__ == "__main__":
    sys.exit(main())
