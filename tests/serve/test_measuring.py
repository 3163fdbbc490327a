"""What measures the product, in a short form: the figures of a quiet machine stand in docs/speed.md."""

import asyncio
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

import pytest
import uvloop

from tests.benchmarks.growth import of_length, with_history
from tests.benchmarks.peers import run as peers
from tests.benchmarks.soak import QUEUES, idle, summary, under_load
from tests.benchmarks.systems import Running, loaded, own_database, product, servers, serving
from tests.serve.conftest import KEY, Cluster

RATE, SECONDS = 6.0, 12.0
Result = TypeVar("Result")


def unless_it_stalls(measure: Callable[[], Result], spoilt: Callable[[Result], bool]) -> Result:
    """What is measured; again, three times at most, where that is `spoilt`.

    A stage has two seconds: a machine that stands still for so long spoils one measurement, a fault each.
    """
    for _ in range(2):
        if not spoilt(found := measure()):
            return found
    return measure()


@pytest.fixture
def running(cluster: Cluster) -> Running:
    """The cluster of the tests as the benchmarks know a system."""
    found = Running(product(), cluster.url, cluster.database_url, cluster.folder, {}, cluster.process, key=KEY)
    # The first answers after a start are slow, and other tests may have left the replicas busy.
    uvloop.run(loaded(found, 4, 2))
    return found


def test_a_soak_of_seconds_knows_every_process_and_answers_all(running: Running) -> None:
    resting = idle(running, 2)
    samples, answers = unless_it_stalls(
        lambda: uvloop.run(under_load(running, RATE, SECONDS)),
        # A request that gets no answer is never the machine's doing.
        lambda seen: bool(seen[1]["degraded"]) and not seen[1]["failed"],
    )
    found = summary(samples)
    assert answers["sent"] >= RATE * SECONDS * 0.9
    assert answers["success_percent"] == 100, answers["why"]
    for name in ("replica sentiment", "replica ingress", "HAProxy", "Postgres", "Redis", "Serve's controller"):
        assert found["processes"][name]["last_mib"] > 1, name
        assert name in resting["processes"]
    assert set(found["queues"]) == {"in flight at the clients", *QUEUES}


@pytest.mark.parametrize("made", [of_length(280), with_history(20)], ids=["280 characters", "20 posts of history"])
def test_the_load_of_growth_is_answered(running: Running, made: object) -> None:
    found = unless_it_stalls(
        lambda: uvloop.run(loaded(running, 8, 2, made)), lambda seen: bool(seen["errors"]) and not seen["refused"]
    )
    assert found["requests"] > 8
    assert (found["errors"], found["refused"]) == (0, 0)


def test_peers_and_the_product_answer_the_same(running: Running, tmp_path_factory: pytest.TempPathFactory) -> None:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        expected = pool.submit(peers.reference).result()
    peers.check(running, expected)
    folder = tmp_path_factory.mktemp("peers")
    folder.chmod(0o711)
    name = "FastAPI + our batcher, 1 worker"
    with servers(folder) as (postgres, environment):
        database = asyncio.run(own_database(postgres.url, "peer"))
        with serving(name, peers.SYSTEMS[name], folder / "system", database, environment) as peer:
            peers.check(peer, expected)
            assert uvloop.run(loaded(peer, 4, 2))["errors"] == 0
