"""What goes to a Kubernetes cluster: generated configuration and manifests, judged without a cluster."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
from functools import cache
from itertools import chain
from typing import Any

import jsonschema
import pytest
import ray
import yaml
from pydantic import ValidationError
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr
from ray.serve._private.constants import RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S

from deployments.settings import ConfigError, Settings, parse_serve_config, read_serve_config
from supervisor.render import BASE, K8S, OVERLAYS, ROOT, release_of, render, serve_config

CRD = ROOT.parent / "shared" / "crds" / "ray.io_rayservices.v1.7.0.yaml"
GI = 1024**3
PROMETHEUS_PORTS = {8080, 44217, 44227, 8404, 9101}

overlays = pytest.mark.parametrize("overlay", OVERLAYS)


def documents(path: Any) -> list[Any]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


@cache
def built(overlay: str) -> dict[str, Any]:
    """Do what kustomize does with the few features that the overlays use: kind -> manifest."""
    folder = K8S / "overlays" / overlay
    overlay_file = documents(folder / "kustomization.yaml")[0]
    names = documents(K8S / "base" / "kustomization.yaml")[0]["resources"]
    manifests = {item["kind"]: copy.deepcopy(item) for name in names for item in documents(K8S / "base" / name)}
    for patch in overlay_file["patches"]:
        content = documents(folder / patch["path"])[0]
        if isinstance(content, list):
            json_patch(manifests[patch["target"]["kind"]], content)
        else:
            manifests[content["kind"]] = merge_patch(manifests[content["kind"]], content)
    tags = {image["name"]: f"{image['newName']}:{image['newTag']}" for image in overlay_file["images"]}
    for container in chain.from_iterable(pod["containers"] for pod in pods(manifests)):
        container["image"] = tags[container["image"]]
    return manifests


def merge_patch(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    return merged | {key: merge_patch(merged.get(key), value) for key, value in patch.items()}


def json_patch(document: Any, operations: list[Any]) -> None:
    for operation in operations:
        *parents, last = [int(key) if key.isdigit() else key for key in operation["path"].split("/")[1:]]
        place = document
        for key in parents:
            place = place[key]
        if operation["op"] == "test":
            assert place[last] == operation["value"]
        else:
            assert operation["op"] == "remove"
            del place[last]


def cluster(manifests: dict[str, Any]) -> Any:
    return manifests["RayService"]["spec"]["rayClusterConfig"]


def groups(manifests: dict[str, Any]) -> list[Any]:
    return [cluster(manifests)["headGroupSpec"], *cluster(manifests)["workerGroupSpecs"]]


def pods(manifests: dict[str, Any]) -> list[Any]:
    return [owner["template"]["spec"] for owner in (*groups(manifests), manifests["Job"]["spec"])]


@cache
def config(overlay: str) -> Any:
    return parse_serve_config(yaml.safe_load(built(overlay)["RayService"]["spec"]["serveConfigV2"]), source=overlay)


def secret_references(tree: Any) -> set[tuple[str, str]]:
    if isinstance(tree, list):
        return set().union(*map(secret_references, tree))
    if not isinstance(tree, dict):
        return set()
    found = secret_references(list(tree.values()))
    reference = tree.get("secretKeyRef")
    return found | {(reference["name"], reference["key"])} if reference else found


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


@overlays
def test_the_release_in_args_is_the_tag_of_the_image(overlay: str) -> None:
    assert config(overlay).applications[0].args["release"] == release_of(overlay)
    images = {container["image"] for pod in pods(built(overlay)) for container in pod["containers"]}
    assert {image.partition(":")[2].removesuffix("-cuda") for image in images} == {release_of(overlay)}


@overlays
def test_only_models_on_the_gpu_overlay_ask_for_a_gpu(overlay: str) -> None:
    shares = {one.name: (one.ray_actor_options.num_gpus or 0) for one in config(overlay).applications[0].deployments}
    asked = {"sentiment": 0.25, "generator": 0.5} if overlay == "gpu" else {}
    assert {name: share for name, share in shares.items() if share} == asked
    assert ("gpu" in {group.get("groupName") for group in groups(built(overlay))}) == (overlay == "gpu")


@overlays
def test_calls_in_flight_suffice_to_scale_a_model_to_its_maximum(overlay: str) -> None:
    deployments = {one.name: one for one in config(overlay).applications[0].deployments}
    ingress = deployments.pop("ingress")
    stages = ingress.user_config["stages"]
    for name, deployment in deployments.items():
        scaling = deployment.autoscaling_config
        for stage in ("templates", "language_model") if name == "generator" else (name,):
            in_flight = ingress.num_replicas * stages[stage]["max_in_flight"]
            assert in_flight > (scaling["max_replicas"] - 1) * scaling["target_ongoing_requests"], stage
            assert in_flight <= scaling["min_replicas"] * deployment.max_queued_requests, stage


@overlays
def test_kustomize_builds_what_these_tests_judge(overlay: str) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed: the overlays were merged by these tests alone")
    command = [kubectl, "kustomize", str(K8S / "overlays" / overlay)]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert {item["kind"]: item for item in yaml.safe_load_all(output)} == built(overlay)


def strict(schema: Any) -> Any:
    """Close every object that lists its properties, as the API server's strict field validation does."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: strict(value) for key, value in schema.items()}
    if closed.get("x-kubernetes-int-or-string") is True:
        closed.pop("type", None)
    opened = "additionalProperties" in closed or closed.get("x-kubernetes-preserve-unknown-fields") is True
    if isinstance(closed.get("properties"), dict) and closed.get("type") == "object" and not opened:
        closed["additionalProperties"] = False
    return closed


@pytest.fixture(scope="module")
def schema() -> Any:
    if not CRD.exists():
        pytest.skip(f"the KubeRay CRDs are not at {CRD.parent}: the RayService was not checked against its schema")
    versions = yaml.load(CRD.read_text(), yaml.CSafeLoader)["spec"]["versions"]
    closed = strict(next(one["schema"]["openAPIV3Schema"] for one in versions if one["name"] == "v1"))
    closed["properties"]["metadata"] = {"type": "object"}
    return jsonschema.Draft202012Validator(closed)


@overlays
def test_the_rayservice_fits_the_schema_of_kuberay(overlay: str, schema: Any) -> None:
    service = built(overlay)["RayService"]
    component = merge_patch(service, documents(K8S / "components" / "gcs-redis" / "gcs.patch.yaml")[0])
    assert [error.message for one in (service, component) for error in schema.iter_errors(one)] == []


@pytest.mark.parametrize("place", [(), ("headGroupSpec",), ("workerGroupSpecs", 0, "template", "spec")])
def test_the_schema_refuses_a_misspelt_field(place: tuple[Any, ...], schema: Any) -> None:
    service = copy.deepcopy(built("gpu")["RayService"])
    target = service["spec"]["rayClusterConfig"]
    for key in place:
        target = target[key]
    target["enableInTreeAutoscalingg"] = True
    assert any("enableInTreeAutoscalingg" in error.message for error in schema.iter_errors(service))


@overlays
def test_the_operator_accepts_the_cluster(overlay: str) -> None:
    spec = cluster(built(overlay))
    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,45}[a-z0-9])?", built(overlay)["RayService"]["metadata"]["name"])
    assert spec["rayVersion"] == ray.__version__
    assert spec["authOptions"]["mode"] == "token"
    assert tuple(map(int, spec["rayVersion"].split("."))) >= (2, 52)
    assert spec["enableInTreeAutoscaling"] is True
    assert spec["autoscalerOptions"]["version"] == "v2"
    assert "headService" not in spec["headGroupSpec"]
    for group in groups(built(overlay)):
        assert group["template"]["spec"]["restartPolicy"] == "Never"
        assert not {"labels", "resources", "redis-password"} & group["rayStartParams"].keys()
        assert "resources" not in group
    for group in spec["workerGroupSpecs"]:
        assert 0 <= group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


@overlays
def test_every_node_has_the_same_environment_with_both_serve_flags(overlay: str) -> None:
    head, *workers = [group["template"]["spec"]["containers"][0]["env"] for group in groups(built(overlay))]
    assert all(worker == head for worker in workers)
    plain = {one["name"]: one["value"] for one in head if "value" in one}
    assert plain == {
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1",
    }


@overlays
def test_every_secret_that_is_read_stands_in_the_example(overlay: str) -> None:
    example = {item["metadata"]["name"]: item["stringData"] for item in documents(K8S / "base" / "secret.example.yaml")}
    component = documents(K8S / "components" / "gcs-redis" / "gcs.patch.yaml")[0]
    read = secret_references([*built(overlay).values(), component])
    read.add((cluster(built(overlay))["authOptions"]["secretName"], "auth_token"))
    assert read == {(name, key) for name, keys in example.items() for key in keys}


def test_the_example_secret_is_never_applied_and_holds_nothing_that_works() -> None:
    for path in K8S.rglob("kustomization.yaml"):
        assert "secret" not in str(documents(path)[0]).lower()
    application, *others = [item["stringData"] for item in documents(K8S / "base" / "secret.example.yaml")]
    assert [value for other in others for value in other.values() if value] == []
    with pytest.raises(ValidationError, match="no default"):
        Settings.model_validate_json(f'{{"murmuration_api_keys": {application["MURMURATION_API_KEYS"]}}}')
    assert all("PASSWORD@HOST" in application[name] for name in ("DATABASE_URL", "REDIS_URL"))


@overlays
def test_no_container_runs_as_root_or_gains_privileges(overlay: str) -> None:
    for pod in pods(built(overlay)):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 1000
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert not re.search(r":latest$|^[^:]+$", container["image"])


@overlays
def test_memory_is_requested_in_full_and_cpu_is_not_limited(overlay: str) -> None:
    autoscaler = cluster(built(overlay))["autoscalerOptions"]
    for container in [autoscaler, *chain.from_iterable(pod["containers"] for pod in pods(built(overlay)))]:
        resources = container["resources"]
        assert resources["requests"]["memory"] == resources["limits"]["memory"]
        assert "cpu" in resources["requests"]
        assert "cpu" not in resources["limits"]


def node_types(overlay: str) -> Any:
    """What Ray's autoscaler, the one of this version, reads from the manifest."""
    resource = {"metadata": {"name": "x", "namespace": "x"}, "spec": cluster(built(overlay))}
    types = _derive_autoscaling_config_from_ray_cr(resource)["available_node_types"]
    assert types.pop("headgroup")["resources"]["CPU"] == 0
    return types


@overlays
def test_replicas_may_reserve_what_the_pod_has_less_what_ray_needs(overlay: str) -> None:
    # Raylet, agents, HAProxy and idle workers of about 0.2 GB each: 1 GiB beside the object store.
    for group in cluster(built(overlay))["workerGroupSpecs"]:
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
        options, scaling = deployment.ray_actor_options, deployment.autoscaling_config
        count = scaling[size] * copies if isinstance(scaling, dict) else deployment.num_replicas
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
    assert ingress.num_replicas <= standing * ingress.max_replicas_per_node


@overlays
def test_the_largest_cluster_can_replace_all_replicas_while_they_serve(overlay: str) -> None:
    needed = nodes_needed(overlay, "max_replicas", copies=2)
    assert {name: count for name, count in needed.items() if count > node_types(overlay)[name]["max_workers"]} == {}


@overlays
def test_pods_outlive_their_drain(overlay: str) -> None:
    served = config(overlay)
    ingress = served.applications[0].deployments[0]
    drain = max(RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S, ingress.graceful_shutdown_timeout_s)
    for group in cluster(built(overlay))["workerGroupSpecs"]:
        pod = group["template"]["spec"]
        wait = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
        assert wait > ingress.user_config["language_model_deadline_s"] + ingress.user_config["store_deadline_s"]
        assert pod["terminationGracePeriodSeconds"] > wait + drain
    deletion = built(overlay)["RayService"]["spec"]["rayClusterDeletionDelaySeconds"]
    assert deletion > drain + served.http_options.request_timeout_s


@overlays
def test_each_port_is_open_to_those_who_need_it_only(overlay: str) -> None:
    spec = built(overlay)["NetworkPolicy"]["spec"]
    ray_labels = built(overlay)["RayService"]["spec"]["rayClusterConfig"]["headGroupSpec"]["template"]["metadata"][
        "labels"
    ]
    assert spec["podSelector"]["matchLabels"].items() <= ray_labels.items()
    assert spec["policyTypes"] == ["Ingress"]
    inside, gateway, operator, prometheus = spec["ingress"]
    assert inside == {"from": [{"podSelector": {"matchLabels": ray_labels}}]}
    ports = [{port["port"] for port in rule["ports"]} for rule in (gateway, operator, prometheus)]
    assert ports == [{8000}, {8265, 8000}, PROMETHEUS_PORTS]
    assert all("namespaceSelector" in rule["from"][0] for rule in (gateway, operator, prometheus))
    assert all(rule["from"][0]["podSelector"]["matchLabels"] for rule in (operator, prometheus))


@overlays
def test_the_disruption_budget_counts_workers_of_the_standing_group(overlay: str) -> None:
    budget = built(overlay)["PodDisruptionBudget"]["spec"]
    group = cluster(built(overlay))["workerGroupSpecs"][0]
    given = {"ray.io/node-type": "worker", "ray.io/group": group["groupName"]}
    labels = group["template"]["metadata"]["labels"] | given
    assert budget["selector"]["matchLabels"].items() <= labels.items()
    assert 0 < budget["minAvailable"] < group["minReplicas"]
