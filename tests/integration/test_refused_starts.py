"""What `make serve` refuses before anything starts, in one line that says what to do."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from supervisor.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
START_S = 300
SUPERVISOR = [sys.executable, "-m", "supervisor.main"]
pytestmark = pytest.mark.timeout(2 * START_S)


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
def test_ports_that_cannot_be_are_refused_in_one_line(tmp_path: Path, ports: list[str], message: str):
    assert message in refuse(tmp_path / "refused", *ports)


@pytest.mark.parametrize(("option", "variable"), [("--port", "PORT"), ("--dashboard-port", "DASHBOARD_PORT")])
def test_a_taken_port_is_named_with_what_holds_it(tmp_path: Path, option: str, variable: str):
    ports = {"--port": str(free_port()), "--dashboard-port": str(free_port())}
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        ports[option] = str(port)
        message = refuse(tmp_path / "taken", *(part for pair in ports.items() for part in pair))
    assert f"port {port} is taken by" in message
    assert f"make serve {variable}=..." in message
    assert str(os.getpid()) in message
    left = [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(tmp_path / "taken") in " ".join(process.info["cmdline"] or ())
    ]
    assert psutil.wait_procs(left, timeout=30)[1] == []


def test_a_data_folder_that_cannot_be_is_refused_in_one_line(tmp_path: Path):
    (tmp_path / "file").touch()
    message = refuse(tmp_path / "file" / "data", DATABASE_URL="", REDIS_URL="")
    assert message.startswith("error: ")
    assert str(tmp_path / "file") in message


def test_an_unknown_key_of_the_configuration_is_named(tmp_path: Path):
    config = tmp_path / "typo.yaml"
    config.write_text(
        (ROOT / "serve_config.yaml").read_text().replace("max_ongoing_requests", "max_ongoing_request", 1)
    )
    message = refuse(tmp_path / "typo", "--config", str(config))
    assert "unknown key applications[0].deployments[0].max_ongoing_request" in message


def test_an_open_host_without_a_key_is_refused(tmp_path: Path):
    config = tmp_path / "open.yaml"
    config.write_text((ROOT / "serve_config.yaml").read_text().replace("host: 127.0.0.1", "host: 0.0.0.0"))
    message = refuse(tmp_path / "open", "--config", str(config), "--port", str(free_port()))
    assert "MURMURATION_API_KEYS" in message


def test_one_serve_flag_without_the_other_is_refused(tmp_path: Path):
    message = refuse(tmp_path / "flag", "--port", str(free_port()), RAY_SERVE_ENABLE_HA_PROXY="1")
    assert "RAY_SERVE_THROUGHPUT_OPTIMIZED" in message


def test_a_weak_key_is_refused(tmp_path: Path):
    message = refuse(tmp_path / "weak", "--port", str(free_port()), MURMURATION_API_KEYS='{"default": "changeme"}')
    assert "murmuration_api_keys" in message.lower()
    assert "changeme" not in message
