"""What else may end under load, beside models and servers: the short form of `make chaos`."""

import asyncio
import signal
import time

import pytest

from deployments.settings import ConfigError
from supervisor.running import find
from tests.chaos.deployment import cached, deploy
from tests.chaos.faults import HAPROXY
from tests.chaos.steady import steady
from tests.serve.conftest import START_S, Cluster, wait_until
from tests.serve.test_faults import kill_under_load, whole

STOPPED_S = 3.0


def pids(cluster: Cluster, pattern: str) -> set[int]:
    return {process.pid for process in cluster.processes(pattern)}


def is_found(cluster: Cluster) -> bool:
    """Whether `make deploy` would find it: the last that a cluster does when it has started."""
    try:
        find(cluster.folder / "data")
    except (ConfigError, ValueError):
        return False
    return True


@pytest.mark.timeout(300)
async def test_a_killed_controller_comes_back_and_costs_nothing(cluster: Cluster):
    before = pids(cluster, "ServeController")
    seen = await kill_under_load(cluster, "ServeController")
    assert set(seen.statuses) == {200}
    assert seen.lost_connections == 0
    assert seen.degraded == set()
    wait_until(lambda: bool(pids(cluster, "ServeController") - before), 60, "the controller is back")


@pytest.mark.timeout(300)
async def test_a_killed_front_comes_back_within_seconds_and_loses_no_acknowledged_answer(cluster: Cluster):
    # What makes it seconds: Serve starts another after three checks, which by itself it makes every ten seconds.
    (raylet,) = cluster.processes("raylet/raylet")
    assert raylet.environ()["RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S"] == "1"
    async with steady(cluster, 15) as load:
        await asyncio.sleep(1)
        killed = time.monotonic()
        await asyncio.to_thread(cluster.kill, HAPROXY)
        await asyncio.to_thread(wait_until, whole(cluster), 60, "another HAProxy")
        await asyncio.sleep(1)
    assert any(outcome.whole and outcome.due > killed for outcome in load.outcomes)
    assert {part for outcome in load.outcomes for part in outcome.degraded} == set()
    assert await load.lost(cluster) == set()


@pytest.mark.timeout(300)
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


@pytest.mark.timeout(START_S + 120)
async def test_without_gcs_the_cluster_is_started_again_on_the_same_data(cluster: Cluster):
    rows = await cluster.sql("SELECT count(*) AS n FROM analyzed_queries")
    cluster.kill("gcs_server")
    answers = whole(cluster)
    wait_until(lambda: bool(pids(cluster, "gcs_server")) and answers(), START_S, "a whole answer of another cluster")
    # It answers before it has written down that it serves.
    wait_until(lambda: is_found(cluster), 60, "another cluster that is found")
    after = await cluster.sql("SELECT count(*) AS n FROM analyzed_queries")
    assert after[0]["n"] > rows[0]["n"]
