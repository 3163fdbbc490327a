"""The Ray cluster of `make serve`: starts Ray and Serve, deploys serve_config.yaml, and takes all of it down again.

Runs as a child of the supervisor, which sets the environment (Serve reads its flags when it is imported).
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

import psutil
import ray
from ray import serve
from ray._private import worker
from ray._private.worker import RayContext
from ray.serve.context import _get_global_client
from ray.serve.schema import ApplicationStatus, ServeDeploySchema

from deployments.settings import (
    OWN_WRITER,
    PREPARED_WRITER,
    ROOT,
    Args,
    ConfigError,
    check_models,
    read_serve_config,
    read_settings,
)
from supervisor.orphans import adopt_orphans, end_children
from supervisor.ports import free_ports
from supervisor.running import announce
from supervisor.stopping import Stop
from supervisor.writer import is_prepared

APPLICATION = "murmuration"
DASHBOARD_HOST = "127.0.0.1"
OBJECT_STORE_BYTES = 256 * 1024 * 1024
POLL_S = 0.25
# How often it is looked whether Ray itself lives, and the exit code when it does not.
WATCH_S = 1.0
RAY_ENDED = 3
# Without these there is no cluster; Ray starts neither again on one machine.
VITAL = {"gcs_server", "raylet"}
logger = logging.getLogger("murmuration")


def main() -> int:
    """Serve until told to stop; returns the exit code (2: the configuration or a port is at fault).

    Where Ray itself ends, the process ends at once with RAY_ENDED: the supervisor starts another.
    """
    arguments = _arguments()
    stop = Stop()
    adopt_orphans()
    stop.listen()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="mm-haproxy-") as folder:
        try:
            config = _config(arguments)
            read_settings().check(config.http_options.host)
            os.environ.update(haproxy_environment(Path(folder), config.http_options.port, arguments.dashboard_port))
            check_models()
            _require_ports(config, arguments.dashboard_port)
            _prepare_writer(config, stop)
            if stop.is_set():
                return 0
            context = _start_ray(arguments)
            stop.listen()  # ray.init puts its own handlers in place, which print a stack
            _run(config, context, stop, arguments.running)
        except ConfigError as error:
            logger.error("error: %s", error)  # noqa: TRY400  # one line, no traceback: it is the user's to mend
            return 2
        finally:
            if dead := _dead():
                logger.error("error: %s of Ray ended", dead)
                end_children()
                shutil.rmtree(folder)
                # Whatever Ray does on the way out waits for what is gone.
                os._exit(RAY_ENDED)
            _shut_down()
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("serve_config.yaml"))
    parser.add_argument("--port", type=_port, help="listen here instead of http_options.port")
    parser.add_argument("--dashboard-port", type=_port, default=8265)
    parser.add_argument("--running", type=Path, help="where to write down that it runs, for `make observe`")
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


def haproxy_environment(folder: Path, *others: int) -> dict[str, str]:
    """Variables that keep HAProxy's files, in `folder`, and its ports apart from other clusters' on this machine.

    `others` are ports on which this cluster is going to listen as well.
    """
    files = {
        "CONFIG_FILE_LOC": "haproxy.cfg",
        "SOCKET_PATH": "admin.sock",
        "METRICS_SOCKET_PATH": "metrics.sock",
        "SERVER_STATE_FILE": "server-state",
        "SERVER_STATE_BASE": "",
    }
    variables = {f"RAY_SERVE_HAPROXY_{name}": str(folder / file) for name, file in files.items()}
    # Requests wait behind the fallback proxy while no ingress is there. It shares its port with whoever listens there
    # already (SO_REUSEPORT): at Serve's 8500 half of them would be answered, and stored, by another product.
    names = ("HAPROXY_STATS", "HAPROXY_METRICS", "FALLBACK_PROXY_HTTP", "FALLBACK_PROXY_GRPC")
    for name, drawn in zip(names, free_ports(len(names), but=others), strict=True):
        port = f"RAY_SERVE_{name}_PORT"
        variables[port] = os.environ.get(port) or str(drawn)
    return variables


def _prepare_writer(config: ServeDeploySchema, stop: Stop) -> None:
    """Prepare our own writer where it is configured and is not prepared; without it the rest is served.

    In a process of its own, which gives its memory back, and which ends where this one is told to.
    """
    wanted = any(Args.model_validate(one.args).language_model == OWN_WRITER for one in config.applications)
    metadata = json.loads((ROOT / OWN_WRITER / "metadata.json").read_bytes())
    if wanted and not is_prepared(PREPARED_WRITER, metadata):
        process = subprocess.Popen([sys.executable, "-m", "supervisor.writer"])  # our own module
        while process.poll() is None:
            if stop.wait(POLL_S):
                process.terminate()
                process.wait()
        if process.returncode and not stop.is_set():
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


def _start_ray(arguments: argparse.Namespace) -> RayContext:
    logger.info("starting Ray ...")
    context = ray.init(
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
    return cast("RayContext", context)


def _run(config: ServeDeploySchema, ray_context: RayContext, stop: Stop, running: Path | None) -> None:
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
        if running:
            dashboard = f"http://{ray_context.dashboard_url}"
            try:
                announce(running, url, str(ray_context.address_info["session_dir"]), dashboard)
            except OSError as error:
                # As in a container whose folders are another user's; it serves all the same.
                logger.warning("`make observe` and `make deploy` will not find it: %s", error)
        _announce(url, ray_context.dashboard_url)
        while not stop.wait(WATCH_S):
            if _dead():
                return
        if running:
            with suppress(OSError):
                running.unlink(missing_ok=True)


def _dead() -> str:
    """The name of a process without which Ray is no cluster, where one has ended by itself."""
    node: Any = worker._global_node  # noqa: SLF001  # what ray.init() started, which has no public name
    dead = [] if node is None else node.dead_processes()
    return next((name for name, _ in dead if name in VITAL), "")


def _wait_until_running(stop: Stop) -> bool:
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


def _wait_until_ready(url: str, stop: Stop) -> bool:
    while not stop.wait(POLL_S):
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5):  # noqa: S310  # our own address  # nosec B310
                return True
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            continue
    return False


def _asks_for_key(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/templates", timeout=5):  # noqa: S310  # our own address  # nosec B310
            return False
    except urllib.error.HTTPError as error:
        return error.code == HTTPStatus.UNAUTHORIZED
    except OSError:
        return False


def _announce(url: str, dashboard: str | None) -> None:
    example = json.dumps({"query": "We launch our new running shoes next week"})
    key = ' -H "x-api-key: $KEY"' if _asks_for_key(url) else ""
    logger.info(
        "\nready: %s\n  try: curl -s %s/analyze-query%s -H 'content-type: application/json' -d '%s'\n"
        "  Ray dashboard: http://%s (it asks for the token that `.venv/bin/ray get-auth-token` prints)\n"
        "  stop: Ctrl-C",
        url,
        url,
        key,
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
