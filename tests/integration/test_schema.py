"""What the tables refuse and what they keep by themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from pipelines.audience.sensitive import SENSITIVE, is_sensitive

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
    "plan_slots": {
        "id": "gen_random_uuid()",
        "text": "'hello'",
        "at": "'2026-01-01T00:00:00Z'",
        "time_zone": "'UTC'",
    },
    "audience_refreshes": {"account_id": "'default'"},
    "link_visits": {
        "utm_content": "'v1'",
        "first_day": "'2026-09-01'",
        "last_day": "'2026-09-30'",
        "sessions": "1",
        "import_id": "gen_random_uuid()",
    },
    "idempotency_keys": {
        "key": "'k'",
        "route": "'/analyze-query'",
        "request_hash": r"'\x00112233445566778899aabbccddeeff'",
        "response": r"'\x7b7d'",
        "status": "200",
    },
    "imports": {
        "id": "gen_random_uuid()",
        "source": "'content'",
        "captured_at": "'2026-01-01T00:00:00Z'",
        "imported": "4",
        "updated": "3",
        "unchanged": "2",
        "rejected": "1",
    },
    "posts": {"post_id": "'1'", "posted_at": "'2026-01-01T00:00:00Z'", "import_id": "gen_random_uuid()"},
    "account_days": {
        "day": "'2026-01-01'",
        "source": "'overview'",
        "counts": "'{}'",
        "captured_at": "'2026-01-01T00:00:00Z'",
        "import_id": "gen_random_uuid()",
    },
    "account_settings": {"account_id": "'default'"},
    "audit_log": {"account_id": "'default'", "actor": "'default'", "action": "'created'", "kind": "'template'"},
    "x_trends": {"account_id": "'default'", "woeid": "1", "asked_at": "'2026-01-01T00:00:00Z'", "trends": "'[]'"},
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
    ("plan_slots", "candidate_id", "''"),
    ("plan_slots", "text", "''"),
    ("plan_slots", "time_zone", "''"),
    ("plan_slots", "expected", "1.01"),
    ("audience_analysis", "audience_segment", "''"),
    ("audience_analysis", "demographics", "'[]'"),
    ("audience_analysis", "interests", "'1'"),
    ("audience_analysis", "behavior_patterns", "'[]'"),
    ("audience_analysis", "optimal_timing", "'[]'"),
    ("audience_analysis", "content_preferences", "'[]'"),
    ("audience_analysis", "n", "-1"),
    ("audience_analysis", "share", "1.01"),
    ("audience_analysis", "share", "'NaN'"),
    ("audience_analysis", "stability", "-0.1"),
    ("audience_analysis", "stability", "1.01"),
    ("audience_analysis", "outcome", "'[]'"),
    ("audience_analysis", "audience_segment", "'muslims'"),
    ("audience_analysis", "audience_segment", "'coffee-diabetes'"),
    ("audience_analysis", "demographics", """'{"age": 30}'"""),
    ("audience_analysis", "demographics", """'{"country": [{"value": "ES", "income": 3}]}'"""),
    ("audience_analysis", "demographics", """'{"country": [{"value": "ES", "n": {"share": {"gender": 1}}}]}'"""),
    ("audience_analysis", "demographics", """'{"device": [{"value": "catholic", "share": 0.5}]}'"""),
    ("audience_analysis", "interests", """'[{"keyword": "Diabetes", "weight": 1}]'"""),
    ("audience_analysis", "interests", """'{"religion": 1}'"""),
    *(
        ("audience_analysis", column, f"""'{document}'""")
        for column in ("behavior_patterns", "optimal_timing", "content_preferences", "outcome")
        for document in (
            '{"health": 1}',
            '{"a": {"b": [1, {"political_view": null}]}}',
            '{"a": [[[{"SexualOrientation": 1}]]]}',
            '{"creencias": {}}',
            '{"a": {"orientaci\u00f3n sexual": 1}}',
            '{"ETNIA": 1}',
            '{"\uff53\uff41\uff4c\uff55\uff44": 1}',
        )
    ),
    ("audience_refreshes", "result", "'[]'"),
    ("audience_refreshes", "result", """'{"politics": 1}'"""),
    ("audience_refreshes", "trends", "'1'"),
    ("audience_refreshes", "trends", """'{"a": {"religion": 1}}'"""),
    ("link_visits", "utm_content", "''"),
    ("link_visits", "utm_content", "repeat('x', 256)"),
    ("link_visits", "sessions", "-1"),
    ("link_visits", "engaged_sessions", "-1"),
    ("link_visits", "key_events", "-1"),
    ("link_visits", "key_events", "'NaN'"),
    ("link_visits", "key_events", "'Infinity'"),
    ("link_visits", "revenue", "'NaN'"),
    ("link_visits", "revenue", "'-Infinity'"),
    ("link_visits", "last_day", "'2026-08-31'"),
    ("idempotency_keys", "key", "''"),
    ("idempotency_keys", "route", "''"),
    ("idempotency_keys", "request_hash", r"'\x00'"),
    ("idempotency_keys", "status", "99"),
    *(
        ("performance_metrics", count, "-1")
        for count in (
            *("quotes", "bookmarks", "shares", "follows", "profile_clicks", "hashtag_clicks", "detail_expands"),
            *("permalink_clicks", "app_opens", "app_installs", "email_posts", "dial_phone", "media_views"),
            "media_engagements",
        )
    ),
    ("performance_metrics", "promoted", "'[]'"),
    ("imports", "source", "'hearsay'"),
    ("imports", "file_name", "''"),
    ("imports", "file_hash", r"'\x00'"),
    *(("imports", count, "-1") for count in ("imported", "updated", "unchanged", "rejected")),
    ("posts", "post_id", "''"),
    ("posts", "text", "repeat('x', 25001)"),
    ("account_days", "source", "'content'"),
    ("account_days", "counts", "'[]'"),
    ("account_settings", "length_limit", "300"),
    ("account_settings", "time_zone", "''"),
    ("account_settings", "query_retention_days", "0"),
    *(("audit_log", column, "''") for column in ("actor", "action", "kind", "object_id", "name", "request_id")),
    ("audit_log", "detail", "'[]'"),
    ("x_trends", "woeid", "0"),
    ("x_trends", "problem", "''"),
    ("x_trends", "trends", "'{}'"),
]
UNIQUE = [
    *("content_templates", "performance_metrics", "audience_analysis", "idempotency_keys"),
    *("posts", "account_days", "account_settings"),
]
UNIQUE = [
    "content_templates",
    "performance_metrics",
    "audience_analysis",
    "audience_refreshes",
    "link_visits",
    "idempotency_keys",
]


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


async def test_aggregates_and_what_is_about_posts_alone_can_be_stored(connection: asyncpg.Connection) -> None:
    shares = """{"country": [{"value": "ES", "share": 0.4, "n": 12, "interval": [0.3, 0.5]}], "follower_band": []}"""

    row = await connection.fetchrow(
        insert(
            "audience_analysis",
            demographics=f"'{shares}'",
            interests="""'[{"keyword": "healthy coffee", "weight": 1}]'""",
            behavior_patterns="""'{"actions": [{"action": "likes", "rate": 0.1}]}'""",
            content_preferences="""'{"preferences": [{"feature": "link", "note": "health is no key here"}]}'""",
        )
    )

    assert row["demographics"]


async def test_the_table_refuses_the_words_that_are_no_interest_either(connection: asyncpg.Connection) -> None:
    words = [word.replace("?", "").replace("[a-z]*", "xyz") for word in SENSITIVE.strip(" ()").split("|")]
    words += ["country", "healthy", "carrera", "essex", "Sexual_Orientation", "politicalView", "Religi\u00f3n", ""]

    rows = await connection.fetch(
        "SELECT word, names_sensitive(word) AS refused FROM unnest($1::text[]) AS words (word)", words
    )

    assert [row["refused"] for row in rows] == [is_sensitive(word) for word in words]
    assert sum(row["refused"] for row in rows) > 90


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
