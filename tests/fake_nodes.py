"""A Ray cluster whose nodes come and go, on one machine: Ray's fake_multinode provider under its real autoscaler.

Every node is a real raylet, a local process with as much CPU and as many GPUs as its type says; what is asked of a
cloud, to start a machine, takes no time here. Whoever starts it deploys and looks by the dashboard's HTTP API alone.

python -m tests.fake_nodes SPEC: what `fake_nodes` runs. It adopts what Ray starts, and ends all of it when told to.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from supervisor.orphans import adopt_orphans, end_children
from supervisor.ports import free_port

ROOT = Path(__file__).resolve().parents[1]
# What Ray calls the type of the head, and its node in this provider.
HEAD = "ray.head.default"
HEAD_ID = "f" * 51 + "00000"
OBJECT_STORE_BYTES = 80 * 1024 * 1024
START_S, STOP_S = 150, 60


@dataclass(frozen=True)
class NodeType:
    """Logical resources of a type of node, and how many of it there may be."""

    cpus: float
    gpus: float = 0
    at_least: int = 0
    at_most: int = 4

    def resources(self) -> dict[str, float]:
        gpus = {"GPU": self.gpus} if self.gpus else {}
        return {"CPU": self.cpus, "object_store_memory": OBJECT_STORE_BYTES} | gpus


@dataclass(frozen=True)
class Nodes:
    """A running cluster."""

    api: httpx.Client
    types: Mapping[str, NodeType]
    log: Path

    def deploy(self, config: Mapping[str, Any]) -> None:
        """Ask for what `config`, a ServeDeploySchema, says."""
        self.api.put("/api/serve/applications/", json=dict(config)).raise_for_status()

    def application(self, name: str) -> dict[str, Any]:
        """What Serve says of an application: its status, and its deployments with their replicas."""
        told: dict[str, Any] = self.api.get("/api/serve/applications/").raise_for_status().json()
        found: dict[str, Any] = told["applications"].get(name, {})
        return found

    def alive(self) -> dict[str, str]:
        """The type of each node that is alive, by its id; the head left out."""
        told = self.api.get("/api/v0/nodes", params={"detail": 1, "limit": 100}).raise_for_status().json()
        found = told["data"]["result"]["result"]
        return {
            one["node_id"]: self._type_of(one["resources_total"])
            for one in found
            if one["state"] == "ALIVE" and not one["is_head_node"]
        }

    def _type_of(self, resources: Mapping[str, float]) -> str:
        size = (resources.get("CPU", 0), resources.get("GPU", 0))
        return next(name for name, one in self.types.items() if (one.cpus, one.gpus) == size)


@contextmanager
def fake_nodes(
    folder: Path, *, head_cpus: float, types: Mapping[str, NodeType], idle_s: float, environment: Mapping[str, str]
) -> Iterator[Nodes]:
    """Start a head with `head_cpus` and the fewest nodes of each type; end all of it afterwards.

    Args:
        folder: where its files go, a short path: Ray's sockets stand below it.
        head_cpus: logical CPUs of the head.
        types: what the autoscaler may start, by name; no two may be of one size.
        idle_s: how long a node must have nothing to do before it goes.
        environment: what all of its processes are given; RAY_* of this process is not.

    Raises:
        RuntimeError: it did not start.
    """
    port, dashboard, token = free_port(), free_port(), secrets.token_hex(16)
    spec = folder / "nodes.json"
    spec.write_text(
        json.dumps(
            {
                "config": _autoscaling(types, head_cpus, idle_s, port),
                "head_cpus": head_cpus,
                "port": port,
                "dashboard_port": dashboard,
                "temp": str(folder / "r"),
            }
        )
    )
    log = folder / "nodes.log"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "MURMURATION"))}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.fake_nodes", str(spec)],
            cwd=ROOT,
            env=inherited
            | {"PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}
            | dict(environment),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        headers = {"authorization": f"Bearer {token}"}
        url = f"http://127.0.0.1:{dashboard}"
        with httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False) as api:
            _wait(process, api, log)
            yield Nodes(api, types, log)
    finally:
        process.terminate()
        process.wait(STOP_S)


def _wait(process: subprocess.Popen[bytes], api: httpx.Client, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if api.get("/api/serve/applications/").is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.3)
    raise RuntimeError(f"the head did not start:\n{log.read_text()[-3000:]}")


def _autoscaling(types: Mapping[str, NodeType], head_cpus: float, idle_s: float, port: int) -> dict[str, Any]:
    """The file that `ray up` would take. As an external provider: the defaults of its own type are not in the wheel."""
    return {
        "cluster_name": "fake",
        "max_workers": sum(one.at_most for one in types.values()),
        "provider": {
            "type": "external",
            "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
            "use_node_id_as_ip": True,
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
            "launch_multiple": True,
            "head_node_id": HEAD_ID,
            "gcs_address": f"127.0.0.1:{port}",
        },
        "available_node_types": {
            HEAD: {"resources": {"CPU": head_cpus}, "node_config": {}, "max_workers": 0},
            **{
                name: {
                    "resources": one.resources(),
                    "node_config": {},
                    "min_workers": one.at_least,
                    "max_workers": one.at_most,
                }
                for name, one in types.items()
            },
        },
        "head_node_type": HEAD,
        "upscaling_speed": 1.0,
        "idle_timeout_minutes": idle_s / 60,
        "auth": {},
        "file_mounts": {},
        "cluster_synced_files": [],
        # Nothing sets up a machine.
        **{f"{name}_commands": [] for name in ("initialization", "setup", "head_setup", "worker_setup")},
        **{f"{name}_start_ray_commands": [] for name in ("head", "worker")},
    }


def main() -> None:
    """Run a head and its autoscaler until told to stop."""
    spec = json.loads(Path(sys.argv[1]).read_text())
    adopt_orphans()
    config = Path(sys.argv[1]).with_suffix(".autoscaling.json")
    config.write_text(json.dumps(spec["config"]))
    environment = os.environ | {
        "RAY_FAKE_CLUSTER": "1",
        "RAY_enable_autoscaler_v2": "1",
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        "RAY_CLOUD_INSTANCE_ID": HEAD_ID,
        "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD_ID,
    }
    command = [
        *(str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--disable-usage-stats"),
        *("--node-ip-address", "127.0.0.1", "--port", str(spec["port"]), "--num-cpus", str(spec["head_cpus"])),
        *("--dashboard-host", "127.0.0.1", "--dashboard-port", str(spec["dashboard_port"])),
        *("--dashboard-agent-listen-port", "0", "--ray-client-server-port", str(free_port())),
        *("--object-store-memory", str(OBJECT_STORE_BYTES)),
        *("--temp-dir", spec["temp"], "--autoscaling-config", str(config)),
    ]

    def on_signal(_signal: int, _frame: Any) -> None:
        raise SystemExit

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    head = subprocess.Popen(command, env=environment)
    try:
        head.wait()
    finally:
        head.terminate()
        end_children()


if __name__ == "__main__":
    main()
