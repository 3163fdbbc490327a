"""Migrations on a real Postgres: applied once, together or alone, never edited."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

import asyncpg
import pytest

from store import migrate as migrations
from store.errors import MigrationChanged, StoreError, StoreUnavailable
from store.migrate import MIGRATIONS, migrate
from store.postgres import load_queries

VERSIONS = sorted(path.stem for path in MIGRATIONS.glob("*.sql"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MIGRATIONS, tmp_path / "migrations"))


async def applied(url: str) -> list[str]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT version FROM schema_migrations ORDER BY version")
    finally:
        await connection.close()
    return [row["version"] for row in rows]


async def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        await migrate(f"postgresql://postgres@/postgres?host={tmp_path}")


async def test_an_edited_migration_is_refused_by_name_and_nothing_is_applied(empty_database: str, folder: Path) -> None:
    await migrate(empty_database, folder)
    with (folder / f"{VERSIONS[0]}.sql").open("a") as file:
        file.write("-- edited\n")
    (folder / "0999_late.sql").write_text("CREATE TABLE late (id BIGINT);")

    with pytest.raises(MigrationChanged, match=VERSIONS[0]):
        await migrate(empty_database, folder)

    assert await applied(empty_database) == VERSIONS


async def test_a_migration_that_fails_halfway_leaves_nothing_behind(empty_database: str, folder: Path) -> None:
    (folder / "0998_good.sql").write_text("CREATE TABLE good (id BIGINT);")
    (folder / "0999_bad.sql").write_text("CREATE TABLE half (id BIGINT); SELECT no_such_function();")

    with pytest.raises(StoreError):
        await migrate(empty_database, folder)

    connection = await asyncpg.connect(empty_database)
    assert await connection.fetchval("SELECT to_regclass('half')") is None
    assert await connection.fetchval("SELECT to_regclass('good')") is not None
    await connection.close()
    assert await applied(empty_database) == [*VERSIONS, "0998_good"]


async def test_a_table_that_is_locked_ends_the_wait(
    empty_database: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate(empty_database, folder)
    (folder / "0999_alter.sql").write_text("ALTER TABLE analyzed_queries ADD COLUMN note TEXT;")
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT_MS", 100)
    reader = await asyncpg.connect(empty_database)
    async with reader.transaction():
        await reader.fetch("SELECT * FROM analyzed_queries")

        with pytest.raises(StoreUnavailable, match="LockNotAvailable"):
            await migrate(empty_database, folder)
    await reader.close()

    assert await migrate(empty_database, folder) == ["0999_alter"]


async def test_a_second_run_applies_nothing(empty_database: str) -> None:
    assert await migrate(empty_database) == VERSIONS
    assert await migrate(empty_database) == []


async def test_runs_at_the_same_time_apply_each_migration_once(empty_database: str) -> None:
    results = await asyncio.gather(*(migrate(empty_database) for _ in range(5)))

    assert sorted(results, key=len) == [[], [], [], [], VERSIONS]


async def test_units_from_before_the_last_engagement_was_kept_get_it_from_their_events(
    empty_database: str, tmp_path: Path
) -> None:
    before = tmp_path / "before"
    before.mkdir()
    for version in VERSIONS[: VERSIONS.index("0005_last_engagement")]:
        shutil.copy(MIGRATIONS / f"{version}.sql", before)
    await migrate(empty_database, before)
    connection = await asyncpg.connect(empty_database)
    await connection.execute("""
        INSERT INTO experiment_events (experiment_id, event_id, variant, engagement, unit, at)
        SELECT '00000000-0000-0000-0000-000000000001', unit || minute || engagement, 0, engagement, unit,
            '2026-03-02 12:00Z'::timestamptz + minute * interval '1 minute'
        FROM (VALUES ('both', 0, false), ('both', -5, true), ('both', 5, true), ('both', 9, true),
            ('early', 0, false), ('early', -5, true), ('in time', 0, false), ('in time', 5, true),
            ('unseen', 1, true), ('unseen', 7, true)) AS told (unit, minute, engagement);
        INSERT INTO experiment_units (experiment_id, variant, unit, exposed_at, engaged_at, mismatch)
        SELECT experiment_id, variant, unit, min(at) FILTER (WHERE NOT engagement), min(at) FILTER (WHERE engagement),
            false FROM experiment_events GROUP BY 1, 2, 3
    """)

    await migrate(empty_database)

    rows = await connection.fetch(
        "SELECT unit, extract(minute FROM last_engaged_at)::int AS minute FROM experiment_units ORDER BY unit"
    )
    await connection.close()
    assert {row["unit"]: row["minute"] for row in rows} == {"both": 9, "early": 55, "in time": None, "unseen": 7}


async def test_a_key_from_before_the_fact_was_kept_is_one_that_there_was(
    empty_database: str, folder: Path, tmp_path: Path
) -> None:
    before = tmp_path / "before"
    before.mkdir()
    for version in VERSIONS[: VERSIONS.index("0021_had_key")]:
        shutil.copy(folder / f"{version}.sql", before)
    await migrate(empty_database, before)
    connection = await asyncpg.connect(empty_database)
    await connection.execute(
        "INSERT INTO api_keys (id, account_id, name, hash, scope, created_by, revoked_at)"
        " VALUES (repeat('a', 12), 'acme', 'old', decode(repeat('00', 32), 'hex'), 'admin', 'test', now())"
    )
    await migrate(empty_database, folder)
    await connection.execute("DELETE FROM api_keys")
    assert await connection.fetchval(load_queries()["any_key"]) is True
    await connection.close()


async def test_the_command_migrates_and_says_what_is_missing(empty_database: str) -> None:
    async def run(*arguments: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "store.migrate", *arguments, stderr=asyncio.subprocess.PIPE, env={}
        )
        _, errors = await process.communicate()
        return process.returncode, errors.decode()

    assert "DATABASE_URL" in (await run())[1]
    assert (await run("--database-url", empty_database.replace("?host=", "?host=/nowhere")))[0] == 1
    assert await run("--database-url", empty_database) == (
        0,
        "".join(f"applied {version}\n" for version in VERSIONS) + f"{len(VERSIONS)} migrations applied\n",
    )
