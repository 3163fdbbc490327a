"""/metrics against real rows: experiments, their split, the age of X's weights and the drift of what is scored."""

from __future__ import annotations

import re
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import httpx
import orjson
import pytest

from deployments.http.gate import Gate
from deployments.http.ingress import create_api
from deployments.vitals import QUERIES, Watcher
from pipelines.outcomes.x_weights import load_snapshots
from pipelines.viral_predictor.drift import load_reference
from store.postgres import Store
from supervisor.embedded import EmbeddedPostgres
from tests.integration.conftest import Answer, Front, caller

REFERENCE = load_reference(Path(__file__).resolve().parents[2] / "models" / "viral_predictor")
SPLIT = '{"design": "split", "allocation": "equal"}'
BANDIT = '{"design": "split", "allocation": "bandit"}'
POSTS = '{"design": "switchback", "allocation": "equal"}'
CREATE = """
WITH made AS (
    INSERT INTO experiments (id, name, state, plan, started_at, stopped_at)
    VALUES ($1, 'test', $2, $3, CASE WHEN $2 <> 'draft' THEN now() END, CASE WHEN $2 = 'stopped' THEN now() END)
    RETURNING id, account_id
)
INSERT INTO experiment_variants (experiment_id, account_id, variant, name, weight)
SELECT id, account_id, n, 'variant' || n, 0.5 FROM made, generate_series(0, 1) n
"""
EXPOSE = """
INSERT INTO experiment_units (experiment_id, variant, unit, exposed_at, engaged_at, mismatch)
SELECT $1, $2::int, 'unit' || $2::int || '-' || n, CASE WHEN $4 THEN now() END, CASE WHEN NOT $4 THEN now() END, false
FROM generate_series(1, $3) n
"""


async def told(client: httpx.AsyncClient) -> dict[str, float]:
    """Every sample of /metrics."""
    response = await client.get("/metrics")
    assert response.status_code == 200
    return {
        name: float(value)
        for name, value in re.findall(r"^(murmuration_\S+) (\S+)$", response.text, flags=re.MULTILINE)
    }


async def experiment(
    connection: asyncpg.Connection,
    units: tuple[int, int],
    *,
    plan: str = SPLIT,
    state: str = "running",
    exposed: bool = True,
) -> None:
    identity = uuid.uuid4()
    await connection.execute(CREATE, identity, state, plan)
    for variant, n in enumerate(units):
        await connection.execute(EXPOSE, identity, variant, n, exposed)


def scored(text: str, answer: Answer, *, words: float | None, posted_at: str | None = None) -> object:
    contributions = {} if words is None else {"words": words}
    return answer(
        id=uuid.uuid4(),
        query_text=text,
        request=orjson.dumps({"query": text, "posted_at": posted_at}),
        analysis_result=orjson.dumps({"prediction": {"contributions": contributions}}),
    )


async def test_a_database_that_is_away_tells_nothing_and_is_no_error(
    postgres: EmbeddedPostgres, client: httpx.AsyncClient
):
    postgres.stop()
    found = await told(client)
    assert found["murmuration_store_up"] == 0.0
    assert not [name for name in found if name.startswith("murmuration_experiments")]
    assert "murmuration_x_weights_age_days" in found
    postgres.start()
    assert "murmuration_experiments_sample_ratio_mismatch" in await told(client), "it is asked again at once"


async def test_only_running_splits_with_fixed_shares_are_judged_by_their_units(
    client: httpx.AsyncClient, connection: asyncpg.Connection
):
    await experiment(connection, (500, 500))
    await experiment(connection, (600, 400))
    await experiment(connection, (50, 0))
    await experiment(connection, (600, 400), plan=BANDIT)
    await experiment(connection, (600, 400), plan=POSTS)
    await experiment(connection, (600, 400), state="stopped")
    # Engaged without an impression: of no variant that anybody was shown.
    await experiment(connection, (600, 400), exposed=False)
    await experiment(connection, (0, 0), state="draft")
    found = await told(client)
    assert found["murmuration_experiments_sample_ratio_mismatch"] == 2.0
    states = {state: found[f'murmuration_experiments{{state="{state}"}}'] for state in ("draft", "running", "stopped")}
    assert states == {"draft": 1.0, "running": 6.0, "stopped": 1.0}
    assert found['murmuration_experiments{state="concluded"}'] == 0.0


async def test_the_age_of_the_weights_is_counted_from_the_day_they_were_read(client: httpx.AsyncClient):
    found = await told(client)
    age = (datetime.now(UTC).date() - load_snapshots()[-1].date).days
    assert found["murmuration_x_weights_age_days"] == age
    assert found["murmuration_x_weights_stale"] == (age > 60)


async def test_drift_is_told_of_what_was_scored_by_its_wording_from_250_on(store: Store, gate: Gate, answer: Answer):
    gate.app = create_api(Front(gate.app.state.front.answers), REFERENCE)
    rows = [scored(f"We open shop {n} on Monday", answer, words=1.5) for n in range(249)]
    rows += [scored("Abrimos la tienda el lunes", answer, words=None) for _ in range(50)]
    await store.save_queries(rows)
    async with caller(gate, "default") as client:
        found = await told(client)
        assert found["murmuration_input_queries"] == 249.0
        assert not [name for name in found if name.startswith("murmuration_input_psi")]

        moment = "2026-03-02T15:30:00Z"
        await store.save_queries([scored("Now!", answer, words=0.0, posted_at=moment)])
        assert (await told(client))["murmuration_input_queries"] == 249.0, "not read again at every scrape"
        gate.app.state.watcher = Watcher(REFERENCE)
        found = await told(client)
    assert found["murmuration_input_queries"] == 250.0
    drifted = {name for name, value in found.items() if name.startswith("murmuration_input_psi") and value > 0.25}
    assert 'murmuration_input_psi{input="links"}' in drifted
    assert 'murmuration_input_psi{input="hour"}' not in found, "one query has an hour"


@pytest.mark.clock
async def test_the_newest_queries_are_looked_at_and_the_look_is_cheap(store: Store, gate: Gate, answer: Answer):
    gate.app = create_api(Front(gate.app.state.front.answers), REFERENCE)
    await store.save_queries([scored(f"We open shop {n} on Monday", answer, words=1.5) for n in range(QUERIES + 50)])
    async with caller(gate, "default") as client:
        started = time.perf_counter()
        found = await told(client)
        first = time.perf_counter() - started
        started = time.perf_counter()
        await told(client)
        again = time.perf_counter() - started
    assert found["murmuration_input_queries"] == QUERIES
    assert again < first
    assert again < 0.25
