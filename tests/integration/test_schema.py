"""What the tables refuse and what they keep by themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

# SQL literals of a good row for each table.
GOOD = {
    "analyzed_queries": {
        "id": "gen_random_uuid()",
        "query_text": "'hello'",
        "request": "'{}'",
        "analysis_result": "'{}'",
        "model_versions": "'{}'",
    },
    "content_templates": {
        "template_name": "'question'",
        "template_content": "'What if {topic}?'",
        "template_type": "'question'",
        "language": "'en'",
    },
    "performance_metrics": {
        "post_id": "'1'",
        "impressions": "1000",
        "engagements": "32",
        "retweets": "2",
        "likes": "30",
        "captured_at": "'2026-01-01T00:00:00Z'",
    },
    "audience_analysis": {"audience_segment": "'founders'"},
    "idempotency_keys": {
        "key": "'k'",
        "route": "'/analyze-query'",
        "request_hash": r"'\x00112233445566778899aabbccddeeff'",
        "response": r"'\x7b7d'",
        "status": "200",
    },
}
BAD = [
    *((table, "account_id", "''") for table in GOOD),
    ("analyzed_queries", "query_text", "''"),
    ("analyzed_queries", "query_text", "repeat('x', 4001)"),
    ("analyzed_queries", "request", "'[]'"),
    ("analyzed_queries", "analysis_result", "'1'"),
    ("analyzed_queries", "viral_score", "100.01"),
    ("analyzed_queries", "viral_score", "-0.01"),
    ("analyzed_queries", "viral_score", "'NaN'"),
    ("analyzed_queries", "degraded", "'{NULL}'"),
    ("analyzed_queries", "model_versions", "'[]'"),
    ("content_templates", "template_name", "repeat('x', 256)"),
    ("content_templates", "template_content", "''"),
    ("content_templates", "template_type", "''"),
    ("content_templates", "language", "'English'"),
    ("content_templates", "objective", "''"),
    ("content_templates", "tone", "''"),
    ("content_templates", "intent", "''"),
    ("content_templates", "success_rate", "1.000001"),
    ("content_templates", "success_rate", "-0.1"),
    ("content_templates", "usage_count", "-1"),
    ("content_templates", "success_lower_bound", "1.000001"),
    ("content_templates", "success_lower_bound", "-0.1"),
    ("content_templates", "origin", "'stolen'"),
    ("content_templates", "version", "0"),
    ("performance_metrics", "post_id", "''"),
    ("performance_metrics", "impressions", "-1"),
    ("performance_metrics", "engagements", "-1"),
    ("performance_metrics", "clicks", "-1"),
    ("performance_metrics", "retweets", "-1"),
    ("performance_metrics", "likes", "-1"),
    ("performance_metrics", "replies", "-1"),
    ("performance_metrics", "viral_score", "101"),
    ("performance_metrics", "compared_rate", "1.01"),
    ("audience_analysis", "audience_segment", "''"),
    ("audience_analysis", "demographics", "'[]'"),
    ("audience_analysis", "interests", "'1'"),
    ("audience_analysis", "behavior_patterns", "'[]'"),
    ("audience_analysis", "optimal_timing", "'[]'"),
    ("audience_analysis", "content_preferences", "'[]'"),
    ("idempotency_keys", "key", "''"),
    ("idempotency_keys", "route", "''"),
    ("idempotency_keys", "request_hash", r"'\x00'"),
    ("idempotency_keys", "status", "99"),
]
UNIQUE = ["content_templates", "performance_metrics", "audience_analysis", "idempotency_keys"]


@pytest.fixture
async def connection(shared_database: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(shared_database)
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


def insert(table: str, **replaced: str) -> str:
    row = GOOD[table] | replaced
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(row.values())}) RETURNING *"


async def test_every_check_of_the_schema_has_a_bad_row_here(connection: asyncpg.Connection) -> None:
    checks = await connection.fetch(
        "SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid = ANY($1::text[]::regclass[])", list(GOOD)
    )

    assert {row["conname"] for row in checks} == {f"{table}_{column}_check" for table, column, _ in BAD}


@pytest.mark.parametrize(("table", "column", "value"), BAD)
async def test_a_check_refuses(connection: asyncpg.Connection, table: str, column: str, value: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError) as refused:
        await connection.execute(insert(table, **{column: value}))

    assert refused.value.constraint_name == f"{table}_{column}_check"


@pytest.mark.parametrize("table", UNIQUE)
async def test_importing_the_same_thing_twice_cannot_duplicate_it(connection: asyncpg.Connection, table: str) -> None:
    await connection.execute(insert(table))

    with pytest.raises(asyncpg.UniqueViolationError):
        async with connection.transaction():
            await connection.execute(insert(table))

    await connection.execute(insert(table, account_id="'another'"))


async def test_a_later_reading_of_the_same_post_is_a_row_of_its_own(connection: asyncpg.Connection) -> None:
    await connection.execute(insert("performance_metrics"))
    await connection.execute(insert("performance_metrics", captured_at="'2026-01-02T00:00:00Z'"))

    assert await connection.fetchval("SELECT count(*) FROM performance_metrics") == 2


async def test_a_reading_cannot_point_at_a_template_that_does_not_exist(connection: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await connection.execute(insert("performance_metrics", template_id="12345"))


async def test_a_reading_cannot_point_at_a_template_of_another_account(connection: asyncpg.Connection) -> None:
    template = await connection.fetchval(insert("content_templates", account_id="'another'"))

    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await connection.execute(insert("performance_metrics", template_id=str(template)))


async def test_a_template_with_readings_cannot_be_deleted(connection: asyncpg.Connection) -> None:
    template = await connection.fetchval(insert("content_templates"))
    await connection.execute(insert("performance_metrics", template_id=str(template)))

    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await connection.execute("DELETE FROM content_templates")


@pytest.mark.parametrize(
    ("impressions", "engagements", "rate", "suspect"),
    [
        ("1000", "32", "0.032000", False),
        ("3", "1", "0.333333", False),
        ("0", "0", None, False),
        ("NULL", "5", None, False),
        ("1", "12", None, True),
        ("0", "1", None, True),
    ],
)
async def test_the_rate_is_a_fraction_or_unknown_and_impossible_counts_are_marked(
    connection: asyncpg.Connection, impressions: str, engagements: str, rate: str | None, suspect: bool
) -> None:
    row = await connection.fetchrow(insert("performance_metrics", impressions=impressions, engagements=engagements))

    assert (row["engagement_rate"] if rate is None else str(row["engagement_rate"])) == rate
    assert row["suspect"] is suspect


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("analyzed_queries", "query_text"),
        ("content_templates", "template_type"),
        ("performance_metrics", "post_id"),
        ("audience_analysis", "audience_segment"),
    ],
)
async def test_an_update_moves_updated_at(connection: asyncpg.Connection, table: str, column: str) -> None:
    before = await connection.fetchrow(insert(table))

    after = await connection.fetchrow(f"UPDATE {table} SET {column} = {column} || 'x' RETURNING *")

    assert after["updated_at"] > before["updated_at"]
    assert after["updated_at"].tzinfo is not None


async def test_every_index_of_the_specification_exists(connection: asyncpg.Connection) -> None:
    indexes = {row["indexname"] for row in await connection.fetch("SELECT indexname FROM pg_indexes")}

    assert indexes >= {
        "idx_queries_created_at",
        "idx_templates_success_rate",
        "idx_metrics_template_id",
        "idx_metrics_recorded_at",
        "idx_audience_segment",
        "idx_queries_analysis_gin",
    }
