"""Two hundred watchers of the live figures and one who never reads: `python -m tests.benchmarks.live`.

Starts the product with folders and ports of its own, measures what watching costs (nobody, one, all), and writes
tests/benchmarks/results/live.json. --short watches for 30 s and writes nothing.
"""

import argparse
import asyncio
import base64
import datetime as dt
import itertools
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
import psutil

from tests.serve.conftest import KEY, Cluster, start, wait_until

RESULTS = Path(__file__).parent / "results" / "live.json"
CLIENTS = 200
LATE_S = 6.0
REST_S = 12.0
START_S = 600
# How long after its last message was due a client may still be waited for.
PATIENCE_S = 30.0


@dataclass
class Watcher:
    """What one client was told: when, and how it ended."""

    came: list[float] = field(default_factory=list)
    bytes_each: list[int] = field(default_factory=list)
    resumed: list[bool] = field(default_factory=list)
    closed: int | None = None

    def gaps(self, started: float) -> list[float]:
        """Seconds to the first snapshot, and from each to the next."""
        moments = [started, *self.came]
        return [later - earlier for earlier, later in itertools.pairwise(moments)]


async def watch(url: str, watcher: Watcher, seconds: float) -> None:
    """Note every snapshot until the time is over or the server ends it."""
    async with (
        aiohttp.ClientSession(trust_env=False) as session,
        session.ws_connect(f"{url}/ws/metrics", headers={"x-api-key": KEY}) as connection,
    ):
        try:
            async with asyncio.timeout(seconds):
                async for message in connection:
                    if message.type == aiohttp.WSMsgType.TEXT and orjson.loads(message.data)["kind"] == "snapshot":
                        watcher.came.append(time.perf_counter())
                        watcher.bytes_each.append(len(message.data))
                watcher.closed = connection.close_code
        except TimeoutError:
            pass


def stall(url: str) -> socket.socket:
    """A client that asks for the figures and never reads."""
    address = urlsplit(url)
    stalled = socket.socket()
    stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stalled.connect((address.hostname, address.port))
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        "GET /ws/metrics HTTP/1.1",
        f"Host: {address.netloc}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        f"X-API-Key: {KEY}",
    ]
    stalled.sendall("\r\n".join([*lines, "", ""]).encode())
    return stalled


def is_dropped(stalled: socket.socket, within_s: float) -> bool:
    """Whether the server ended the connection: what was sent before is read, then nothing is left."""
    stalled.settimeout(within_s)
    try:
        while stalled.recv(65536):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


def processes(cluster: Cluster) -> dict[str, psutil.Process]:
    """The ingress, and the agent of the node, whose text is read."""
    return {
        "ingress": cluster.processes(r"ServeReplica:murmuration:ingress")[0],
        "agent": cluster.processes(r"dashboard.agent|dashboard/agent\.py")[0],
    }


async def cost(watched: dict[str, psutil.Process], seconds: float) -> dict[str, float]:
    """Shares of a core that the processes use."""

    def used() -> dict[str, float]:
        return {name: sum(process.cpu_times()[:2]) for name, process in watched.items()}

    before, started = used(), time.perf_counter()
    await asyncio.sleep(seconds)
    spent = time.perf_counter() - started
    return {name: round((now - before[name]) / spent, 4) for name, now in used().items()}


async def measure(cluster: Cluster, seconds: float, clients: int) -> dict[str, Any]:
    """Nobody, one and then all watch; figures of all of them."""
    watched = processes(cluster)
    nobody = await cost(watched, REST_S)
    alone = asyncio.create_task(watch(cluster.url, Watcher(), REST_S + 2))
    await asyncio.sleep(1)
    one = await cost(watched, REST_S)
    await alone
    rss = [watched["ingress"].memory_info().rss]
    watchers = [Watcher() for _ in range(clients)]
    stalled = await asyncio.to_thread(stall, cluster.url)
    started = time.perf_counter()
    watching = [asyncio.create_task(watch(cluster.url, watcher, seconds)) for watcher in watchers]
    await asyncio.sleep(min(10, seconds / 3))
    rss.append(watched["ingress"].memory_info().rss)
    everybody = asyncio.create_task(cost(watched, seconds * 0.6))
    while not all(task.done() for task in watching):
        await asyncio.wait(watching, timeout=10)
        rss.append(watched["ingress"].memory_info().rss)
    await asyncio.gather(*watching)
    gaps = [gap for watcher in watchers for gap in watcher.gaps(started)]
    return {
        "clients": clients,
        "seconds": seconds,
        "clients_told_within_6_s_each_time": sum(
            bool(watcher.came) and max(watcher.gaps(started)) <= LATE_S for watcher in watchers
        ),
        "snapshots": len(gaps),
        "share_within_6_s": round(sum(gap <= LATE_S for gap in gaps) / len(gaps), 5),
        "gap_s": {"median": round(statistics.median(gaps), 3), "max": round(max(gaps), 3)},
        "first_s_max": round(max(watcher.came[0] - started for watcher in watchers), 3),
        "closed_by_server": sum(watcher.closed is not None for watcher in watchers),
        "snapshot_bytes_median": round(statistics.median(size for w in watchers for size in w.bytes_each)),
        "stalled_client_dropped": await asyncio.to_thread(is_dropped, stalled, PATIENCE_S),
        "ingress_rss_mib": {
            "before": mib(rss[:1])[0],
            "with_all_after_10_s": mib(rss[1:2])[0],
            "with_all_at_the_end": mib(rss[-2:-1] or rss[-1:])[0],
            "every_10_s": mib(rss),
        },
        "cores": {"nobody": nobody, "one": one, "all": await everybody},
    }


def mib(sizes: Sequence[int]) -> list[float]:
    return [round(size / 1024**2, 1) for size in sizes]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="30 s, and nothing is written")
    parser.add_argument("--clients", type=int, default=CLIENTS)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="lv", dir="/tmp"))
    cluster = start(folder, optimized=True)
    try:
        wait_until(lambda: "\nready: " in cluster.log.read_text(), START_S, "ready")
        result = asyncio.run(measure(cluster, 30 if arguments.short else 300, arguments.clients))
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    result = {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "commit": commit.stdout.strip(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "load_before": round(os.getloadavg()[2], 1),
    } | result
    print(json.dumps(result, indent=1))
    if not arguments.short:
        RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
