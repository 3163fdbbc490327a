"""Applies store/migrations to a database: python -m store.migrate [--database-url URL].

Forward only: a file is applied once, in its own transaction, and never edited afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import logging
import os
from pathlib import Path

import asyncpg

from pipelines.generator.templates import load_templates
from store.errors import DRIVER_ERRORS, MigrationChanged, StoreError, translate
from store.postgres import Store, load_queries

MIGRATIONS = Path(__file__).with_name("migrations")
# How long a migration may wait for a table that others use: everyone else queues behind it meanwhile.
LOCK_TIMEOUT_MS = 5_000
SEED_TIMEOUT_S = 30.0
logger = logging.getLogger(__name__)


async def migrate(dsn: str, folder: Path = MIGRATIONS) -> list[str]:
    """Apply what is missing, in order of name, and return the versions applied. Several at once are safe.

    Raises:
        MigrationChanged: a file differs from what was applied; nothing is applied then.
        StoreUnavailable: no connection, or a table was locked for too long.
    """
    files = [(path.stem, path.read_bytes()) for path in sorted(folder.glob("*.sql"))]  # noqa: ASYNC240  # a few files, once
    try:
        connection = await asyncpg.connect(dsn, server_settings={"application_name": "murmuration-migrate"})
        try:
            return await _apply(connection, files)
        finally:
            await connection.close()
    except DRIVER_ERRORS as error:
        raise translate(error) from error


async def _apply(connection: asyncpg.Connection[asyncpg.Record], files: list[tuple[str, bytes]]) -> list[str]:
    queries = load_queries()
    # Before lock_timeout is set, which would end the wait for another run. The lock ends with the connection.
    await connection.execute(queries["lock_migrations"])
    await connection.execute("SELECT set_config('lock_timeout', $1, false)", str(LOCK_TIMEOUT_MS))
    await connection.execute(queries["create_schema_migrations"])
    applied = {row["version"]: row["sha256"] for row in await connection.fetch(queries["applied_migrations"])}
    hashes = {version: hashlib.sha256(content).hexdigest() for version, content in files}
    for version, sha256 in hashes.items():
        if applied.get(version, sha256) != sha256:
            raise MigrationChanged(version)
    missing = [(version, content.decode()) for version, content in files if version not in applied]
    for version, sql in missing:
        async with connection.transaction():
            await connection.execute(sql)
            await connection.execute(queries["record_migration"], version, hashes[version])
        logger.info("applied %s", version, extra={"action": "migrate"})
    return [version for version, _ in missing]


async def prepare(dsn: str) -> list[str]:
    """Migrate, and bring the bundled templates up to date; raises as migrate does."""
    applied = await migrate(dsn)
    store = await Store.connect(dsn, min_size=0, max_size=1, timeout_s=SEED_TIMEOUT_S)
    try:
        await store.seed_templates(load_templates())
    finally:
        await store.close()
    return applied


def main() -> None:
    """Prepare the database of --database-url or DATABASE_URL."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(prog="python -m store.migrate", description=__doc__)
    parser.add_argument("--database-url", default=os.environ.get("DATABASE_URL"), help="default: DATABASE_URL")
    dsn = parser.parse_args().database_url
    if not dsn:
        parser.error("give --database-url or set DATABASE_URL")
    try:
        applied = asyncio.run(prepare(dsn))
    except StoreError as error:
        parser.exit(1, f"{error}\n")
    logger.info("%d migrations applied", len(applied))


if __name__ == "__main__":
    main()
