"""kill -9 while requests come in: what is acknowledged stays, what is missing is named, everything comes back."""

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import httpx
import pytest

from tests.serve.conftest import KEY, Cluster, wait_until

# Few enough that even on two cores nobody waits for a turn: Admission lets in eight in any case (LEAST), and these and
# who looks for a whole answer are fewer, so that what is refused or missing is the fault's doing.
CALLERS = 6
REPLICA = "ServeReplica:murmuration:{}"


@dataclass
class Seen:
    """What the callers saw, and whether to go on."""

    acknowledged: set[str] = field(default_factory=set)
    degraded: set[str] = field(default_factory=set)
    statuses: dict[int, int] = field(default_factory=dict)
    lost_connections: int = 0
    going: bool = True


@asynccontextmanager
async def load(cluster: Cluster, mark: str) -> AsyncIterator[Seen]:
    """Callers that post distinct queries until the block ends."""
    seen = Seen()
    numbers = itertools.count()

    async def caller(session: aiohttp.ClientSession) -> None:
        while seen.going:
            body = {"query": f"{mark} number {next(numbers)} comes next week", "language": "en", "engine": "templates"}
            try:
                async with session.post(
                    f"{cluster.url}/analyze-query", json=body, headers={"x-api-key": KEY}
                ) as answer:
                    seen.statuses[answer.status] = seen.statuses.get(answer.status, 0) + 1
                    if answer.status != 200:
                        await asyncio.sleep(0.05)
                        continue
                    content = await answer.json()
                    seen.degraded.update(content["degraded"])
                    if content["persisted"]:
                        seen.acknowledged.add(content["id"])
            except (aiohttp.ClientError, TimeoutError):
                seen.lost_connections += 1
                await asyncio.sleep(0.05)

    # While an ingress starts, callers wait for it.
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(120)) as session:
        callers = [asyncio.create_task(caller(session)) for _ in range(CALLERS)]
        try:
            yield seen
        finally:
            seen.going = False
            await asyncio.gather(*callers)


async def stored(cluster: Cluster, mark: str) -> set[str]:
    rows = await cluster.sql("SELECT id FROM analyzed_queries WHERE query_text LIKE $1", f"{mark}%")
    return {str(row["id"]) for row in rows}


def whole(cluster: Cluster) -> Callable[[], bool]:
    """Whether a query that needs every model is answered with nothing missing, where perhaps nobody listens."""
    numbers = itertools.count()

    def check() -> bool:
        try:
            with cluster.client() as client:
                query = f"We open shop number {next(numbers)} on Monday"
                response = client.post("/analyze-query", json={"query": query})
        except httpx.HTTPError:
            return False
        if response.status_code != 200:
            return False
        answer = response.json()
        return answer["persisted"] and answer["templates"] and not answer["degraded"]

    return check


async def kill_under_load(cluster: Cluster, pattern: str) -> Seen:
    mark = f"mark{uuid.uuid4().hex}"
    async with load(cluster, mark) as seen:
        await asyncio.to_thread(wait_until, lambda: bool(seen.acknowledged), 60, "an answer to the load")
        await asyncio.sleep(1.5)
        await asyncio.to_thread(cluster.kill, pattern)
        await asyncio.to_thread(wait_until, whole(cluster), 120, f"a whole answer after the end of {pattern}")
        at_recovery = len(seen.acknowledged)
        await asyncio.sleep(1.0)
    assert len(seen.acknowledged) > at_recovery, "the load did not go on after the recovery"
    lost = seen.acknowledged - await stored(cluster, mark)
    assert not lost
    return seen


@pytest.mark.timeout(300)
@pytest.mark.parametrize("model", ["query_analyzer", "sentiment", "generator", "viral_predictor"])
async def test_a_killed_model_costs_its_own_field_and_no_request(cluster: Cluster, model: str):
    seen = await kill_under_load(cluster, REPLICA.format(model))
    assert set(seen.statuses) == {200}
    assert seen.lost_connections == 0
    assert seen.degraded <= {model}, cluster.stage_log()


@pytest.mark.both_modes
@pytest.mark.timeout(300)
async def test_a_killed_ingress_loses_no_acknowledged_answer(cluster: Cluster):
    seen = await kill_under_load(cluster, REPLICA.format("ingress"))
    assert seen.statuses[200] > 0


@pytest.mark.timeout(300)
async def test_a_killed_postgres_is_restarted_and_loses_no_acknowledged_answer(cluster: Cluster):
    seen = await kill_under_load(cluster, r"postgres -D")
    assert set(seen.statuses) == {200}
    assert seen.degraded <= {"store"}


@pytest.mark.timeout(300)
async def test_a_killed_redis_is_restarted_and_costs_nothing(cluster: Cluster):
    seen = await kill_under_load(cluster, "redis-server")
    assert set(seen.statuses) == {200}
    assert seen.degraded == set()
    wait_until(lambda: bool(cluster.processes("redis-server")), 60, "Redis is back")
