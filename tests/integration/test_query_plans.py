"""No hot statement and no lookup that the specification indexes reads a whole table."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from store.postgres import load_queries

BODY = b"{}"
# Before what is FILLed in by the minute, and amid the posts, which reach back 10,000 hours.
NOW = datetime.now(UTC) - timedelta(days=330)
EXPERIMENT = uuid.UUID("c4ca4238-a0b9-2382-0dcc-509a6f75849b")  # md5('1')
ACCOUNT_AND_ID = "content_templates_account_id_id_key"
ROW = ("default", "text", BODY, BODY, 1.0, "", BODY)
FILL = """
INSERT INTO analyzed_queries (id, account_id, query_text, request, analysis_result, model_versions, created_at)
SELECT gen_random_uuid(), 'account' || n % 20, 'text', '{}', jsonb_build_object('language', 'l' || n % 500), '{}',
    now() - n * interval '1 minute' FROM generate_series(1, 10000) n;
INSERT INTO content_templates (account_id, template_name, template_content, template_type, language, success_rate)
SELECT 'account' || n % 20, 'name' || n, 'content', 'type', 'en', n / 10000.0 FROM generate_series(1, 10000) n;
INSERT INTO performance_metrics (account_id, post_id, template_id, engagements, retweets, likes, captured_at,
    recorded_at)
SELECT 'account' || n % 20, 'post' || n, (SELECT min(id) FROM content_templates) + (n - 1) % 1000, 0, 0, 0, now(),
    now() - n * interval '1 minute' FROM generate_series(1, 10000) n;
INSERT INTO audience_analysis (account_id, audience_segment)
SELECT 'account' || n % 20, 'segment' || n FROM generate_series(1, 10000) n;
INSERT INTO imports (id, account_id, source, captured_at, imported, updated, unchanged, rejected)
SELECT gen_random_uuid(), 'account' || n % 20, 'content', now(), 0, 0, 0, 0 FROM generate_series(1, 10000) n;
INSERT INTO idempotency_keys (account_id, key, route, request_hash, response, status)
SELECT 'account' || n % 20, 'key' || n, '/', '0123456789abcdef', '', 200 FROM generate_series(1, 10000) n;
INSERT INTO experiments (id, account_id, name, state, plan, started_at)
SELECT md5(n::text)::uuid, 'account' || n % 20, 'name', CASE n % 50 WHEN 0 THEN 'running' ELSE 'draft' END, '{}',
    CASE n % 50 WHEN 0 THEN now() END FROM generate_series(1, 10000) n;
INSERT INTO experiment_variants (experiment_id, account_id, variant, name, weight)
SELECT id, account_id, 0, 'control', 1 FROM experiments;
INSERT INTO experiment_units (experiment_id, variant, unit, exposed_at, mismatch)
SELECT md5((n % 100)::text)::uuid, 0, 'unit' || n, now(), false FROM generate_series(1, 10000) n;
INSERT INTO experiment_posts (experiment_id, post_id, posted_at, likes, retweets, captured_at)
SELECT id, 'post', now(), 0, 0, now() FROM experiments;
INSERT INTO posts (account_id, post_id, posted_at, text, import_id)
SELECT 'account' || n % 20, 'post' || n, now() - n * interval '1 hour', 'text', gen_random_uuid()
FROM generate_series(1, 10000) n;
INSERT INTO x_posts (account_id, post_id, posted_at, read_at, seen_at)
SELECT account_id, post_id, posted_at, now(), now() FROM posts;
INSERT INTO account_settings (account_id, query_retention_days) VALUES ('account1', 6);
INSERT INTO link_visits (account_id, utm_content, first_day, last_day, sessions, import_id)
SELECT 'account' || n % 20, 'content' || n, '2026-01-01', '2026-01-31', 1, gen_random_uuid()
FROM generate_series(1, 10000) n;
ANALYZE;
"""
# account_settings has a row an account, and is read whole.
EXPIRY = {
    "expire_queries": ((NOW, 1000), {"idx_queries_created_at"}),
    "expire_keys": ((NOW, 1000), {"idx_idempotency_created_at"}),
}
STATEMENTS = {
    "collected_posts": (("account1",), {"x_posts_pkey"}),
    "mark_read": (("account1", ["post1"], NOW), {"posts_pkey"}),
    "mark_seen": (("account1", ["post1"], NOW), {"x_posts_pkey"}),
    "forget_posts": (
        ("account1", ["post1"]),
        {"posts_pkey", "performance_metrics_account_id_post_id_captured_at_key"},
    ),
    "save_queries": (([uuid.uuid4()], *([value] for value in ROW)), {"analyzed_queries_pkey"}),
    "claim": (
        (uuid.uuid4(), *ROW, "key", "/", b"h" * 32, b"", 200),
        {"analyzed_queries_pkey", "idempotency_keys_pkey"},
    ),
    "find_claim": (("account1", "key1"), {"idempotency_keys_pkey"}),
    "seed_templates": ((*[["x"]] * 7, "account1"), {"content_templates_account_id_language_template_name_key"}),
    "list_templates": (("account1", 5000, "en", None, None, None, "own", False, 50), {ACCOUNT_AND_ID}),
    "find_template": (("account1", 1), {ACCOUNT_AND_ID}),
    "active_templates": (("account1",), set()),
    "create_template": (("account1", *["x"] * 7), set()),
    "replace_template": (("account1", 1, *["x"] * 7, 1), {ACCOUNT_AND_ID}),
    "archive_template": (("account1", 1), {ACCOUNT_AND_ID}),
    "save_metrics": (
        (["account1"], ["post"], [1], [9], [1], [1], [1], [1], [1], [1.0], [NOW], [0.1]),
        {"performance_metrics_account_id_post_id_captured_at_key"},
    ),
    "update_outcomes": (("account1",), set()),
    "template_success": (("account1", 1), {ACCOUNT_AND_ID}),
    "find_experiment": (("account1", EXPERIMENT), {"experiments_account_id_id_key"}),
    "list_experiments": (("account1", None, EXPERIMENT, 50), {"experiments_account_id_id_key"}),
    "start_experiment": (("account1", EXPERIMENT, 1), {"experiments_account_id_id_key"}),
    "stop_experiment": (("account1", EXPERIMENT, None), set()),
    "reweigh_experiment": (("account1", EXPERIMENT, 1, [0.5]), set()),
    "variant_of_unit": ((EXPERIMENT, "unit1"), {"idx_units_unit"}),
    "save_events": (
        (EXPERIMENT, "account1", ["e"], [0], [False], ["u"], [NOW], [False]),
        {"experiment_events_pkey", "experiment_units_pkey"},
    ),
    "save_posts": ((EXPERIMENT, "account1", ["p"], [NOW], [1], [1], [1], [NOW]), {"experiment_posts_pkey"}),
    "list_posts": ((EXPERIMENT,), {"experiment_posts_pkey"}),
    "page_posts": (
        ("account1", False, None, None, NOW, "post1", 51, 51),
        {"idx_posts_posted_at", "performance_metrics_account_id_post_id_captured_at_key"},
    ),
    "count_units": ((EXPERIMENT,), set()),
    "count_first_units": ((EXPERIMENT, 10), set()),
    "span_of_units": ((EXPERIMENT, 10), {"experiments_pkey"}),
    "count_units_over_time": ((EXPERIMENT, [NOW], NOW, "unit1", 0), set()),
    "count_crossed": ((EXPERIMENT,), set()),
    "list_scored": ((1000,), {"analyzed_queries_pkey"}),
    "count_split": ((), {"idx_experiments_running"}),
    "lock_stopped": (("account1", EXPERIMENT, None), {"experiments_account_id_id_key"}),
    "template_series": (("account1", 1, NOW, None, "day"), set()),
    "list_predictions": (("account1", NOW, NOW, 10), {"idx_queries_created_at"}),
    "last_import": (("account1",), {"idx_imports_account"}),
    "list_audit": (("account1", 5000, None, None, 51), {"idx_audit_account"}),
    "record_weights": (("{}",), {"idx_audit_account"}),
    "template_change": (("account1", 1, NOW, NOW), set()),
    "list_segments": (("account1", "segment1"), {"idx_audience_segment"}),
    "list_visits": (("account1", "content1", 10), {"link_visits_pkey"}),
    "find_candidate": (("account1", "9f86d081884c7d65"), {"idx_queries_analysis_gin"}),
    "find_variant": (("account1", EXPERIMENT, "bold"), {"experiment_variants_experiment_id_name_key"}),
    "first_query_at": (("account1",), {"idx_queries_created_at"}),
    "posts_without_template": (("account1", NOW, NOW, "", 100), {"idx_posts_posted_at"}),
    "candidates_of_templates": (("account1", NOW, EXPERIMENT, 100), {"idx_queries_created_at"}),
    "name_templates": (
        ("account1", ["post1"], [1]),
        {"performance_metrics_account_id_post_id_captured_at_key"},
    ),
}
LOOKUPS = {
    "idx_queries_created_at": "FROM analyzed_queries WHERE account_id = 'account1' ORDER BY created_at DESC LIMIT 20",
    "idx_queries_analysis_gin": """FROM analyzed_queries WHERE analysis_result @> '{"language": "l7"}'""",
    "idx_templates_success_rate": "FROM content_templates WHERE account_id = 'account1' AND success_rate > 0.99",
    "idx_metrics_template_id": "FROM performance_metrics WHERE template_id = 5",
    "idx_metrics_recorded_at": """FROM performance_metrics WHERE account_id = 'account1'
        AND recorded_at > now() - interval '1 hour'""",
    "idx_audience_segment": "FROM audience_analysis WHERE account_id = 'account1' AND audience_segment = 'segment1'",
}


@pytest.fixture
async def filled(connection: asyncpg.Connection) -> asyncpg.Connection:
    await connection.execute(FILL)
    return connection


async def plan(connection: asyncpg.Connection, sql: str, *arguments: object) -> str:
    return "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {sql}", *arguments))


async def test_a_lookup_without_an_index_would_be_seen(filled: asyncpg.Connection) -> None:
    assert "Seq Scan" in await plan(filled, "SELECT * FROM analyzed_queries WHERE query_text = 'x'")


async def test_the_hot_statements_read_no_table_as_a_whole(filled: asyncpg.Connection) -> None:
    queries = load_queries()
    for name, (arguments, indexes) in STATEMENTS.items():
        lines = await plan(filled, queries[name], *arguments)

        assert "Seq Scan" not in lines, name
        assert {index for index in indexes if index in lines} == indexes, name


async def test_what_expires_is_found_by_its_time(filled: asyncpg.Connection) -> None:
    queries = load_queries()
    for name, (arguments, indexes) in EXPIRY.items():
        lines = await plan(filled, queries[name], *arguments)

        assert re.findall(r"Seq Scan on (\w+)", lines) == ["account_settings"], lines
        assert {index for index in indexes if index in lines} == indexes, lines


async def test_counting_touches_the_counters_and_what_runs_alone(filled: asyncpg.Connection) -> None:
    lines = await plan(filled, load_queries()["counts"])

    assert set(re.findall(r" on (\w+)", lines)) == {"row_counts", "experiments", "idx_experiments_running"}


async def test_every_index_of_the_specification_serves_its_lookup(filled: asyncpg.Connection) -> None:
    for index, lookup in LOOKUPS.items():
        lines = await plan(filled, f"SELECT * {lookup}")

        assert index in lines, lines
        assert "Seq Scan" not in lines
