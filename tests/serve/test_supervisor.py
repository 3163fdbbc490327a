"""make serve from start to stop: what it refuses, what it keeps, what it leaves behind (nothing)."""

import contextlib
import signal
from pathlib import Path

import psutil
import pytest

from supervisor.ports import free_port
from tests.serve.conftest import START_S, STOP_S, Cluster, start, title_of, wait_until, wait_until_ready

SERVERS = {"haproxy", "raylet", "gcs_server", "redis-server", "postgres"}


def family(cluster: Cluster) -> list[psutil.Process]:
    return psutil.Process(cluster.process.pid).children(recursive=True)


def assert_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=STOP_S)
    # A zombie has no title.
    assert [title for process in alive if process.is_running() and (title := title_of(process))] == []


def names(processes: list[psutil.Process]) -> set[str]:
    found = set()
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            found.add(process.name())
    return found


@pytest.mark.timeout(2 * START_S + 4 * STOP_S)
async def test_what_was_stored_is_there_after_a_restart_and_no_process_stays(short_folder: Path):
    folder = short_folder / "again"
    folder.mkdir()
    port = free_port()
    first = start(folder, optimized=True, accounts=(), port=port)
    wait_until_ready(first)
    with first.client() as client:
        answer = client.post("/analyze-query", json={"query": "Still here tomorrow"}).json()
    assert answer["persisted"] is True
    # One that is being replaced, as HAProxy is by a reload, may be in no list for a moment.
    wait_until(lambda: names(family(first)) >= SERVERS, 30, f"all of {SERVERS}")
    processes = family(first)
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


@pytest.mark.timeout(START_S + 3 * STOP_S)
def test_a_stop_while_it_starts_leaves_no_process_behind(short_folder: Path):
    folder = short_folder / "early"
    folder.mkdir()
    cluster = start(folder, optimized=True)
    wait_until(lambda: bool(cluster.processes("raylet")), START_S, "Ray starts")
    processes = family(cluster)
    cluster.stop()
    assert_gone(processes)


@pytest.mark.timeout(START_S + 3 * STOP_S)
def test_a_cluster_that_is_killed_while_it_starts_leaves_no_process_behind(short_folder: Path):
    folder = short_folder / "killed"
    folder.mkdir()
    supervisor = start(folder, optimized=True)
    wait_until(lambda: bool(supervisor.processes("DashboardAgent")), START_S, "Ray starts its agents")
    processes = family(supervisor)
    supervisor.kill(r"-m supervisor\.cluster")
    supervisor.process.wait(STOP_S)
    assert_gone(processes)
