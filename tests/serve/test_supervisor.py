"""make serve from start to stop: what it refuses, what it keeps, what it leaves behind (nothing)."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from supervisor.ports import free_port
from tests.serve.conftest import ROOT, START_S, STOP_S, Cluster, start, wait_until, wait_until_ready

SUPERVISOR = [sys.executable, "-m", "supervisor.main"]


def family(cluster: Cluster) -> list[psutil.Process]:
    return psutil.Process(cluster.process.pid).children(recursive=True)


def assert_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=30)
    left = [" ".join(p.cmdline()) or p.name() for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    assert left == []


def refuse(folder: Path, *arguments: str, **environment: str) -> str:
    """Run the supervisor on something it must refuse; returns its last line."""
    result = subprocess.run(
        [*SUPERVISOR, "--data", str(folder), *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr.strip().splitlines()[-1] if "stopping" not in result.stderr else result.stderr


@pytest.mark.parametrize(
    ("ports", "message"),
    [
        (["--port", "70000"], "'70000' is no port"),
        (["--port", "8765", "--dashboard-port", "8765"], "cannot share port 8765"),
    ],
)
def test_ports_that_cannot_be_are_refused_in_one_line(short_folder: Path, ports: list[str], message: str):
    assert message in refuse(short_folder / "refused", *ports)


@pytest.mark.parametrize(("option", "variable"), [("--port", "PORT"), ("--dashboard-port", "DASHBOARD_PORT")])
def test_a_taken_port_is_named_with_what_holds_it(short_folder: Path, option: str, variable: str):
    ports = {"--port": str(free_port()), "--dashboard-port": str(free_port())}
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        ports[option] = str(port)
        message = refuse(short_folder / "taken", *(part for pair in ports.items() for part in pair))
    assert f"port {port} is taken by" in message
    assert f"make serve {variable}=..." in message
    assert str(os.getpid()) in message
    assert_gone(
        [
            p
            for p in psutil.process_iter(["cmdline"])
            if str(short_folder / "taken") in " ".join(p.info["cmdline"] or ())
        ]
    )


def test_an_unknown_key_of_the_configuration_is_named(short_folder: Path):
    config = short_folder / "typo.yaml"
    config.write_text(
        (ROOT / "serve_config.yaml").read_text().replace("max_ongoing_requests", "max_ongoing_request", 1)
    )
    message = refuse(short_folder / "typo", "--config", str(config))
    assert "unknown key applications[0].deployments[0].max_ongoing_request" in message


def test_an_open_host_without_a_key_is_refused(short_folder: Path):
    config = short_folder / "open.yaml"
    config.write_text((ROOT / "serve_config.yaml").read_text().replace("host: 127.0.0.1", "host: 0.0.0.0"))
    message = refuse(short_folder / "open", "--config", str(config), "--port", str(free_port()))
    assert "MURMURATION_API_KEYS" in message


def test_one_serve_flag_without_the_other_is_refused(short_folder: Path):
    message = refuse(short_folder / "flag", "--port", str(free_port()), RAY_SERVE_ENABLE_HA_PROXY="1")
    assert "RAY_SERVE_THROUGHPUT_OPTIMIZED" in message


def test_a_weak_key_is_refused(short_folder: Path):
    message = refuse(short_folder / "weak", "--port", str(free_port()), MURMURATION_API_KEYS='{"default": "changeme"}')
    assert "murmuration_api_keys" in message.lower()
    assert "changeme" not in message


@pytest.mark.timeout(600)
async def test_what_was_stored_is_there_after_a_restart_and_no_process_stays(short_folder: Path):
    folder = short_folder / "again"
    folder.mkdir()
    port = free_port()
    first = start(folder, optimized=True, key=None, port=port)
    wait_until_ready(first)
    with first.client() as client:
        answer = client.post("/analyze-query", json={"query": "Still here tomorrow"}).json()
    assert answer["persisted"] is True
    processes = family(first)
    assert {"haproxy", "raylet", "gcs_server", "redis-server", "postgres"} <= {process.name() for process in processes}
    assert first.stop(signal.SIGINT) == 0
    assert_gone(processes)

    # The same port again: nothing of the first run still listens there.
    second = start(folder, optimized=True, key=None, port=port)
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
