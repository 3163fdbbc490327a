"""A real cluster a mode: the product's own supervisor with embedded Postgres and Redis, Ray, Serve and HAProxy."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx
import psutil
import pytest

from supervisor.embedded import find_url
from supervisor.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]
KEY = "a-key-for-the-tests-0123456789"
START_S = 300
CODE, DATA = ("deployments", "pipelines", "store", "supervisor"), ("models", ".murmuration/writer")
_started: list[subprocess.Popen[bytes]] = []
STOP_S = 90


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with clusters of their own come first, so that two clusters never run at once; what ends one, last."""
    modes = (None, "optimized", "plain")
    ending = {"test_chaos.py", "test_upgrades.py"}

    def turn(item: pytest.Item) -> tuple[int, bool]:
        mode = item.callspec.params.get("cluster") if hasattr(item, "callspec") else None
        return modes.index(mode), item.path.name in ending

    items.sort(key=turn)
    for item in items:
        if "serve" in item.path.parts and not item.get_closest_marker("timeout"):
            # The first one of a mode ends the cluster of the other, and waits for its own.
            item.add_marker(pytest.mark.timeout(START_S + 2 * STOP_S))


@dataclass
class Cluster:
    """One running product: where it answers, where its data is, which processes it consists of."""

    process: subprocess.Popen[bytes]
    folder: Path
    url: str
    dashboard_url: str
    log: Path
    optimized: bool
    root: Path = ROOT

    @property
    def database_url(self) -> str:
        return find_url(self.folder / "data")

    def client(self, account: str = "default", **options: object) -> httpx.Client:
        headers = {"x-api-key": key_of(account)}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False, **options)

    async def sql(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.database_url)
        try:
            return await connection.fetch(statement, *arguments)
        finally:
            await connection.close()

    def processes(self, pattern: str) -> list[psutil.Process]:
        """Live processes of this cluster whose title matches."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        return [process for process in family if (title := title_of(process)) and re.search(pattern, title)]

    def kill(self, pattern: str) -> psutil.Process:
        """Kill -9 a process whose title matches, and wait until it is gone.

        One that is being replaced, as HAProxy is when a controller has come back, may be in no list for a moment.
        """
        killed: list[psutil.Process] = []

        def found() -> bool:
            for process in self.processes(pattern):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
                    killed.append(process)
                    return True
            return False

        wait_until(found, 10, f"a process of {pattern}")
        psutil.wait_procs(killed, timeout=10)
        return killed[0]

    def stage_log(self) -> str:
        """What the ingress logged about its stages, for the message of a test that fails."""
        logs = (self.folder / "r").glob("session_2*/logs/serve/*ingress*")
        return "\n".join(line for log in logs for line in log.read_text().splitlines() if '"stage' in line)

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(sign)
        return self.process.wait(STOP_S)


def title_of(process: psutil.Process) -> str:
    """What a process calls itself; empty of one that has ended."""
    try:
        return " ".join(process.cmdline()) or process.name()
    except psutil.NoSuchProcess:
        return ""


def key_of(account: str) -> str:
    """The API key of an account of a cluster."""
    return KEY if account == "default" else f"{KEY}-{account}"


def copy_product(root: Path) -> Path:
    """The product in a folder of its own, so that what runs can be given other code."""
    for name in CODE:
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "serve_config.yaml", root)
    for name in DATA:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).symlink_to(ROOT / name)
    return root


def start(
    folder: Path,
    *arguments: str,
    optimized: bool,
    accounts: tuple[str, ...] = ("default",),
    port: int | None = None,
    environment: Mapping[str, str] | None = None,
    root: Path = ROOT,
) -> Cluster:
    """Start the supervisor of the product in `root` with everything of its own: folders, ports, Ray session."""
    if port is None:
        port, dashboard = free_ports(2)
    else:
        (dashboard,) = free_ports(1, but=[port])
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "MURMURATION"))}
    for name in ("DATABASE_URL", "REDIS_URL"):
        variables.pop(name, None)
    flag = "1" if optimized else "0"
    variables |= {
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": flag,
        "RAY_SERVE_ENABLE_HA_PROXY": flag,
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
    }
    variables |= environment or {}
    if accounts:
        variables["MURMURATION_API_KEYS"] = json.dumps({account: key_of(account) for account in accounts})
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "supervisor.main", "--data", str(folder / "data")),
                *("--port", str(port), "--dashboard-port", str(dashboard), "--ray-temp", str(folder / "r")),
                *arguments,
            ],
            cwd=root,
            env=variables,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    _started.append(process)
    return Cluster(process, folder, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{dashboard}", log, optimized, root)


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


def running(folder: Path, *, optimized: bool, accounts: tuple[str, ...] = ("default",)) -> Iterator[Cluster]:
    """A cluster in a new folder, which runs a copy of the code there, so that an upgrade can replace it."""
    folder.mkdir()
    cluster = start(folder, optimized=optimized, accounts=accounts, root=copy_product(folder / "product"))
    try:
        wait_until_ready(cluster)
        yield cluster
    finally:
        if cluster.process.poll() is None:
            cluster.stop()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The optimized mode is what the product runs in; what a module marks is tried in Serve's other mode as well."""
    if "cluster" in metafunc.fixturenames:
        modes = ["optimized", "plain"] if metafunc.definition.get_closest_marker("both_modes") else ["optimized"]
        metafunc.parametrize("cluster", modes, indirect=True, scope="session")


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest, short_folder: Path) -> Iterator[Cluster]:
    """The product in one of Serve's modes; one cluster after the other."""
    yield from running(short_folder / request.param, optimized=request.param == "optimized")
