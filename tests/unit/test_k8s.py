"""What goes to a Kubernetes cluster: generated configuration and manifests, judged without a cluster."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr
from ray.serve._private.constants import RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S

from deployments.settings import ConfigError, parse_serve_config, read_serve_config
from supervisor.render import BASE, OVERLAYS, ROOT, release_of, render, serve_config
from tests.kustomize import ALL_OVERLAYS, built, cluster, groups, pods, service
from tests.readme import PAGES

GI = 1024**3
overlays = pytest.mark.parametrize("overlay", ALL_OVERLAYS)


@cache
def config(overlay: str) -> Any:
    return parse_serve_config(yaml.safe_load(service(overlay)["spec"]["serveConfigV2"]), source=overlay)


@pytest.mark.parametrize(
    ("patch", "name"),
    [
        ("nope: 1", "nope"),
        ("http_options: {nope: 1}", "http_options.nope"),
        ("applications: [{name: murmuration, args: {nope: 1}}]", "nope"),
        ("applications: [{name: other}]", "other"),
        ("applications: [{name: murmuration, deployments: [{name: sentiments}]}]", "sentiments"),
        ("applications: [{name: murmuration, deployments: [{name: sentiment, replicas: 1}]}]", "replicas"),
        ("applications: [{name: murmuration, deployments: [{name: sentiment, user_config: {nope: 1}}]}]", "nope"),
        ("http_options: [", "parsing"),
    ],
)
def test_a_patch_with_an_unknown_key_is_refused_by_its_name(patch: str, name: str, tmp_path: Any) -> None:
    path = tmp_path / "serve_patch.yaml"
    path.write_text(patch)
    with pytest.raises(ConfigError, match=rf"serve_patch\.yaml.*\b{re.escape(name)}\b") as error:
        serve_config(path, "0")
    assert "base" not in str(error.value)


def test_generated_files_equal_what_their_sources_render_to() -> None:
    for path, text in render().items():
        assert path.read_text() == text, f"{path.relative_to(ROOT)} is stale: make k8s"


@overlays
def test_a_cluster_serves_every_deployment_on_every_node(overlay: str) -> None:
    served = config(overlay)
    base = read_serve_config(BASE)
    assert served.proxy_location == "EveryNode"
    assert served.http_options.host == "0.0.0.0"
    assert [one.name for one in served.applications[0].deployments] == [
        one.name for one in base.applications[0].deployments
    ]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_release_in_args_is_the_tag_of_the_image(overlay: str) -> None:
    assert config(overlay).applications[0].args["release"] == release_of(overlay)
    images = {one["image"] for pod in pods(built(f"overlays/{overlay}")) for one in pod["containers"]}
    ours = {image for image in images if "murmuration" in image}
    assert {image.partition(":")[2].removesuffix("-cuda") for image in ours} == {release_of(overlay)}


@overlays
def test_only_models_on_the_gpu_overlay_ask_for_a_gpu(overlay: str) -> None:
    shares = {one.name: (one.ray_actor_options.num_gpus or 0) for one in config(overlay).applications[0].deployments}
    asked = {"sentiment": 0.25, "generator": 0.5} if overlay == "gpu" else {}
    assert {name: share for name, share in shares.items() if share} == asked
    assert ("gpu" in {group.get("groupName") for group in groups(overlay)}) == (overlay == "gpu")


@overlays
def test_calls_in_flight_suffice_to_scale_a_model_to_its_maximum(overlay: str) -> None:
    deployments = {one.name: one for one in config(overlay).applications[0].deployments}
    ingress = deployments.pop("ingress")
    stages = ingress.user_config["stages"]
    for name, deployment in deployments.items():
        scaling = deployment.autoscaling_config
        for stage in ("templates", "language_model") if name == "generator" else (name,):
            in_flight = ingress.autoscaling_config["min_replicas"] * stages[stage]["max_in_flight"]
            assert in_flight > (scaling["max_replicas"] - 1) * scaling["target_ongoing_requests"], stage
            assert in_flight <= scaling["min_replicas"] * deployment.max_queued_requests, stage


@overlays
def test_the_ingress_is_scaled_by_nobody(overlay: str) -> None:
    scaling = config(overlay).applications[0].deployments[0].autoscaling_config
    assert scaling["min_replicas"] == scaling["max_replicas"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_wrong_keys_are_counted_by_the_address_that_the_gateway_tells(overlay: str) -> None:
    assert config(overlay).applications[0].deployments[0].user_config["access"]["trusted_proxies"] == 1


@overlays
def test_every_node_has_the_same_environment_with_both_serve_flags(overlay: str) -> None:
    head, *workers = [group["template"]["spec"]["containers"][0]["env"] for group in groups(overlay)]
    assert all(worker == head for worker in workers)
    plain = {one["name"]: one["value"] for one in head if "value" in one}
    assert plain == {
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "HF_HUB_OFFLINE": "1",
    }


def node_types(overlay: str) -> Any:
    """What Ray's autoscaler, the one of this version, reads from the manifest."""
    resource = {"metadata": {"name": "x", "namespace": "x"}, "spec": cluster(overlay)}
    types = _derive_autoscaling_config_from_ray_cr(resource)["available_node_types"]
    assert types.pop("headgroup")["resources"]["CPU"] == 0
    return types


@overlays
def test_a_replica_may_use_a_quarter_more_than_was_measured(overlay: str) -> None:
    # GiB that each held after the benchmark of writing; a model of a hub is judged by the smaller one in its place.
    said = re.search(r"in GiB: (.+?)\. With", " ".join(PAGES["docs/operations.md"].split()))
    assert said is not None
    figures = re.findall(r"([a-z]+(?: [a-z]+)??)(?: with our own writer)? (0\.\d+)", said[1])
    held = {name.replace(" ", "_"): float(gib) for name, gib in figures}
    deployments = {one.name: one.ray_actor_options.memory for one in config(overlay).applications[0].deployments}
    assert held.keys() == deployments.keys()
    assert {name for name, reserved in deployments.items() if reserved < 1.25 * held[name] * GI} == set()


@overlays
def test_replicas_may_reserve_what_the_pod_has_less_what_ray_needs(overlay: str) -> None:
    # Raylet, agents, HAProxy and idle workers of about 0.2 GB each: 1 GiB beside the object store.
    for group in cluster(overlay)["workerGroupSpecs"]:
        resources = group["template"]["spec"]["containers"][0]["resources"]
        node = node_types(overlay)[group["groupName"]]["resources"]
        limit = int(resources["limits"]["memory"].removesuffix("Gi")) * GI
        assert node["memory"] + int(group["rayStartParams"]["object-store-memory"]) + GI <= limit
        assert node["CPU"] == int(resources["requests"]["cpu"])
        assert node.get("GPU", 0) == int(resources["limits"].get("nvidia.com/gpu", 0))


def nodes_needed(overlay: str, size: str, copies: int) -> dict[str, int]:
    """Pods of each group that hold the deployments at `size`: largest replica first, each where it fits first."""
    replicas: list[dict[str, float]] = []
    for deployment in config(overlay).applications[0].deployments:
        options = deployment.ray_actor_options
        # The ingress stops before it starts, one after the other.
        count = deployment.autoscaling_config[size] * (1 if deployment.name == "ingress" else copies)
        replicas += [{"CPU": options.num_cpus, "GPU": options.num_gpus or 0, "memory": options.memory}] * count
    types = node_types(overlay)
    nodes: dict[str, list[dict[str, float]]] = {name: [] for name in types}
    for need in sorted(replicas, key=lambda one: -one["memory"]):
        used = nodes["gpu" if need["GPU"] else "cpu"]
        empty = {"GPU": 0} | types["gpu" if need["GPU"] else "cpu"]["resources"]
        free = next((node for node in used if all(node[key] >= need[key] for key in need)), None)
        if free is None:
            free = dict(empty)
            used.append(free)
        free.update({key: free[key] - need[key] for key in need})
        assert min(free.values()) >= 0, f"a replica of {need} does not fit a pod of {empty}"
    return {name: len(used) for name, used in nodes.items()}


@overlays
def test_the_smallest_cluster_holds_the_fewest_replicas(overlay: str) -> None:
    standing = node_types(overlay)["cpu"]["min_workers"]
    ingress = config(overlay).applications[0].deployments[0]
    assert nodes_needed(overlay, "min_replicas", copies=1)["cpu"] <= standing
    assert ingress.autoscaling_config["max_replicas"] <= standing * ingress.max_replicas_per_node


@overlays
def test_the_largest_cluster_can_replace_all_replicas_while_they_serve(overlay: str) -> None:
    needed = nodes_needed(overlay, "max_replicas", copies=2)
    assert {name: count for name, count in needed.items() if count > node_types(overlay)[name]["max_workers"]} == {}


@overlays
def test_pods_outlive_their_drain(overlay: str) -> None:
    served = config(overlay)
    ingress = served.applications[0].deployments[0]
    drain = max(RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S, ingress.graceful_shutdown_timeout_s)
    for group in cluster(overlay)["workerGroupSpecs"]:
        pod = group["template"]["spec"]
        wait = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
        assert wait > ingress.user_config["language_model_deadline_s"] + ingress.user_config["store_deadline_s"]
        assert pod["terminationGracePeriodSeconds"] > wait + drain
    deletion = service(overlay)["spec"]["rayClusterDeletionDelaySeconds"]
    assert deletion > drain + served.http_options.request_timeout_s


@overlays
def test_the_disruption_budget_counts_workers_of_the_standing_group(overlay: str) -> None:
    budget = built(f"overlays/{overlay}")["PodDisruptionBudget", "murmuration-workers"]["spec"]
    group = cluster(overlay)["workerGroupSpecs"][0]
    given = {"ray.io/node-type": "worker", "ray.io/group": group["groupName"]}
    labels = group["template"]["metadata"]["labels"] | given
    assert budget["selector"]["matchLabels"].items() <= labels.items()
    assert 0 < budget["minAvailable"] < group["minReplicas"]
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


@overlays
def test_no_budget_keeps_what_there_is_once_from_being_moved(overlay: str) -> None:
    made = built(f"overlays/{overlay}")
    assert [name for kind, name in made if kind == "PodDisruptionBudget"] == ["murmuration-workers"]
