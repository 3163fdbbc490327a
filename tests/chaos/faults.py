"""What may go wrong, done to a real cluster: each fault is a block that the load runs through."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import asyncpg
import psutil

from supervisor.ports import free_ports
from tests.chaos.deployment import Change, deploy, named
from tests.checkpoints import save_classifier
from tests.serve.conftest import KEY, Cluster

REPLICA = "ServeReplica:murmuration:{}"
HAPROXY = r"haproxy\S* .*-f "
HELD_S = 10.0
CLIENTS = 100


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong: `begin` does it, `end` mends what does not mend itself after `held_s`.

    `watched` is the title of the processes that must be there again afterwards, as many as before.
    """

    name: str
    begin: Callable[[Cluster], Awaitable[None]]
    watched: str = ""
    held_s: float = 0.0
    end: Callable[[Cluster], Awaitable[None]] | None = None
    needs: str = ""


def killed(name: str, pattern: str, needs: str = "") -> Fault:
    """kill -9 of one process by its title."""

    async def begin(cluster: Cluster) -> None:
        await asyncio.to_thread(cluster.kill, pattern)

    return Fault(f"kill -9: {name}", begin, watched=pattern, needs=needs)


def stopped(name: str, pattern: str) -> Fault:
    """SIGSTOP of every process of a server for a while: it neither answers nor hangs up."""

    async def tell(cluster: Cluster, sign: signal.Signals) -> None:
        for process in cluster.processes(pattern):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(sign)

    return Fault(
        f"SIGSTOP for {HELD_S:.0f} s: {name}",
        lambda cluster: tell(cluster, signal.SIGSTOP),
        watched="",
        held_s=HELD_S,
        end=lambda cluster: tell(cluster, signal.SIGCONT),
    )


def ballast(cluster: Cluster) -> Path:
    """The file that takes the rest of the disk."""
    return cluster.folder / "data" / "ballast"


async def fill_disk(cluster: Cluster) -> None:
    """Take every free byte below the data of Postgres, and ask it for another 16 MB of log, for which it panics."""
    with suppress(OSError), ballast(cluster).open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 20) if free(cluster) > 1 << 20 else bytes(4096))
    superuser = cluster.database_url.replace("murmuration@/murmuration", "postgres@/murmuration")
    with suppress(asyncpg.PostgresError, OSError):
        connection = await asyncpg.connect(superuser, timeout=5)
        for _ in range(64):
            await connection.execute("SELECT pg_logical_emit_message(true, 'chaos', repeat('x', 4000))")
            await connection.execute("SELECT pg_switch_wal()")


def free(cluster: Cluster) -> int:
    """Bytes left on the disk of the data."""
    return shutil.disk_usage(cluster.folder / "data").free


async def empty_disk(cluster: Cluster) -> None:
    ballast(cluster).unlink()


async def bad_clients(cluster: Cluster) -> None:
    """For a while: clients that send a byte a second, and clients that hang up before they are answered."""
    place = urlsplit(cluster.url)
    body = b'{"query": "who never reads", "language": "en"}'
    head = (
        f"POST /analyze-query HTTP/1.1\r\nhost: {place.netloc}\r\nx-api-key: {KEY}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode()
    deadline = asyncio.get_running_loop().time() + HELD_S

    async def slow() -> None:
        _, writer = await asyncio.open_connection(place.hostname, place.port)
        with suppress(OSError):
            for byte in head + body:
                writer.write(bytes([byte]))
                await writer.drain()
                if asyncio.get_running_loop().time() > deadline:
                    break
                await asyncio.sleep(1)
        writer.close()

    async def leaving() -> None:
        while asyncio.get_running_loop().time() < deadline:
            _, writer = await asyncio.open_connection(place.hostname, place.port)
            writer.write(head + body)
            await asyncio.sleep(0.01)
            writer.transport.abort()
            await asyncio.sleep(0.5)

    await asyncio.gather(*(slow() for _ in range(CLIENTS)), *(leaving() for _ in range(CLIENTS // 10)))


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A disk of its own for a folder, which this makes."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0711", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def may_mount() -> bool:
    """Whether this process may mount: root with that right."""
    return os.geteuid() == 0 and bool(int(_status("CapEff"), 16) >> 21 & 1)


def _status(name: str) -> str:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f"{name}:"))


POISON = "qqpoison"
CLOCK = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


async def deployed(cluster: Cluster, change: Change) -> None:
    """Serve another configuration."""
    done = await asyncio.to_thread(deploy, cluster, change)
    if done.returncode:
        raise RuntimeError(done.stderr)


async def serve_two(cluster: Cluster) -> None:
    """Two ingress replicas, and a sentiment classifier that one word makes raise."""
    classifier = save_classifier(cluster.folder / "classifier", poison=POISON)

    def change(application: dict[str, Any]) -> None:
        application["args"]["sentiment_transformer"] = classifier
        named(application, "ingress")["autoscaling_config"] = {"min_replicas": 2, "max_replicas": 2}

    await deployed(cluster, change)


async def poisoned(cluster: Cluster) -> None:
    """For a while: posts with the word among the others, so that they share batches with them."""
    deadline = asyncio.get_running_loop().time() + HELD_S
    body = {"query": f"the {POISON} comes next week", "language": "en", "engine": "templates"}
    async with aiohttp.ClientSession(cluster.url, headers={"x-api-key": KEY}) as session:
        while asyncio.get_running_loop().time() < deadline:
            async with session.post("/analyze-query", json=body) as response:
                answer = await response.json()
            if response.status != 200 or answer["degraded"] != ["sentiment.transformer"]:
                raise RuntimeError(f"{response.status}: {answer.get('degraded')}")


async def add_node(cluster: Cluster) -> None:
    """A second node of the cluster, on this machine, with replicas of the sentiment ensemble on it."""
    (raylet,) = cluster.processes(r"raylet/raylet")
    address = next(part for part in raylet.cmdline() if part.startswith("--gcs-address=")).partition("=")[2]
    folder = cluster.folder / "node"
    folder.mkdir()
    environment = raylet.environ()
    # A HAProxy of its own, as on a machine of its own.
    for name in ("CONFIG_FILE_LOC", "SOCKET_PATH", "METRICS_SOCKET_PATH", "SERVER_STATE_FILE"):
        environment[f"RAY_SERVE_HAPROXY_{name}"] = str(folder / name.lower())
    environment["RAY_SERVE_HAPROXY_SERVER_STATE_BASE"] = str(folder)
    names = ("HAPROXY_STATS_PORT", "HAPROXY_METRICS_PORT", "WORKER_PROXY_HTTP_PORT")
    for name, port in zip(names, free_ports(len(names)), strict=True):
        environment[f"RAY_SERVE_{name}"] = str(port)
    program = [str(Path(sys.executable).with_name("ray")), "start", "--address", address, "--num-cpus", "2", "--block"]
    with (folder / "log").open("wb") as log:
        node = await asyncio.to_thread(
            subprocess.Popen, program, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    _nodes[cluster.url] = node

    def change(application: dict[str, Any]) -> None:
        named(application, "sentiment")["autoscaling_config"] |= {"min_replicas": 4, "max_replicas": 4}
        # Of two CPUs each: the first node cannot hold all four.
        named(application, "sentiment")["ray_actor_options"]["num_cpus"] = 0.6

    await asyncio.sleep(5)
    if node.poll() is not None:
        raise RuntimeError((folder / "log").read_text())
    await deployed(cluster, change)


def _title(process: psutil.Process) -> str:
    """The command line of a process; empty of one that has just ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


async def end_node(cluster: Cluster) -> None:
    """The machine is gone: its raylet and all that it started, at once."""
    node = psutil.Process(_nodes[cluster.url].pid)
    family = [node, *node.children(recursive=True)]
    replicas = [one for one in family if re.search(REPLICA.format("sentiment"), _title(one))]
    if not replicas:
        raise RuntimeError("no replica runs on the second node")
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    await asyncio.to_thread(_nodes[cluster.url].wait)


def may_fake_clock() -> bool:
    """Whether libfaketime is there and lets Python sleep: that of Debian 12 does not, from Python 3.11 on."""
    if not CLOCK.exists():
        return False
    command = [sys.executable, "-c", "import time; time.sleep(0.01)"]
    with TemporaryDirectory() as folder:
        done = subprocess.run(command, env=os.environ | faked_by(Path(folder)), capture_output=True, check=False)
    return done.returncode == 0


def faked_by(folder: Path) -> dict[str, str]:
    """The environment of what reads a clock that the file `clock` of the folder shifts."""
    set_clock(folder, 0)
    return {
        "LD_PRELOAD": str(CLOCK),
        "FAKETIME_TIMESTAMP_FILE": str(folder / "clock"),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }


@contextmanager
def faked_clock(folder: Path) -> Iterator[None]:
    """What starts in this block reads a time that the file `clock` of the folder shifts; Postgres and Redis do not."""
    faked = faked_by(folder)
    os.environ.update(faked)
    try:
        yield
    finally:
        for name in faked:
            del os.environ[name]


def set_clock(folder: Path, seconds: int) -> None:
    """Shift the clock of what reads it from here."""
    new = folder / "clock.new"
    new.write_text(f"{seconds:+d}\n")
    new.replace(folder / "clock")


async def jump(cluster: Cluster, seconds: int) -> None:
    set_clock(cluster.folder, seconds)


_nodes: dict[str, subprocess.Popen[bytes]] = {}


def end_nodes() -> None:
    """End the nodes that this process added."""
    for node in _nodes.values():
        if node.poll() is None:
            for process in [*psutil.Process(node.pid).children(recursive=True), node]:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            node.wait()


KILLED = (
    *(
        killed(model, REPLICA.format(model))
        for model in ("query_analyzer", "sentiment", "generator", "viral_predictor")
    ),
    killed("the ingress replica, of one", REPLICA.format("ingress")),
    killed("Serve's controller", "ServeController"),
    killed("HAProxy", HAPROXY),
    killed("HAProxy's manager", r"ray::HAProxyManager"),
    killed("Redis", "redis-server"),
    killed("Postgres", r"postgres -D"),
)
OTHERS = (
    stopped("Redis", "redis-server"),
    stopped("Postgres", "postgres"),
    Fault("disk full under Postgres", fill_disk, r"postgres -D", HELD_S, empty_disk, needs="mount"),
    Fault("slow and disconnecting clients", bad_clients),
)
# Those that take the whole cluster with them.
WHOLE = (killed("GCS", "gcs_server"), killed("the raylet of the head", r"raylet/raylet"))
CLOCKS = (
    Fault(
        f"clock an hour ahead for {HELD_S:.0f} s, then back",
        lambda cluster: jump(cluster, 3600),
        held_s=HELD_S,
        end=lambda cluster: jump(cluster, 0),
    ),
    Fault(
        f"clock an hour behind for {HELD_S:.0f} s, then back",
        lambda cluster: jump(cluster, -3600),
        held_s=HELD_S,
        end=lambda cluster: jump(cluster, 0),
    ),
)


@dataclass(frozen=True)
class Scene:
    """Faults that want the cluster prepared in the same way; with `clock` a cluster that reads a faked one."""

    faults: tuple[Fault, ...]
    prepare: Callable[[Cluster], Awaitable[None]] | None = None
    clock: bool = False


SCENES = (
    Scene((*KILLED, *OTHERS)),
    Scene(
        (killed("an ingress replica, of two", REPLICA.format("ingress")), Fault("a poisoned batch", poisoned)),
        prepare=serve_two,
    ),
    Scene(WHOLE),
    Scene((Fault("kill -9: a worker node", end_node),), prepare=add_node),
    Scene(CLOCKS, clock=True),
)
