"""What KubeRay 1.7 says to the RayService: the schema of its CRD, and the rules that its operator checks on arrival."""

from __future__ import annotations

import copy
import re
from typing import Any

import jsonschema
import pytest
import ray
import yaml

from supervisor.render import ROOT
from tests.kustomize import ALL_OVERLAYS, service

CRD = ROOT.parent / "shared" / "crds" / "ray.io_rayservices.v1.7.0.yaml"
overlays = pytest.mark.parametrize("overlay", ALL_OVERLAYS)


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


@pytest.mark.parametrize("place", [(), ("headGroupSpec",), ("workerGroupSpecs", 0, "template", "spec")])
def test_the_schema_refuses_a_misspelt_field(place: tuple[Any, ...], schema: Any) -> None:
    broken = copy.deepcopy(service("gpu"))
    target = broken["spec"]["rayClusterConfig"]
    for key in place:
        target = target[key]
    target["enableInTreeAutoscalingg"] = True
    assert any("enableInTreeAutoscalingg" in error.message for error in schema.iter_errors(broken))


@overlays
def test_the_rayservice_fits_the_schema_of_kuberay(overlay: str, schema: Any) -> None:
    assert [error.message for error in schema.iter_errors(service(overlay))] == []


def refusals(service: Any) -> list[str]:
    """Why the operator would refuse it: ValidateRayServiceMetadata and ValidateRayServiceSpec of KubeRay 1.7."""
    spec = service["spec"]
    cluster = spec["rayClusterConfig"]
    workers = cluster["workerGroupSpecs"]
    groups = [cluster["headGroupSpec"], *workers]
    started = set().union(*(group["rayStartParams"] for group in groups))
    environment = {one["name"] for group in groups for one in group["template"]["spec"]["containers"][0]["env"]}
    options = spec["upgradeStrategy"].get("clusterUpgradeOptions")
    rules = {
        "name": re.fullmatch(r"[a-z]([-a-z0-9]{0,45}[a-z0-9])?", service["metadata"]["name"]),
        # Not refused, but final: after it the service must be deleted and made anew, however close it was.
        "timeout": "ray.io/initializing-timeout" not in service["metadata"].get("annotations", {}),
        "resources": not any("resources" in group for group in groups),
        "rayStartParams": not {"labels", "redis-password", "redis-username"} & started,
        "environment": not {"REDIS_PASSWORD", "REDIS_USERNAME", "RAY_REDIS_ADDRESS"} & environment,
        "restartPolicy": all(group["template"]["spec"].get("restartPolicy", "Never") == "Never" for group in groups),
        "replicas": all(0 <= one["minReplicas"] <= one["replicas"] <= one["maxReplicas"] for one in workers),
        "headService": "headService" not in cluster["headGroupSpec"],
        "rayVersion": tuple(map(int, cluster["rayVersion"].split("."))) >= (2, 52),
        "deletion delay": spec["rayClusterDeletionDelaySeconds"] >= 0,
        "type": spec["upgradeStrategy"]["type"]
        in ({"NewClusterWithIncrementalUpgrade"} if options else {"NewCluster", "None"}),
        "step": options is None or 0 < options["stepSizePercent"] <= options["maxSurgePercent"] <= 100,
        "interval": options is None or options["intervalSeconds"] > 0,
        "gateway": options is None or options["gatewayClassName"],
        "autoscaler": options is None or cluster["enableInTreeAutoscaling"],
        # Not refused, but ignored.
        "serveService": options is None or "serveService" not in spec,
    }
    return [rule for rule, kept in rules.items() if not kept]


@overlays
def test_the_operator_accepts_the_service(overlay: str) -> None:
    cluster = service(overlay)["spec"]["rayClusterConfig"]
    assert refusals(service(overlay)) == []
    assert cluster["rayVersion"] == ray.__version__
    assert cluster["authOptions"]["mode"] == "token"
    assert cluster["enableInTreeAutoscaling"] is True
    assert cluster["autoscalerOptions"]["version"] == "v2"


@pytest.mark.parametrize(
    ("place", "value", "refusal"),
    [
        ("metadata.name", "m" * 48, "name"),
        ("metadata.annotations", {"ray.io/initializing-timeout": "30m"}, "timeout"),
        ("spec.rayClusterConfig.headGroupSpec.resources", {"CPU": "1"}, "resources"),
        ("spec.rayClusterConfig.headGroupSpec.headService", {"metadata": {"name": "x"}}, "headService"),
        ("spec.rayClusterConfig.headGroupSpec.rayStartParams", {"labels": "a=b"}, "rayStartParams"),
        ("spec.rayClusterConfig.headGroupSpec.template.spec.restartPolicy", "Always", "restartPolicy"),
        ("spec.rayClusterConfig.workerGroupSpecs.0.minReplicas", 9, "replicas"),
        ("spec.rayClusterConfig.rayVersion", "2.51.0", "rayVersion"),
        ("spec.rayClusterConfig.enableInTreeAutoscaling", False, "autoscaler"),
        ("spec.upgradeStrategy.type", "Sometimes", "type"),
        ("spec.upgradeStrategy.clusterUpgradeOptions.stepSizePercent", 0, "step"),
        ("spec.upgradeStrategy.clusterUpgradeOptions.stepSizePercent", 26, "step"),
        ("spec.upgradeStrategy.clusterUpgradeOptions.intervalSeconds", 0, "interval"),
        ("spec.upgradeStrategy.clusterUpgradeOptions.gatewayClassName", "", "gateway"),
        ("spec.serveService", {}, "serveService"),
    ],
)
def test_the_operator_would_refuse(place: str, value: Any, refusal: str) -> None:
    broken = copy.deepcopy(service("incremental"))
    *parents, last = [int(key) if key.isdigit() else key for key in place.split(".")]
    target = broken
    for key in parents:
        target = target[key]
    target[last] = value
    assert refusals(broken) == [refusal]


@overlays
def test_each_cluster_keeps_a_state_of_its_own_in_the_redis_of_the_head(overlay: str) -> None:
    options = service(overlay)["spec"]["rayClusterConfig"]["gcsFaultToleranceOptions"]
    # With a namespace that is named, the cluster of an upgrade would read the state of the one that serves.
    assert options.keys() == {"redisAddress", "redisPassword"}
