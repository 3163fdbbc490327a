"""What the store keeps, refuses and counts, on a real Postgres."""

from __future__ import annotations

import asyncio
import json
import uuid
from dataclasses import replace
from decimal import Decimal

import asyncpg
import pytest

from pipelines.generator.templates import Template
from pipelines.records import Degraded
from store.errors import RowRefused, StoreUnavailable
from store.postgres import Claim, Store

pytestmark = pytest.mark.clock

HASH = b"h" * 32
ROUTE = "/analyze-query"


async def n_rows(connection: asyncpg.Connection, table: str) -> int:
    return await connection.fetchval(f"SELECT count(*) FROM {table}")


@pytest.mark.parametrize(
    "poison",
    [
        {"query_text": "zero \x00 byte"},
        {"query_text": "lone \ud800 surrogate"},
        {"query_text": ""},
        {"analysis_result": b'{"text": "\\u0000"}'},
        {"analysis_result": b"no json"},
        {"analysis_result": b"\xff\xfe"},
        {"analysis_result": b"[" * 100_000},
        {"request": b"[]"},
        {"viral_score": 100.5},
        {"viral_score": float("nan")},
        {"viral_score": 1e300},
    ],
    ids=lambda fields: f"{next(iter(fields))}",
)
async def test_a_poisoned_row_refuses_its_batch_and_nothing_of_it_is_stored(
    store: Store, connection: asyncpg.Connection, answer, poison: dict
) -> None:
    with pytest.raises(RowRefused):
        await store.save_queries([answer(), answer(**poison), answer()])

    assert await n_rows(connection, "analyzed_queries") == 0
    await store.save_queries([answer()])


async def test_a_refusal_names_the_constraint_and_keeps_the_text_to_itself(store: Store, answer) -> None:
    with pytest.raises(RowRefused) as refused:
        await store.save_queries([answer(query_text="a secret plan", viral_score=100.5)])

    assert refused.value.constraint == "analyzed_queries_viral_score_check"
    assert "secret" not in f"{refused.value} {refused.value.__cause__}"


async def test_a_batch_is_committed_with_every_field_when_the_call_returns(
    store: Store, connection: asyncpg.Connection, answer
) -> None:
    degraded: tuple[Degraded, ...] = ("generator.lm", "cache")
    rows = [answer(), answer(viral_score=None, degraded=degraded, account_id="acme")]

    await store.save_queries(rows)

    for row in rows:
        stored = await connection.fetchrow("SELECT * FROM analyzed_queries WHERE id = $1", row.id)
        assert (stored["account_id"], stored["query_text"]) == (row.account_id, row.query_text)
        assert json.loads(stored["request"]) == json.loads(row.request)
        assert json.loads(stored["analysis_result"]) == json.loads(row.analysis_result)
        assert json.loads(stored["model_versions"]) == json.loads(row.model_versions)
        assert stored["degraded"] == list(row.degraded)
        assert stored["created_at"] == stored["updated_at"]
    scores = await connection.fetch("SELECT viral_score FROM analyzed_queries ORDER BY viral_score")
    assert [row["viral_score"] for row in scores] == [Decimal("61.25"), None]


async def test_a_row_that_is_stored_already_stays_and_the_rest_of_the_batch_is_stored(
    store: Store, connection: asyncpg.Connection, answer
) -> None:
    first = answer()
    await store.save_queries([first])

    await store.save_queries([replace(first, query_text="changed"), answer()])

    assert await n_rows(connection, "analyzed_queries") == 2
    stored = await connection.fetchval("SELECT query_text FROM analyzed_queries WHERE id = $1", first.id)
    assert stored == first.query_text


async def test_an_empty_batch_is_nothing(store: Store) -> None:
    await store.save_queries([])


async def test_an_unknown_key_has_no_claim(store: Store) -> None:
    assert await store.find_claim("default", "never used") is None


async def test_a_claim_whose_row_is_refused_leaves_the_key_free(
    store: Store, connection: asyncpg.Connection, answer
) -> None:
    with pytest.raises(RowRefused):
        await store.claim(answer(viral_score=-1.0), "key", ROUTE, HASH, b"{}", 200)

    assert await n_rows(connection, "idempotency_keys") == 0
    assert await store.claim(answer(), "key", ROUTE, HASH, b"{}", 200) is None


async def test_the_first_claim_stores_row_and_response_and_the_second_gets_them(
    store: Store, connection: asyncpg.Connection, answer
) -> None:
    assert await store.claim(answer(), "key", ROUTE, HASH, b'{"first": 1}', 200) is None

    again = await store.claim(answer(), "key", ROUTE, b"another body" * 2, b'{"second": 2}', 201)

    assert again == Claim(HASH, b'{"first": 1}', 200) == await store.find_claim("default", "key")
    assert await n_rows(connection, "analyzed_queries") == 1


async def test_accounts_do_not_see_each_others_keys(store: Store, answer) -> None:
    await store.claim(answer(), "key", ROUTE, HASH, b"{}", 200)

    assert await store.find_claim("acme", "key") is None
    assert await store.claim(answer(account_id="acme"), "key", ROUTE, HASH, b"{}", 200) is None


async def test_concurrent_claims_of_one_key_store_one_row_and_agree_on_its_response(
    database: str, connection: asyncpg.Connection, answer
) -> None:
    store = await Store.connect(database, min_size=0, max_size=20, timeout_s=20.0)
    responses = [f'{{"n": {n}}}'.encode() for n in range(20)]

    outcomes = await asyncio.gather(*(store.claim(answer(), "key", ROUTE, HASH, body, 200) for body in responses))
    await store.close()

    (winner,) = [body for body, outcome in zip(responses, outcomes, strict=True) if outcome is None]
    assert {outcome.response for outcome in outcomes if outcome} == {winner}
    assert await n_rows(connection, "analyzed_queries") == 1
    assert await n_rows(connection, "idempotency_keys") == 1


async def test_a_claim_waits_for_the_one_that_came_first_and_wins_if_that_is_rolled_back(
    store: Store, connection: asyncpg.Connection, answer
) -> None:
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("INSERT INTO idempotency_keys VALUES ('default', 'key', '/', $1, '', 200)", HASH)
    waiting = asyncio.create_task(store.claim(answer(), "key", ROUTE, HASH, b"{}", 200))
    done, _ = await asyncio.wait([waiting], timeout=0.3)
    assert not done

    await transaction.rollback()

    assert await waiting is None


async def test_a_claim_that_waits_too_long_is_unavailable_and_stops_waiting_in_the_server(
    database: str, store: Store, connection: asyncpg.Connection, answer
) -> None:
    impatient = await Store.connect(database, min_size=1, max_size=1, timeout_s=0.4)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("INSERT INTO idempotency_keys VALUES ('default', 'key', '/', $1, '', 200)", HASH)

    with pytest.raises(StoreUnavailable):
        await impatient.claim(answer(), "key", ROUTE, HASH, b"{}", 200)

    await asyncio.sleep(0.3)
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'murmuration' AND wait_event_type = 'Lock'"
    )
    assert await connection.fetchval(waiting) == 0
    await transaction.rollback()
    assert await store.claim(answer(), "key", ROUTE, HASH, b"{}", 200) is None
    await impatient.close()


async def test_counts_are_exact_after_inserts_conflicts_refusals_deletes_and_truncation(
    store: Store, connection: asyncpg.Connection, answer
) -> None:
    specified = ("analyzed_queries", "content_templates", "performance_metrics", "audience_analysis")
    others = ("idempotency_keys", "experiments", "experiment_events", "experiments_running", "posts", "imports")
    nothing = dict.fromkeys((*specified, *others), 0)
    assert await store.counts() == nothing

    rows = [answer() for _ in range(5)]
    await store.save_queries(rows)
    await store.save_queries(rows)
    with pytest.raises(RowRefused):
        await store.save_queries([answer(), answer(query_text="")])
    await store.claim(answer(), "key", ROUTE, HASH, b"{}", 200)
    await store.claim(answer(), "key", ROUTE, HASH, b"{}", 200)
    assert await store.counts() == nothing | {"analyzed_queries": 6, "idempotency_keys": 1}

    await connection.execute("DELETE FROM analyzed_queries WHERE id = $1", rows[0].id)
    await connection.execute("TRUNCATE idempotency_keys")
    assert await store.counts() == nothing | {"analyzed_queries": 5}


async def test_seeding_templates_twice_changes_only_what_differs_and_keeps_what_was_learned(
    store: Store, connection: asyncpg.Connection
) -> None:
    question = Template("q", "question", "en", "engagement", "witty", "ask", "What if?")
    spanish = replace(question, language="es", content="¿Y si?")
    assert await store.seed_templates([question, spanish]) == 2
    await connection.execute("UPDATE content_templates SET usage_count = 7, success_rate = 0.25")
    before = await connection.fetch("SELECT id, updated_at FROM content_templates ORDER BY language")

    assert await store.seed_templates([]) == 0
    assert await store.seed_templates([replace(question, content="Why not?"), spanish]) == 1

    after = await connection.fetch("SELECT * FROM content_templates ORDER BY language")
    assert [row["id"] for row in after] == [row["id"] for row in before]
    assert [row["template_content"] for row in after] == ["Why not?", "¿Y si?"]
    assert {(row["usage_count"], row["success_rate"]) for row in after} == {(7, Decimal("0.250000"))}
    assert after[0]["updated_at"] > before[0]["updated_at"]
    assert after[1]["updated_at"] == before[1]["updated_at"]
    assert (await store.counts())["content_templates"] == 2


async def test_a_template_twice_in_one_seed_is_refused(store: Store) -> None:
    twice = Template("q", "question", "en", "engagement", "witty", "ask", "a")
    with pytest.raises(RowRefused):
        await store.seed_templates([twice, twice])


async def test_a_caller_that_leaves_does_not_take_the_connection_along(database: str, answer) -> None:
    store = await Store.connect(database, min_size=1, max_size=1, timeout_s=5.0)
    for _ in range(20):
        saving = asyncio.create_task(store.save_queries([answer()]))
        await asyncio.sleep(0.001)
        saving.cancel()
        await asyncio.gather(saving, return_exceptions=True)

    row = answer(id=uuid.uuid4())
    await store.save_queries([row])
    await store.close()
