"""What a database holds, counted exactly; a backup is judged by it. Reads every row: not for serving."""

from __future__ import annotations

import asyncpg

# Tables that a migration or the product itself fills before anybody has used it.
OWN_TABLES = frozenset({"schema_migrations", "row_counts", "upkeep_jobs"})


async def count_rows(connection: asyncpg.Connection[asyncpg.Record]) -> dict[str, int]:
    """Count the rows of each table, in the snapshot of the connection's transaction."""
    tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
    counts = {}
    for table in (str(row["tablename"]) for row in tables):
        # A name of the catalog, quoted by Postgres itself.
        name = await connection.fetchval("SELECT quote_ident($1)", table)
        counts[table] = int(await connection.fetchval(f"SELECT count(*) FROM {name}"))  # noqa: S608  # as above  # nosec B608
    return counts


async def count_kept_rows(connection: asyncpg.Connection[asyncpg.Record]) -> int:
    """Count the rows that somebody would miss: all but our own tables and the bundled templates."""
    counts = await count_rows(connection)
    kept = sum(rows for table, rows in counts.items() if table not in OWN_TABLES)
    if "content_templates" in counts:
        kept -= int(
            await connection.fetchval(
                "SELECT count(*) FROM content_templates AS one WHERE to_jsonb(one) ->> 'origin' = 'bundled'"
            )
        )
    return kept


async def applied_versions(connection: asyncpg.Connection[asyncpg.Record]) -> set[str]:
    """The migrations that the database has."""
    return {row["version"] for row in await connection.fetch("SELECT version FROM schema_migrations")}
