"""The Ray cluster of `make serve`: starts Ray and Serve, deploys serve_config.yaml, and takes all of it down again.

Runs as a child of the supervisor, which sets the environment (Serve reads its flags when it is imported).
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import psutil
import ray
from ray import serve
from ray._private.worker import BaseContext
from ray.serve.context import _get_global_client
from ray.serve.schema import ApplicationStatus, ServeDeploySchema

from deployments.settings import (
    OWN_WRITER,
    PREPARED_WRITER,
    ROOT,
    Args,
    ConfigError,
    read_serve_config,
    read_settings,
)
from supervisor.orphans import adopt_orphans, end_children
from supervisor.ports import free_port
from supervisor.writer import is_prepared

APPLICATION = "murmuration"
DASHBOARD_HOST = "127.0.0.1"
OBJECT_STORE_BYTES = 256 * 1024 * 1024
POLL_S = 0.25
logger = logging.getLogger("murmuration")


def main() -> int:
    """Serve until told to stop; returns the exit code (2: the configuration or a port is at fault)."""
    arguments = _arguments()
    stop = threading.Event()

    def on_signal(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    adopt_orphans()
    listen = partial(_listen, on_signal)
    listen()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="mm-haproxy-") as folder:
        try:
            config = _config(arguments)
            read_settings().check(config.http_options.host)
            _own_haproxy(Path(folder))
            _require_ports(config, arguments.dashboard_port)
            _prepare_writer(config)
            context = _start_ray(arguments)
            listen()  # ray.init puts its own handlers in place, which print a stack
            _run(config, context, stop)
        except ConfigError as error:
            logger.error("error: %s", error)  # noqa: TRY400  # one line, no traceback: it is the user's to mend
            return 2
        finally:
            _shut_down()
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("serve_config.yaml"))
    parser.add_argument("--port", type=_port, help="listen here instead of http_options.port")
    parser.add_argument("--dashboard-port", type=_port, default=8265)
    parser.add_argument("--ray-temp", help="Ray's session folder (short: it holds sockets)")
    return parser.parse_args()


def _port(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if not 0 < number < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give a number from 1 to 65535")
    return number


def _config(arguments: argparse.Namespace) -> ServeDeploySchema:
    config = read_serve_config(arguments.config)
    if arguments.port:
        config.http_options.port = arguments.port
    return config


def _own_haproxy(folder: Path) -> None:
    """Keep HAProxy's files and ports apart from those of other clusters on this machine."""
    for variable, name in (
        ("CONFIG_FILE_LOC", "haproxy.cfg"),
        ("SOCKET_PATH", "admin.sock"),
        ("METRICS_SOCKET_PATH", "metrics.sock"),
        ("SERVER_STATE_FILE", "server-state"),
    ):
        os.environ[f"RAY_SERVE_HAPROXY_{variable}"] = str(folder / name)
    os.environ["RAY_SERVE_HAPROXY_SERVER_STATE_BASE"] = str(folder)
    for variable in ("STATS_PORT", "METRICS_PORT"):
        os.environ.setdefault(f"RAY_SERVE_HAPROXY_{variable}", str(free_port()))


def _prepare_writer(config: ServeDeploySchema) -> None:
    """Prepare our own writer where it is configured and is not prepared; without it the rest is served.

    In a process of its own, which gives its memory back.
    """
    wanted = any(Args.model_validate(one.args).language_model == OWN_WRITER for one in config.applications)
    metadata = json.loads((ROOT / OWN_WRITER / "metadata.json").read_bytes())
    if wanted and not is_prepared(PREPARED_WRITER, metadata):
        done = subprocess.run([sys.executable, "-m", "supervisor.writer"], check=False)  # our own module
        if done.returncode:
            logger.warning('without the writer: polish and templates are served, `degraded` says "generator.lm"')


def _require_ports(config: ServeDeploySchema, dashboard_port: int) -> None:
    host, port = config.http_options.host, config.http_options.port
    if port == dashboard_port:
        raise ConfigError(f"the application and the Ray dashboard cannot share port {port}")
    _require_free(host, port, "PORT")
    _require_free(DASHBOARD_HOST, dashboard_port, "DASHBOARD_PORT")


def _require_free(host: str, port: int, variable: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f"port {port} is taken by {_holder(port)}; stop it, or choose another with `make serve {variable}=...`"
            ) from error


def _holder(port: int) -> str:
    for connection in psutil.net_connections("tcp"):
        if (
            connection.status == psutil.CONN_LISTEN
            and connection.laddr
            and connection.laddr[1] == port
            and connection.pid
        ):
            return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return "another user's process"


def _listen(handler: Callable[[int, FrameType | None], None]) -> None:
    signal.signal(signal.SIGTERM, handler)
    signal.signal(signal.SIGINT, handler)


def _start_ray(arguments: argparse.Namespace) -> BaseContext:
    logger.info("starting Ray ...")
    return ray.init(
        address="local",
        num_cpus=max(2, os.cpu_count() or 2),
        object_store_memory=OBJECT_STORE_BYTES,
        include_dashboard=True,
        dashboard_host=DASHBOARD_HOST,
        dashboard_port=arguments.dashboard_port,
        namespace="serve",
        logging_level=logging.ERROR,
        log_to_driver=False,
        _temp_dir=arguments.ray_temp,
    )


def _run(config: ServeDeploySchema, ray_context: BaseContext, stop: threading.Event) -> None:
    logger.info("starting Serve ...")
    serve.start(
        proxy_location=config.proxy_location,
        http_options=config.http_options.model_dump(),
        logging_config=config.logging_config,
    )
    client: Any = _get_global_client()
    client.deploy_apps(config)
    url = f"http://{config.http_options.host}:{config.http_options.port}"
    if _wait_until_running(stop) and _wait_until_ready(url, stop):
        _announce(url, ray_context.dashboard_url)
        stop.wait()


def _wait_until_running(stop: threading.Event) -> bool:
    shown = ""
    while not stop.wait(POLL_S):
        application = serve.status().applications.get(APPLICATION)
        if application is None:
            continue
        states = {name: deployment.status for name, deployment in application.deployments.items()}
        line = "  ".join(f"{name}: {state.value.lower()}" for name, state in states.items())
        if line != shown:
            logger.info("models  %s", line)
            shown = line
        if application.status == ApplicationStatus.RUNNING:
            return True
        if application.status == ApplicationStatus.DEPLOY_FAILED:
            raise ConfigError(f"the application did not start: {application.message}")
    return False


def _wait_until_ready(url: str, stop: threading.Event) -> bool:
    while not stop.wait(POLL_S):
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5):  # noqa: S310  # our own address
                return True
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            continue
    return False


def _announce(url: str, dashboard: str | None) -> None:
    example = json.dumps({"query": "We launch our new running shoes next week"})
    logger.info(
        "\nready: %s\n  try: curl -s %s/analyze-query -H 'content-type: application/json' -d '%s'\n"
        "  Ray dashboard: http://%s (it asks for the token that `.venv/bin/ray get-auth-token` prints)\n"
        "  stop: Ctrl-C",
        url,
        url,
        example,
        dashboard,
    )


def _shut_down() -> None:
    """Stop Serve, then Ray, then whatever of them is left: agents that were just starting, HAProxy."""
    if ray.is_initialized():
        logger.info("stopping Serve and Ray ...")
        try:
            serve.shutdown()  # type: ignore[no-untyped-call]
        finally:
            ray.shutdown()
    end_children()


if __name__ == "__main__":
    sys.exit(main())
