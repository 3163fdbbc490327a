"""What else may end under load, beside models and servers: the short form of `make chaos`."""

import asyncio
import signal
import time

import httpx
import pytest

from tests.chaos.deployment import cached, deploy
from tests.chaos.faults import HAPROXY
from tests.chaos.steady import steady
from tests.serve.conftest import START_S, Cluster, wait_until
from tests.serve.test_faults import kill_under_load, whole

STOPPED_S = 3.0


def pids(cluster: Cluster, pattern: str) -> set[int]:
    return {process.pid for process in cluster.processes(pattern)}


def answered(cluster: Cluster) -> bool:
    """Whether a query gets a whole answer, where perhaps nobody listens."""
    try:
        return whole(cluster)()
    except (httpx.HTTPError, ValueError):
        return False


@pytest.mark.timeout(180)
async def test_a_killed_controller_comes_back_and_costs_nothing(cluster: Cluster):
    before = pids(cluster, "ServeController")
    seen = await kill_under_load(cluster, "ServeController")
    assert set(seen.statuses) == {200}
    assert seen.lost_connections == 0
    assert seen.degraded == set()
    wait_until(lambda: bool(pids(cluster, "ServeController") - before), 30, "the controller is back")


@pytest.mark.timeout(180)
async def test_a_killed_front_comes_back_within_seconds_and_loses_no_acknowledged_answer(cluster: Cluster):
    async with steady(cluster, 15) as load:
        await asyncio.sleep(1)
        killed = time.monotonic()
        await asyncio.to_thread(cluster.kill, HAPROXY)
        await asyncio.to_thread(wait_until, lambda: answered(cluster), 25, "another HAProxy")
        await asyncio.sleep(1)
    assert any(outcome.whole and outcome.due > killed for outcome in load.outcomes)
    assert {part for outcome in load.outcomes for part in outcome.degraded} == set()
    assert await load.lost(cluster) == set()


@pytest.mark.timeout(180)
async def test_a_redis_that_hangs_costs_its_timeout_once_and_no_answer(cluster: Cluster):
    done = deploy(cluster, cached)
    assert done.returncode == 0, done.stderr
    (redis,) = cluster.processes("redis-server")
    async with steady(cluster, 15) as load:
        redis.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(STOPPED_S)
        finally:
            redis.send_signal(signal.SIGCONT)
    assert len(load.outcomes) > STOPPED_S * 10
    assert all(outcome.whole for outcome in load.outcomes), load.outcomes
    assert await load.lost(cluster) == set()


@pytest.mark.timeout(START_S + 60)
async def test_without_gcs_the_cluster_is_started_again_on_the_same_data(cluster: Cluster):
    rows = await cluster.sql("SELECT count(*) AS n FROM analyzed_queries")
    cluster.kill("gcs_server")

    wait_until(
        lambda: bool(pids(cluster, "gcs_server")) and answered(cluster), START_S, "a whole answer of another cluster"
    )
    after = await cluster.sql("SELECT count(*) AS n FROM analyzed_queries")
    assert after[0]["n"] > rows[0]["n"]
