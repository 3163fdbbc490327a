"""What a request costs the ingress, measured in a short form: `make scale UNIT=1` measures it on a quiet machine."""

from __future__ import annotations

import asyncpg

from supervisor.embedded import EmbeddedRedis
from tests.benchmarks.unit_costs import Recorded, briefs, models, through_the_app


async def test_the_costs_of_the_ingress_are_those_of_whole_answers_that_were_stored(
    database: str, connection: asyncpg.Connection, redis: EmbeddedRedis
) -> None:
    texts = briefs()[:180]
    found = await through_the_app(Recorded(models()).handles, texts, database, redis.url)
    assert found["answers"] == 180 - 164
    assert await connection.fetchval("SELECT count(*) FROM analyzed_queries WHERE degraded = '{}'") == 180
    assert 0 < found["at_64_ms"] < 60_000
    assert found["answer_bytes"] > 500
