"""Starts, loads, updates, breaks and stops one system after the other, each with a database of its own."""

import asyncio
import itertools
import json
import math
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import orjson
import psutil
import uvloop
import yaml

from store.migrate import migrate
from supervisor.embedded import EmbeddedPostgres, EmbeddedRedis, find_url
from supervisor.ports import free_port
from tests.benchmarks.load import Run, Steady, counts, run
from tests.benchmarks.machine import ROOT

START_S, STOP_S, UPDATE_S, RECOVER_S = 120, 60, 90, 25
# In updates and kills; every system answers more than this.
STEADY_PER_S = 10.0
FLAGS = ("RAY_SERVE_THROUGHPUT_OPTIMIZED", "RAY_SERVE_ENABLE_HA_PROXY")
_numbers = itertools.count(time.time_ns() // 1000)
Bodies = Callable[[], Iterator[bytes]]


@dataclass(frozen=True)
class System:
    """One way to serve.

    `command` gets port and folder. `model` finds the processes that hold a model by their title, "" is the process that
    was started. `update` is how its documentation brings in new code: restart, hangup (a signal), or config (ours: the
    new configuration is put to Serve). `listed`: a caller sends a list of one query.
    """

    command: Callable[[int, Path], list[str]]
    model: str
    update: str
    environment: dict[str, str] = field(default_factory=dict)
    listed: bool = False
    note: str = ""


def product(change: Callable[[dict[str, Any]], None] | None = None, *, optimized: bool = True, **more: str) -> System:
    """The product with both flags or neither; `change` edits the parsed serve_config.yaml, `more` is environment."""

    def command(port: int, folder: Path) -> list[str]:
        tree = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
        if change:
            change(tree)
        (folder / "serve_config.yaml").write_text(yaml.safe_dump(tree))
        return [
            *(sys.executable, "-m", "supervisor.main", "--config", str(folder / "serve_config.yaml")),
            *("--port", str(port), "--dashboard-port", str(port + 1), "--ray-temp", str(folder / "r")),
            *("--data", str(folder / "d")),
        ]

    environment = dict.fromkeys(FLAGS, "1" if optimized else "0") | more
    return System(command, "ServeReplica:murmuration:sentiment", "config", environment)


def bodies(query: str = "We launch our new eco-friendly running shoes number {} next week.") -> Iterator[bytes]:
    """Distinct queries that only want templates; `{}` takes a number."""
    for number in _numbers:
        text = query.format(number) + " Pre-orders open on Monday!"
        yield orjson.dumps({"query": text, "objectives": ["sales"], "engine": "templates"})


@dataclass
class Running:
    """A system that answers."""

    system: System
    url: str
    database_url: str
    folder: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    cold_start_s: float = 0.0
    key: str | None = None

    def bodies(self, made: Iterator[bytes] | None = None) -> Iterator[bytes]:
        for body in made or bodies():
            yield b'{"queries":[' + body + b"]}" if self.system.listed else body

    def processes(self) -> list[psutil.Process]:
        """The process that was started and all below it."""
        if self.process is None:
            return []
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(self.process.pid)
            return [root, *root.children(recursive=True)]
        return []

    def models(self) -> list[psutil.Process]:
        """The processes that hold a model."""
        if not self.system.model:
            return self.processes()[:1]
        return [process for process in self.processes() if re.search(self.system.model, titled(process))]

    def memory_mib(self) -> dict[str, float]:
        """Proportional (PSS: shared pages are divided) and resident (RSS: counted in each) memory of all processes."""
        pss, rss = 0, 0
        for process in self.processes():
            with suppress(psutil.Error):
                held = process.memory_full_info()
                pss, rss = pss + held.pss, rss + held.rss
        return {"pss_mib": round(pss / 2**20), "rss_mib": round(rss / 2**20), "processes": len(self.processes())}


def titled(process: psutil.Process) -> str:
    """What a process calls itself; empty where it is gone."""
    with suppress(psutil.Error):
        return " ".join(process.cmdline()) or process.name()
    return ""


@contextmanager
def servers(folder: Path) -> Iterator[tuple[EmbeddedPostgres, dict[str, str]]]:
    """Postgres and Redis for the systems, and the environment that they have in common."""
    postgres, redis = EmbeddedPostgres(folder / "s"), EmbeddedRedis(folder / "s")
    postgres.start()
    redis.start()
    try:
        yield postgres, bare_environment() | {"REDIS_URL": redis.url}
    finally:
        redis.stop()
        postgres.stop()


@contextmanager
def alone(system: System | None = None) -> Iterator[Running]:
    """One system, the product where none is given, with servers, a database and a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="mb", dir="/tmp") as temporary:
        folder = Path(temporary)
        folder.chmod(0o711)
        with servers(folder) as (postgres, environment):
            database = asyncio.run(own_database(postgres.url, "alone"))
            with serving("the system", system or product(), folder / "o", database, environment) as running:
                yield running


def end_on_signal() -> None:
    """Let SIGTERM end this process as Ctrl-C does: with what it started."""

    def end(*_: Any) -> None:
        raise SystemExit(143)

    signal.signal(signal.SIGTERM, end)


def bare_environment() -> dict[str, str]:
    """This process' environment without what would configure a system."""
    unwanted = ("RAY_", "MURMURATION", "DATABASE_URL", "REDIS_URL", "BENTOML", "OTEL_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    # Ray would start its workers behind the clients, which here share the cores.
    environment |= {"PYTHONPATH": str(ROOT), "RAY_worker_niceness": "0"}
    return environment | {"BENTOML_DO_NOT_TRACK": "True", "RAY_USAGE_STATS_ENABLED": "0"}


async def own_database(server_url: str, name: str) -> str:
    """The address of an empty database with the product's tables."""
    connection = await asyncpg.connect(server_url)
    await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    await connection.execute(f'CREATE DATABASE "{name}"')
    await connection.close()
    head, _, query = server_url.partition("?")
    url = head.rsplit("/", 1)[0] + f"/{name}" + (f"?{query}" if query else "")
    await migrate(url)
    return url


@contextmanager
def serving(
    name: str, system: System, folder: Path, database_url: str | None, common: dict[str, str]
) -> Iterator[Running]:
    """Start a system and wait for its first answer; stop it, and whatever it left.

    Without an address the product brings its own Postgres and Redis.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711)
    port = free_pair()
    environment = common | ({"DATABASE_URL": database_url} if database_url else {}) | system.environment
    running = Running(system, f"http://127.0.0.1:{port}", database_url or "", folder, environment)
    try:
        start(running)
        running.database_url = database_url or find_url(folder / "d")
        yield running
    except Exception as error:
        log = (folder / "log").read_text(errors="replace")[-3000:]
        raise RuntimeError(f"{name}: {error}\n{log}") from error
    finally:
        stop(running)


def free_pair() -> int:
    """A free port whose next one is free too: systems choose theirs before they listen."""
    while True:
        port = free_port()
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port + 1))
            return port


def start(running: Running) -> None:
    """Start the processes; notes the seconds to the first answer of the models."""
    port = int(running.url.rsplit(":", 1)[1])
    started = time.monotonic()
    with (running.folder / "log").open("ab") as log:
        running.process = subprocess.Popen(
            running.system.command(port, running.folder),
            cwd=ROOT,
            env=running.environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    wait_for_answer(running, START_S)
    running.cold_start_s = round(time.monotonic() - started, 1)


def stop(running: Running) -> None:
    """End what this system started, by its own numbers."""
    if running.process is None:
        return
    started = running.processes()
    if running.process.poll() is None:
        running.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            running.process.wait(STOP_S)
    _, alive = psutil.wait_procs(started, timeout=5)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=5)
    running.process.wait(5)


def wait_for_answer(running: Running, seconds: float) -> None:
    """Wait until a query is answered whole.

    Raises:
        RuntimeError: it took longer, or the process ended.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answers(running):
            return
        if running.process.poll() is not None:
            raise RuntimeError(f"ended with {running.process.returncode}")
        time.sleep(0.1)
    raise RuntimeError(f"no answer in {seconds} s")


def answers(running: Running) -> bool:
    """Whether one query is answered whole now."""
    request = urllib.request.Request(
        f"{running.url}/analyze-query", next(running.bodies()), {"content-type": "application/json"}
    )
    with suppress(OSError, ValueError), urllib.request.urlopen(request, timeout=10) as response:
        return counts(response.read()) is not None
    return False


def cores_of_answers(running: Running, queries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the system answers to queries that come together, without ids, times and versions."""

    async def ask() -> list[bytes]:
        async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
            made = running.bodies(iter([orjson.dumps(query) for query in queries]))
            headers = {"content-type": "application/json"} | ({"x-api-key": running.key} if running.key else {})
            sent = (client.post(f"{running.url}/analyze-query", content=body, headers=headers) for body in made)
            return [response.raise_for_status().content for response in await asyncio.gather(*sent)]

    return [core(body) for body in asyncio.run(ask())]


def core(body: bytes) -> dict[str, Any]:
    answer = orjson.loads(body)
    (answer,) = answer if isinstance(answer, list) else (answer,)
    return {k: v for k, v in answer.items() if k not in {"id", "persisted", "timings_ms", "model_versions"}}


def difference(mine: Any, other: Any, at: str = "") -> str | None:
    """Where two answers differ, or None; numbers may by 1e-6."""
    if isinstance(mine, dict) and isinstance(other, dict):
        if mine.keys() != other.keys():
            return f"{at}: {sorted(mine.keys() ^ other.keys())}"
        return next(filter(None, (difference(mine[key], other[key], f"{at}.{key}") for key in mine)), None)
    if isinstance(mine, list) and isinstance(other, list) and len(mine) == len(other):
        pairs = enumerate(zip(mine, other, strict=True))
        return next(filter(None, (difference(a, b, f"{at}[{n}]") for n, (a, b) in pairs)), None)
    numbers = isinstance(mine, (int, float)) and isinstance(other, (int, float))
    same = abs(mine - other) <= 1e-6 * max(1.0, abs(other)) if numbers else mine == other
    return None if same else f"{at}: {mine!r} is not {other!r}"


async def loaded(
    running: Running, concurrency: int, seconds: float, made: Iterator[bytes] | None = None
) -> dict[str, Any]:
    """One closed loop; an answer whose row SQL does not find is an error."""
    result: Run = await run(
        f"{running.url}/analyze-query", running.bodies(made), concurrency, math.inf, running.key, seconds=seconds
    )
    summary: dict[str, Any] = result.summary()
    connection = await asyncpg.connect(running.database_url)
    found = await connection.fetchval(
        "SELECT count(*) FROM analyzed_queries WHERE id = ANY($1::uuid[])", list(result.ids)
    )
    await connection.close()
    summary["errors"] += len(result.ids) - found
    return summary


def measure(running: Running, seconds: float) -> dict[str, Any]:
    """Warm up; then a lone caller, 64 callers, and the memory after them."""

    async def all_of_it() -> dict[str, Any]:
        await loaded(running, 16, seconds / 2)
        return {"1": await loaded(running, 1, seconds / 2), "64": await loaded(running, 64, seconds)}

    found = uvloop.run(all_of_it())
    return {"cold_start_s": running.cold_start_s, **found, "memory": running.memory_mib()}


def update(running: Running) -> dict[str, Any]:
    """Bring in a new version as the system's documentation says, under a steady load; what of it failed."""

    async def watched() -> dict[str, Any]:
        async with Steady(f"{running.url}/analyze-query", running.bodies(), STEADY_PER_S) as steady:
            await asyncio.sleep(1)
            begun = time.monotonic()
            done = await asyncio.to_thread(UPDATES[running.system.update], running)
            took = time.monotonic() - begun
            await asyncio.sleep(2)
        return {"how": running.system.update, "done": done, "seconds": round(took, 1)} | _lost(steady, begun)

    return uvloop.run(watched())


def kill(running: Running) -> dict[str, Any]:
    """Kill -9 a process that holds a model, under a steady load: what failed, and whether the system came back."""

    async def watched() -> dict[str, Any]:
        async with Steady(f"{running.url}/analyze-query", running.bodies(), STEADY_PER_S) as steady:
            await asyncio.sleep(1)
            victim = running.models()[0]
            victim.kill()
            begun = time.monotonic()
            await asyncio.sleep(10)
            while time.monotonic() < begun + RECOVER_S and time.monotonic() - max(steady.failed, default=0.0) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.5)
        found = _lost(steady, begun)
        return {"survived": not steady.failed or time.monotonic() - max(steady.failed) >= 3} | found

    return uvloop.run(watched())


def _lost(steady: Steady, since: float) -> dict[str, Any]:
    lost = sorted(steady.failed)
    return {
        "sent": steady.sent,
        "failed": len(lost),
        "degraded": len(steady.degraded),
        "why": dict(steady.why),
        "last_failure_after_s": round(lost[-1] - since, 1) if lost else None,
        "slowest_ms": round(max(steady.latencies_ms, default=0.0)),
    }


def _restart(running: Running) -> bool:
    stop(running)
    start(running)
    return True


def _hangup(running: Running) -> bool:
    return _all_new(running, lambda: running.process.send_signal(signal.SIGHUP))


def _put_config(running: Running) -> bool:
    def release(tree: dict[str, Any]) -> None:
        tree["applications"][0]["args"]["release"] = f"of-{time.time_ns()}"

    return _all_new(running, lambda: put_config(running, release))


def put_config(running: Running, change: Callable[[dict[str, Any]], None]) -> None:
    """Put an edited serve_config.yaml to the product's Serve, as `serve deploy` does; returns at once."""
    tree = yaml.safe_load((running.folder / "serve_config.yaml").read_text())
    port = int(running.url.rsplit(":", 1)[1])
    tree["http_options"]["port"] = port
    change(tree)
    token = Path(os.environ.get("RAY_AUTH_TOKEN_PATH", "~/.ray/auth_token")).expanduser().read_text().strip()
    httpx.put(
        f"http://127.0.0.1:{port + 1}/api/serve/applications/",
        content=json.dumps(tree),
        headers={"authorization": f"Bearer {token}"},
        trust_env=False,
        timeout=30,
    ).raise_for_status()


def deployment(tree: dict[str, Any], name: str) -> dict[str, Any]:
    """One deployment of a parsed serve_config.yaml."""
    found: dict[str, Any] = next(one for one in tree["applications"][0]["deployments"] if one["name"] == name)
    return found


def _all_new(running: Running, begin: Callable[[], None]) -> bool:
    """Begin an update, and wait until other processes hold the models, and as many as before; False if none came."""
    before = {process.pid for process in running.models()}
    begin()
    deadline = time.monotonic() + UPDATE_S
    while time.monotonic() < deadline:
        now = {process.pid for process in running.models()}
        if len(now) >= len(before) and not now & before and answers(running):
            return True
        time.sleep(0.5)
    return False


UPDATES: dict[str, Callable[[Running], bool]] = {"restart": _restart, "hangup": _hangup, "config": _put_config}
