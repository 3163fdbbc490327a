"""make serve from start to stop: what it refuses, what it keeps, what it leaves behind (nothing)."""

import signal
from pathlib import Path

import psutil
import pytest

from supervisor.ports import free_port
from tests.serve.conftest import START_S, STOP_S, Cluster, start, wait_until, wait_until_ready


def family(cluster: Cluster) -> list[psutil.Process]:
    return psutil.Process(cluster.process.pid).children(recursive=True)


def assert_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=STOP_S)
    left = [" ".join(p.cmdline()) or p.name() for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    assert left == []


@pytest.mark.timeout(600)
async def test_what_was_stored_is_there_after_a_restart_and_no_process_stays(short_folder: Path):
    folder = short_folder / "again"
    folder.mkdir()
    port = free_port()
    first = start(folder, optimized=True, accounts=(), port=port)
    wait_until_ready(first)
    with first.client() as client:
        answer = client.post("/analyze-query", json={"query": "Still here tomorrow"}).json()
    assert answer["persisted"] is True
    processes = family(first)
    assert {"haproxy", "raylet", "gcs_server", "redis-server", "postgres"} <= {process.name() for process in processes}
    assert first.stop(signal.SIGINT) == 0
    assert_gone(processes)

    # The same port again: nothing of the first run still listens there.
    second = start(folder, optimized=True, accounts=(), port=port)
    wait_until_ready(second)
    (row,) = await second.sql("SELECT id FROM analyzed_queries")
    assert str(row["id"]) == answer["id"]
    processes = family(second)
    second.process.kill()
    second.process.wait(10)
    assert_gone(processes)


@pytest.mark.timeout(300)
def test_a_stop_while_it_starts_leaves_no_process_behind(short_folder: Path):
    folder = short_folder / "early"
    folder.mkdir()
    cluster = start(folder, optimized=True)
    wait_until(lambda: bool(cluster.processes("raylet")), START_S, "Ray starts")
    processes = family(cluster)
    cluster.stop()
    assert_gone(processes)


@pytest.mark.timeout(300)
def test_a_cluster_that_is_killed_while_it_starts_leaves_no_process_behind(short_folder: Path):
    folder = short_folder / "killed"
    folder.mkdir()
    supervisor = start(folder, optimized=True)
    wait_until(lambda: bool(supervisor.processes("DashboardAgent")), START_S, "Ray starts its agents")
    processes = family(supervisor)
    supervisor.kill(r"-m supervisor\.cluster")
    supervisor.process.wait(STOP_S)
    assert_gone(processes)
