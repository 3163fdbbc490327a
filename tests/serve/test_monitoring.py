"""What alerts and dashboard name is exported by a real cluster, and `make observe` watches it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from typing import Any

import httpx
import psutil
import pytest
import yaml

from supervisor.ports import free_port
from supervisor.render import DASHBOARD, RULES
from supervisor.running import find
from tests.serve.conftest import KEY, ROOT, Cluster, wait_until


def named() -> set[str]:
    """Every metric that an alert or a panel reads."""
    rules = [rule["expr"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    panels = [
        target["expr"] for panel in json.loads(DASHBOARD.read_text())["panels"] for target in panel.get("targets", ())
    ]
    variables = [variable["query"] for variable in json.loads(DASHBOARD.read_text())["templating"]["list"]]
    return set(re.findall(r"\b(?:ray|murmuration)_\w+", " ".join(map(str, [*rules, *panels, *variables]))))


def told_by_agents(cluster: Cluster) -> str:
    targets = json.loads((find(cluster.folder / "data").session / "prom_metrics_service_discovery.json").read_text())
    with httpx.Client(trust_env=False, timeout=30) as agents:
        return "\n".join(agents.get(f"http://{one}/metrics").text for group in targets for one in group["targets"])


def exported(cluster: Cluster) -> set[str]:
    """Every metric that the agents of the cluster and /metrics tell."""
    with cluster.client() as client:
        text = f"{told_by_agents(cluster)}\n{client.get('/metrics').text}"
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, flags=re.MULTILINE))
    parts = {
        f"{name}_{part}" for name, kind in kinds.items() if kind == "histogram" for part in ("bucket", "sum", "count")
    }
    return parts | kinds.keys()


def test_every_metric_that_is_named_is_exported(cluster: Cluster):
    query = {"query": "We open the new shop on Monday", "engine": "lm"}
    with cluster.client() as client:
        assert client.post("/analyze-query", json=query).status_code == 200
        # A stage that has no time gives no answer.
        assert client.post("/generate", json={**query, "latency_budget_ms": 50}).status_code == 200
    assert len(named()) > 20
    missing: set[str] = set()

    def all_there() -> bool:
        nonlocal missing
        missing = named() - exported(cluster)
        return not missing

    try:
        wait_until(all_there, 90, "every metric")
    finally:
        assert missing == set()


def test_our_policy_is_asked_how_many_replicas_there_should_be_and_hears_of_the_queue(cluster: Cluster):
    def asked() -> bool:
        text = told_by_agents(cluster)
        policy = re.findall(r"^ray_serve_autoscaling_policy_execution_time_ms\{(.*)\}", text, flags=re.MULTILINE)
        sized = {deployment for one in policy for deployment in re.findall(r'deployment="(\w+)"', one)}
        hook = re.findall(r"^ray_serve_user_autoscaling_stats_latency_ms_count\{(.*)\}", text, flags=re.MULTILINE)
        return (
            sized == {"query_analyzer", "sentiment", "generator", "viral_predictor"}
            and all('policy_scope="application"' in one for one in policy)
            and any('deployment="ingress"' in one for one in hook)
        )

    wait_until(asked, 90, "the application's policy sizes the four models")


def test_observe_watches_the_running_product_and_leaves_nothing_behind(cluster: Cluster):
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed: make observe was not tried")
    data, port = cluster.folder / "data", free_port()
    command = [sys.executable, "-m", "supervisor.observing", "--data", str(data), "--port", str(port), "--every", "1"]
    environment = {**os.environ, "MURMURATION_API_KEYS": json.dumps({"default": KEY})}
    with (cluster.folder / "observe.log").open("wb") as log:
        observing = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_until(lambda: f"127.0.0.1:{port}" in (cluster.folder / "observe.log").read_text(), 60, "Prometheus")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", trust_env=False, timeout=30) as client:

            def data_of(path: str, **parameters: str) -> Any:
                return client.get(path, params=parameters).json()["data"]

            def known() -> bool:
                found = data_of("/query", query="murmuration_store_up or ray_murmuration_requests_total")["result"]
                return {one["metric"]["__name__"] for one in found} == {
                    "murmuration_store_up",
                    "ray_murmuration_requests_total",
                }

            def rules() -> list[Any]:
                return [rule for group in data_of("/rules")["groups"] for rule in group["rules"]]

            wait_until(known, 40, "our metrics in Prometheus")
            wait_until(lambda: {rule["health"] for rule in rules()} == {"ok"}, 40, "rules that were evaluated")

            def health() -> set[str]:
                return {target["health"] for target in data_of("/targets")["activeTargets"]}

            # Asked every second, a target must answer within that second, or is down until the next one.
            wait_until(lambda: health() == {"up"}, 40, "every target up")
            firing = [rule["name"] for rule in rules() if rule["state"] == "firing"]
            assert set(firing) <= {"MurmurationMemory", "MurmurationWritesRefused"}
        children = psutil.Process(observing.pid).children(recursive=True)
        assert [child.name() for child in children][:1] == ["prometheus"]
        assert KEY not in " ".join(word for child in children for word in child.cmdline())
    finally:
        observing.send_signal(signal.SIGINT)
        assert observing.wait(20) == 0
    assert not psutil.wait_procs(children, timeout=10)[1]
    assert not (data / "observe" / "key").exists()
