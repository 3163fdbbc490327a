"""The counts that people watch equal what SQL counts, whatever was added, deleted or there before."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import httpx
import orjson
import pytest

from store.figures import Count, Figures
from store.imports import delete_account
from store.migrate import MIGRATIONS, migrate
from store.postgres import Store, load_queries
from tests.integration.conftest import Answer, caller
from tests.integration.experiment_calls import counts, created, told

BY_SQL = """
SELECT
    count(*) AS queries, coalesce(sum(jsonb_array_length(analysis_result -> 'templates')), 0) AS candidates,
    count(viral_score) + (
        SELECT count(*) FROM analyzed_queries, jsonb_array_elements(analysis_result -> 'templates') AS candidate
        WHERE account_id = $1 AND candidate ->> 'viral_score' IS NOT NULL
    ) AS predictions
FROM analyzed_queries WHERE account_id = $1
"""


def analysis(*scores: float | None) -> bytes:
    """An answer with as many candidates."""
    return orjson.dumps({"templates": [{"text": "a", "viral_score": score} for score in scores]})


def now() -> datetime:
    """Not that of the collection: midnight may lie between."""
    return datetime.now(UTC)


def shown(figures: Figures) -> tuple[int, int, int]:
    return figures.queries.total, figures.candidates.total, figures.predictions.total


async def test_an_account_that_did_nothing_has_zeros_and_not_those_of_others(store: Store, answer: Answer) -> None:
    await store.save_queries([answer(account_id="acme", analysis_result=analysis(1.0, 2.0))])
    figures = await store.figures.of("default", now())
    assert figures == Figures(
        experiments={"draft": 0, "running": 0, "stopped": 0, "concluded": 0}, running=(), imports=Count()
    )
    assert (await store.figures.of("acme", now())).candidates == Count(2, 2)


async def test_counts_equal_sql_with_many_accounts_in_a_statement_and_after_deletions(
    store: Store, connection: asyncpg.Connection, answer: Answer
) -> None:
    rows = [
        answer(account_id=account, viral_score=score, analysis_result=body)
        for account in ("default", "acme")
        for score, body in [
            (50.0, analysis(1.0, None, 3.0)),
            (None, analysis()),
            (1.0, b"{}"),
            (2.0, b'{"templates": 1}'),
        ]
    ]
    await store.save_queries(rows)
    await store.save_queries(rows[:2])  # repeated, so stored already
    await connection.execute(
        "UPDATE analyzed_queries SET analysis_result = '{}' WHERE analysis_result->>'templates' = '1'"
    )
    for account in ("default", "acme"):
        assert shown(await store.figures.of(account, now())) == tuple(await connection.fetchrow(BY_SQL, account))
    await connection.execute("DELETE FROM analyzed_queries WHERE account_id = 'acme' AND viral_score = 50")
    assert shown(await store.figures.of("acme", now())) == tuple(await connection.fetchrow(BY_SQL, "acme")) == (3, 0, 2)
    assert shown(await store.figures.of("default", now())) == (4, 3, 5)


async def test_today_begins_at_midnight_utc(store: Store, connection: asyncpg.Connection, answer: Answer) -> None:
    await store.save_queries([answer(analysis_result=analysis(1.0))])
    figures = await store.figures.of("default", now() + timedelta(days=1))
    assert (figures.queries, figures.candidates, figures.predictions) == (Count(0, 1), Count(0, 1), Count(0, 2))


async def test_running_experiments_come_with_the_events_of_each_variant(
    client: httpx.AsyncClient, gate: object, store: Store, connection: asyncpg.Connection
) -> None:
    running = await created(client, start=True)
    await created(client, start=False)
    async with caller(gate, "acme") as other:  # type: ignore[arg-type]
        await created(other, start=True)
    events = counts("control", 5, 2) + counts("b", 4, 0)
    await told(client, running, *events)
    await told(client, running, *events)  # repeated, so known already
    figures = await store.figures.of("default", now())
    assert figures.events == Count(11, 11)
    assert figures.experiments == {"draft": 1, "running": 1, "stopped": 0, "concluded": 0}
    (one,) = figures.running
    assert [(v.name, v.impressions, v.engagements) for v in one.variants] == [("control", 5, 2), ("b", 4, 0)]
    assert str(one.id) == running["id"]
    assert one.last_event_at is not None
    stored = await connection.fetchval("SELECT count(*) FROM experiment_events")
    assert sum(v.impressions + v.engagements for v in one.variants) == stored


async def test_deleting_an_account_deletes_its_counts_and_leaves_the_others(
    client: httpx.AsyncClient, store: Store, database: str, connection: asyncpg.Connection, answer: Answer
) -> None:
    await store.save_queries([answer(), answer(account_id="acme")])
    await told(client, await created(client, start=True), *counts("control", 2, 1))
    deleted = await delete_account(database, load_queries(), "default")
    assert (deleted["analyzed_queries"], deleted["experiment_events"]) == (1, 3)
    assert await connection.fetchval("SELECT count(*) FROM daily_counts WHERE account_id = 'default'") == 0
    assert await connection.fetchval("SELECT count(*) FROM experiment_event_counts") == 0
    assert (await store.figures.of("acme", now())).queries.total == 1


async def test_what_was_stored_before_is_counted_by_the_migration(empty_database: str, tmp_path: Path) -> None:
    for path in MIGRATIONS.glob("*.sql"):
        if path.stem < "0019":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    await migrate(empty_database, tmp_path)
    connection = await asyncpg.connect(empty_database)
    experiment = uuid.uuid4()
    await connection.execute(
        """INSERT INTO analyzed_queries (id, query_text, request, analysis_result, viral_score, model_versions)
        VALUES (gen_random_uuid(), 'text', '{}', $1::text::jsonb, 50, '{}')""",
        analysis(1.0, None).decode(),
    )
    await connection.execute(
        "INSERT INTO experiments (id, name, state, plan, started_at) VALUES ($1, 'name', 'running', '{}', now())",
        experiment,
    )
    await connection.execute(
        "INSERT INTO experiment_events SELECT $1, n::text, 0, n = 1, 'u', now() FROM generate_series(1, 3) n",
        experiment,
    )
    # Of an experiment that is gone.
    await connection.execute("INSERT INTO experiment_events VALUES (gen_random_uuid(), 'e', 0, true, 'u', now())")
    await migrate(empty_database)
    (day,) = await connection.fetch("SELECT queries, candidates, predictions, events FROM daily_counts")
    assert tuple(day) == (1, 2, 2, 3)
    (told_of,) = await connection.fetch("SELECT variant, impressions, engagements FROM experiment_event_counts")
    assert tuple(told_of) == (0, 2, 1)
    await connection.close()


@pytest.mark.parametrize("name", ["live_counts", "live_imports", "live_experiments", "live_running"])
async def test_watching_reads_no_table_whole(connection: asyncpg.Connection, name: str) -> None:
    await connection.execute(
        """INSERT INTO daily_counts (account_id, day, shard)
        SELECT 'account' || n % 100, '2026-01-01'::date + n / 100, 0 FROM generate_series(1, 10000) n;
        INSERT INTO experiments (id, account_id, name, state, plan, started_at)
        SELECT md5(n::text)::uuid, 'account' || n % 20, 'name', CASE n % 50 WHEN 0 THEN 'running' ELSE 'draft' END,
            '{}', CASE n % 50 WHEN 0 THEN now() END FROM generate_series(1, 10000) n;
        INSERT INTO experiment_variants (experiment_id, account_id, variant, name, weight)
        SELECT id, account_id, 0, 'control', 1 FROM experiments;
        INSERT INTO experiment_posts (experiment_id, post_id, posted_at, likes, retweets, captured_at)
        SELECT id, 'post', now(), 0, 0, now() FROM experiments;
        INSERT INTO experiment_event_counts SELECT id, 0, 0, 1, 1, now() FROM experiments;
        INSERT INTO imports (id, account_id, source, captured_at, imported, updated, unchanged, rejected)
        SELECT gen_random_uuid(), 'account' || n % 20, 'content', now(), 0, 0, 0, 0 FROM generate_series(1, 10000) n;
        ANALYZE"""
    )
    arguments = {"live_counts": ("2026-01-01",), "live_imports": (uuid.UUID(int=0),), "live_running": (50,)}
    literal = [repr("account1"), *(repr(str(argument)) for argument in arguments.get(name, ()))]
    statement = load_queries()[name]
    for place, value in enumerate(literal, start=1):
        statement = statement.replace(f"${place}", value)
    plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {statement}"))
    assert "Seq Scan" not in plan, plan
