"""Nodes that come for replicas that find no room, and go when they have nothing to do."""

import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from supervisor.ports import free_port
from tests.fake_nodes import Nodes, NodeType, fake_nodes
from tests.serve.conftest import wait_until

TYPES = {"cpu": NodeType(1), "gpu": NodeType(1, gpus=1)}
FAST = {"look_back_period_s": 2, "metrics_interval_s": 1, "upscale_delay_s": 0, "downscale_delay_s": 4}


def config(port: int) -> dict[str, Any]:
    """Nothing but the front has room on the head; the others are called for."""

    def part(name: str, **actor: float) -> dict[str, Any]:
        scaling = FAST | {"min_replicas": 0, "max_replicas": 1}
        return {"name": name, "autoscaling_config": scaling, "ray_actor_options": actor}

    parts = [part("plain", num_cpus=1), part("accelerated", num_cpus=1, num_gpus=1)]
    front = {"name": "front", "ray_actor_options": {"num_cpus": 0}}
    application = {
        "name": "sized",
        "route_prefix": "/",
        "import_path": "tests.serve.sized:build",
        "deployments": [front, *parts],
    }
    http = {"host": "127.0.0.1", "port": port}
    return {"proxy_location": "HeadOnly", "http_options": http, "applications": [application]}


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    with (
        tempfile.TemporaryDirectory(prefix="mn", dir="/tmp", ignore_cleanup_errors=True) as folder,
        fake_nodes(Path(folder), head_cpus=0, types=TYPES, idle_s=5, environment={}) as started,
    ):
        yield started


def types(nodes: Nodes) -> Counter[str]:
    return Counter(nodes.alive().values())


@pytest.mark.timeout(400)
def test_a_replica_that_finds_no_room_starts_a_node_of_its_type_which_goes_with_it(nodes: Nodes) -> None:
    port = free_port()
    nodes.deploy(config(port))
    wait_until(lambda: nodes.application("sized").get("status") == "RUNNING", 150, "the application runs")
    assert types(nodes) == {}, "nobody calls yet"
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120, trust_env=False) as client:
        # The call waits for the node; it does not fail.
        assert client.get("/accelerated").text == "accelerated"
        assert types(nodes) == {"gpu": 1}
        wait_until(lambda: types(nodes) == {}, 120, "the GPU node has gone")
        started = time.monotonic()
        assert client.get("/plain").text == "plain"
        assert types(nodes) == {"cpu": 1}, f"after {time.monotonic() - started:.0f} s"
        wait_until(lambda: types(nodes) == {}, 120, "the CPU node has gone")
