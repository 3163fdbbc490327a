"""What `make observe` runs: Prometheus on the product that runs here, and Grafana where it is installed.

Everything it writes stands below .murmuration/observe; what it starts listens on loopback alone and ends with it.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from deployments.settings import ConfigError, read_settings
from supervisor import child, dashboard
from supervisor.ports import free_port
from supervisor.render import ROOT, RULES
from supervisor.running import Product, find
from supervisor.stopping import Stop

HOST = "127.0.0.1"
PROMETHEUS_PORT, GRAFANA_PORT = 9090, 3000
START_S, STOP_S, POLL_S = 30.0, 10.0, 0.2
# Drift looks a week back.
KEPT = "30d"
logger = logging.getLogger("murmuration")


def main() -> int:
    """Watch until Ctrl-C; returns 2 where something is missing, 1 where a server ended by itself."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT / ".murmuration", help="the folder that `make serve` keeps")
    parser.add_argument("--port", type=int, help="of Prometheus, instead of 9090 or another where that is taken")
    parser.add_argument("--every", type=int, default=15, help="seconds between scrapes")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    stop = Stop()
    stop.listen()
    folder = arguments.data.absolute() / "observe"
    children: list[subprocess.Popen[bytes]] = []
    try:
        program = _installed("prometheus")
        product = find(arguments.data)
        prepare(folder, product, _key(product.url), every_s=arguments.every)
        port = arguments.port or _port(PROMETHEUS_PORT)
        children.append(_prometheus(program, folder, port))
        _wait_until_answers(children[0], f"http://{HOST}:{port}/-/ready", folder / "prometheus.log", stop)
        logger.info("Prometheus: http://%s:%s/alerts has the alerts, /graph the series", HOST, port)
        _start_grafana(folder, port, children, stop)
        logger.info("stop: Ctrl-C")
        while not stop.wait(POLL_S):
            if ended := [one for one in children if one.poll() is not None]:
                logger.error("error: process %s ended by itself; its log stands in %s", ended[0].pid, folder)
                return 1
    except ConfigError as error:
        logger.error("error: %s", error)  # noqa: TRY400  # one line, no traceback: it is the user's to mend
        return 2
    finally:
        for process in reversed(children):
            _end(process)
        (folder / "key").unlink(missing_ok=True)
    return 0


def _installed(name: str) -> str:
    program = shutil.which(name)
    if program is None:
        raise ConfigError(f"{name} is not installed: `apt-get install {name}` (Debian, Ubuntu), or prometheus.io")
    return program


def prepare(folder: Path, product: Product, key: str | None, *, every_s: int) -> None:
    """Write the configuration of Prometheus; `key` into a file of its own that nobody else may read."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "key").unlink(missing_ok=True)
    murmuration: dict[str, Any] = {
        "job_name": "murmuration",
        "static_configs": [{"targets": [_authority(product.url)]}],
    }
    if key is not None:
        with os.fdopen(os.open(folder / "key", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(key)
        murmuration["authorization"] = {"credentials_file": str(folder / "key")}
    # Ray rewrites it as nodes come and go; the one above the session belongs to whichever cluster started last.
    targets = product.session / "prom_metrics_service_discovery.json"
    configuration = {
        "global": {"scrape_interval": f"{every_s}s", "evaluation_interval": f"{every_s}s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [murmuration, {"job_name": "ray", "file_sd_configs": [{"files": [str(targets)]}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration, sort_keys=False))


def prepare_grafana(folder: Path, prometheus_port: int) -> None:
    """Write what Grafana starts with: the source of figures and the dashboard."""
    places = {name: folder / "provisioning" / name for name in ("datasources", "dashboards", "plugins", "alerting")}
    for place in (*places.values(), folder / "dashboards"):
        place.mkdir(parents=True, exist_ok=True)
    url = f"http://{HOST}:{prometheus_port}"
    source = {"name": "Prometheus", "type": "prometheus", "access": "proxy", "url": url, "isDefault": True}
    boards = {"name": "murmuration", "type": "file", "options": {"path": str(folder / "dashboards")}}
    for name, content in (("datasources", {"datasources": [source]}), ("dashboards", {"providers": [boards]})):
        (places[name] / "murmuration.yaml").write_text(yaml.safe_dump({"apiVersion": 1, **content}))
    (folder / "dashboards" / "murmuration.json").write_text(dashboard.render())


def _key(url: str) -> str | None:
    """The key that /metrics takes, None where it asks for none.

    Raises:
        ConfigError: it asks for one, and there is none in the environment that it takes.
    """
    keys = [key.get_secret_value() for key in read_settings().murmuration_api_keys.values()]
    for key in (None, *keys):
        request = urllib.request.Request(f"{url}/metrics")  # noqa: S310  # our own address
        if key is not None:
            request.add_header("Authorization", f"Bearer {key}")
        try:
            with urllib.request.urlopen(request, timeout=10):  # noqa: S310  # our own address  # nosec B310
                return key
        except urllib.error.HTTPError as error:
            if error.code != 401:
                raise ConfigError(f"{url}/metrics answers {error.code}") from error
        except OSError as error:
            raise ConfigError(f"{url} does not answer: {error}") from error
    raise ConfigError(f"{url}/metrics asks for a key: set MURMURATION_API_KEYS as for `make serve`")


def _prometheus(program: str, folder: Path, port: int) -> subprocess.Popen[bytes]:
    return _spawn(
        folder / "prometheus.log",
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--storage.tsdb.retention.time={KEPT}",
        f"--web.listen-address={HOST}:{port}",
    )


def _start_grafana(folder: Path, prometheus_port: int, children: list[subprocess.Popen[bytes]], stop: Stop) -> None:
    program = shutil.which("grafana-server") or shutil.which("grafana-server", path="/usr/sbin")
    if program is None:
        logger.info("Grafana is not installed; with it (grafana.com) k8s/monitoring/dashboard.json would be shown here")
        return
    prepare_grafana(folder, prometheus_port)
    port = _port(GRAFANA_PORT)
    settings = {
        "SERVER_HTTP_ADDR": HOST,
        "SERVER_HTTP_PORT": str(port),
        "PATHS_DATA": str(folder / "grafana"),
        "PATHS_LOGS": str(folder / "grafana"),
        "PATHS_PROVISIONING": str(folder / "provisioning"),
        "AUTH_ANONYMOUS_ENABLED": "true",
        "AUTH_ANONYMOUS_ORG_ROLE": "Viewer",
        "ANALYTICS_REPORTING_ENABLED": "false",
        "ANALYTICS_CHECK_FOR_UPDATES": "false",
        "ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
    }
    environment = {f"GF_{name}": value for name, value in settings.items()}
    children.append(_spawn(folder / "grafana.log", program, "--homepath=/usr/share/grafana", environment=environment))
    _wait_until_answers(children[-1], f"http://{HOST}:{port}/api/health", folder / "grafana.log", stop)
    logger.info("Grafana: http://%s:%s/d/murmuration", HOST, port)


def _spawn(log: Path, *command: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    # It ends with this process even if that is killed; Ctrl-C reaches this one alone, which then ends it.
    about = map(str, (os.getpid(), int(signal.SIGTERM), os.getuid(), os.getgid(), 0))
    # None of our secrets is theirs to know.
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ", "TMPDIR") if name in os.environ}
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603  # a program of the system, no shell
            [sys.executable, "-I", "-S", child.__file__, *about, *command],
            env={**inherited, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _wait_until_answers(process: subprocess.Popen[bytes], url: str, log: Path, stop: Stop) -> None:
    deadline = time.monotonic() + START_S
    while not stop.wait(POLL_S):
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310  # our own address  # nosec B310
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                tail = log.read_text(errors="replace").splitlines()[-5:]
                raise ConfigError("\n".join([f"{url} does not answer; the end of {log}:", *tail])) from None


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _port(wanted: int) -> int:
    """Return a port where it is free, else another."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError:
            return free_port()
    return wanted


def _authority(url: str) -> str:
    # A product that listens everywhere is asked here.
    return url.partition("://")[2].replace("0.0.0.0", HOST)  # noqa: S104  # read, not bound  # nosec B104


if __name__ == "__main__":
    sys.exit(main())
