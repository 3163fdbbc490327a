"""`make deploy` under load: no request is lost, what cannot start is told, and the old release serves on."""

import asyncio
import time
from typing import Any

import pytest

from tests.chaos.deployment import Change, deploy, missing, named, next_code, release
from tests.chaos.steady import Load, steady
from tests.serve.conftest import Cluster, wait_until
from tests.serve.test_faults import whole

# As a successor of every replica starts, the cores are theirs: more would wait for so long that it is refused.
RATE = 4.0


def replicas(cluster: Cluster, deployment: str = "") -> set[int]:
    return {process.pid for process in cluster.processes(f"ServeReplica:murmuration:{deployment}")}


async def deploy_under_load(cluster: Cluster, change: Change) -> tuple[int, str, Load]:
    async with steady(cluster, RATE) as load:
        await asyncio.sleep(1)
        done = await asyncio.to_thread(deploy, cluster, change)
        await asyncio.sleep(2)
    return done.returncode, done.stderr, load


@pytest.mark.timeout(600)
async def test_a_release_with_other_code_and_a_migration_replaces_every_replica_and_loses_no_request(cluster: Cluster):
    before, began = replicas(cluster), time.monotonic()
    next_code(cluster.root)
    code, said, load = await deploy_under_load(cluster, release)
    assert code == 0, said
    assert [outcome for outcome in load.outcomes if not outcome.answered] == []
    lost = await load.lost(cluster)
    assert [outcome for outcome in load.since(0) if outcome.identity in lost] == [], cluster.stage_log()
    assert len(load.outcomes) > RATE * (time.monotonic() - began) / 2
    assert not replicas(cluster) & before
    answered = [outcome.release for outcome in load.since(0)]
    assert answered[0] is None, "the first release answered until the next one was there"
    assert answered[-1] == "next"
    rows = await cluster.sql("SELECT count(*) FROM analyzed_queries WHERE release = 'next'")
    assert rows[0]["count"] >= answered.count("next")


@pytest.mark.timeout(600)
async def test_a_release_that_cannot_start_is_told_and_the_old_one_serves_on(cluster: Cluster):
    before = replicas(cluster, "viral_predictor")
    code, said, load = await deploy_under_load(cluster, missing)
    assert code == 1
    assert "models/not_there" in said
    assert [outcome for outcome in load.outcomes if not outcome.answered] == []
    assert await load.lost(cluster) == set()
    # What tried to start may still be ending.
    assert before <= replicas(cluster, "viral_predictor")


@pytest.mark.timeout(300)
def test_a_release_that_finds_no_room_is_given_up_in_time_and_the_old_one_serves_on(cluster: Cluster):
    before = replicas(cluster, "viral_predictor")
    done = deploy(cluster, big, "--wait", "4")
    assert done.returncode == 1, done.stderr
    assert "not served within 4 s" in done.stderr
    wait_until(whole(cluster), 120, "a whole answer of the old release")
    # What tried to start before this test may still have been ending.
    serving = replicas(cluster, "viral_predictor")
    assert serving
    assert serving <= before


def big(application: dict[str, Any]) -> None:
    """A replica that no machine has room for."""
    named(application, "viral_predictor")["ray_actor_options"] = {"num_cpus": 1000}


def test_a_configuration_with_a_mistake_is_refused_before_anything_is_deployed(cluster: Cluster):
    done = deploy(cluster, lambda application: application["args"].update({"relase": "typo"}))
    assert done.returncode == 2
    assert "relase" in done.stderr
    assert "Traceback" not in done.stderr
