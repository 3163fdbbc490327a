"""A real cluster a mode: the product's own supervisor with embedded Postgres and Redis, Ray, Serve and HAProxy."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx
import psutil
import pytest

from supervisor.embedded import find_url
from supervisor.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
KEY = "a-key-for-the-tests-0123456789"
START_S = 150
_started: list[subprocess.Popen[bytes]] = []
STOP_S = 90


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The supervisor's tests start clusters of their own: first, so that two clusters never run at once."""
    items.sort(key=lambda item: 1 if "cluster" in getattr(item, "fixturenames", ()) else 0)
    for item in items:
        if "serve" in item.path.parts and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(START_S + STOP_S))


@dataclass
class Cluster:
    """One running product: where it answers, where its data is, which processes it consists of."""

    process: subprocess.Popen[bytes]
    folder: Path
    url: str
    dashboard_url: str
    log: Path
    optimized: bool

    @property
    def database_url(self) -> str:
        return find_url(self.folder / "data")

    def client(self, **options: object) -> httpx.Client:
        headers = {"x-api-key": KEY}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False, **options)

    async def sql(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.database_url)
        try:
            return await connection.fetch(statement, *arguments)
        finally:
            await connection.close()

    def processes(self, pattern: str) -> list[psutil.Process]:
        """Live processes of this cluster whose title matches."""
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if re.search(pattern, " ".join(process.cmdline()) or process.name()):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def kill(self, pattern: str) -> psutil.Process:
        """Kill -9 a process whose title matches, and wait until it is gone."""
        process = self.processes(pattern)[0]
        process.kill()
        psutil.wait_procs([process], timeout=10)
        return process

    def stage_log(self) -> str:
        """What the ingress logged about its stages, for the message of a test that fails."""
        logs = (self.folder / "r").glob("session_2*/logs/serve/*ingress*")
        return "\n".join(line for log in logs for line in log.read_text().splitlines() if '"stage' in line)

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(sign)
        return self.process.wait(STOP_S)


def start(folder: Path, *arguments: str, optimized: bool, key: str | None = KEY, port: int | None = None) -> Cluster:
    """Start the product's supervisor with everything of its own: folders, ports, Ray session."""
    port = port or free_port()
    dashboard = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "MURMURATION"))}
    for name in ("DATABASE_URL", "REDIS_URL"):
        environment.pop(name, None)
    flag = "1" if optimized else "0"
    environment |= {
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": flag,
        "RAY_SERVE_ENABLE_HA_PROXY": flag,
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
    }
    if key:
        environment["MURMURATION_API_KEYS"] = f'{{"default": "{key}"}}'
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "supervisor.main", "--data", str(folder / "data")),
                *("--port", str(port), "--dashboard-port", str(dashboard), "--ray-temp", str(folder / "r")),
                *arguments,
            ],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    _started.append(process)
    return Cluster(process, folder, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{dashboard}", log, optimized)


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for a condition; an unmet one fails with what was waited for."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds} s: {what}")
        time.sleep(0.2)


def wait_until_ready(cluster: Cluster) -> None:
    def ready() -> bool:
        if cluster.process.poll() is not None:
            pytest.fail(f"the supervisor ended with {cluster.process.returncode}:\n{cluster.log.read_text()}")
        return "\nready: " in cluster.log.read_text()

    wait_until(ready, START_S, f"ready; the log says:\n{cluster.log.read_text()}")


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """A short path: Ray's sockets stand below it. What a failed test left running ends with it."""
    folder = Path(tempfile.mkdtemp(prefix="mm", dir="/tmp"))
    yield folder
    for process in _started:
        if process.poll() is None:
            process.terminate()
            process.wait(STOP_S)
    shutil.rmtree(folder, ignore_errors=True)


def running(folder: Path, *, optimized: bool) -> Iterator[Cluster]:
    folder.mkdir()
    cluster = start(folder, optimized=optimized)
    try:
        wait_until_ready(cluster)
        yield cluster
    finally:
        if cluster.process.poll() is None:
            cluster.stop()


@pytest.fixture(scope="session", params=["optimized", "plain"])
def cluster(request: pytest.FixtureRequest, short_folder: Path) -> Iterator[Cluster]:
    """The same product in both of Serve's modes, one after the other."""
    yield from running(short_folder / request.param, optimized=request.param == "optimized")
