"""What kustomize makes of the folders of k8s/, with the few features that they use; compared with kubectl's own."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from supervisor.render import K8S, OVERLAYS

ALL_OVERLAYS = (*OVERLAYS, "incremental")
# kind and name -> manifest
Manifests = dict[tuple[str, str], Any]


def documents(path: Path) -> list[Any]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


@cache
def built(folder: str) -> Manifests:
    """The manifests of a folder below k8s/; not to be changed."""
    return _build(K8S / folder, {})


def _build(folder: Path, manifests: Manifests) -> Manifests:
    (file,) = documents(folder / "kustomization.yaml")
    for resource in file.get("resources", ()):
        path = (folder / resource).resolve()
        if path.is_dir():
            _build(path, manifests)
        else:
            manifests |= {(item["kind"], item["metadata"]["name"]): item for item in documents(path)}
    for component in file.get("components", ()):
        _build((folder / component).resolve(), manifests)
    for patch in file.get("patches", ()):
        (content,) = documents(folder / patch["path"])
        if isinstance(content, list):
            _json_patch(manifests[patch["target"]["kind"], patch["target"]["name"]], content)
        else:
            key = content["kind"], content["metadata"]["name"]
            manifests[key] = merge_patch(manifests[key], content)
    tags = {image["name"]: f"{image['newName']}:{image['newTag']}" for image in file.get("images", ())}
    for pod in pods(manifests):
        for container in pod["containers"]:
            container["image"] = tags.get(container["image"], container["image"])
    return manifests


def pods(manifests: Manifests) -> Iterator[Any]:
    """The spec of each pod that a manifest describes; those of the RayService without what KubeRay adds."""
    for item in manifests.values():
        groups = [item["spec"]] if "template" in item.get("spec", ()) else []
        if item["kind"] == "RayService":
            cluster = item["spec"]["rayClusterConfig"]
            groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
        yield from (group["template"]["spec"] for group in groups)


def merge_patch(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = dict(target) if isinstance(target, dict) else {}
    merged |= {key: merge_patch(merged.get(key), value) for key, value in patch.items()}
    return {key: value for key, value in merged.items() if value is not None}


def _json_patch(document: Any, operations: list[Any]) -> None:
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


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    for rule in selector.get("matchExpressions", ()):
        value = labels.get(rule["key"])
        assert rule["operator"] in {"In", "Exists"}
        if value is None or (rule["operator"] == "In" and value not in rule["values"]):
            return False
    return selector.get("matchLabels", {}).items() <= labels.items()


def service(overlay: str) -> Any:
    return built(f"overlays/{overlay}")["RayService", "murmuration"]


def cluster(overlay: str) -> Any:
    return service(overlay)["spec"]["rayClusterConfig"]


def groups(overlay: str) -> list[Any]:
    """The head's group and those of the workers."""
    return [cluster(overlay)["headGroupSpec"], *cluster(overlay)["workerGroupSpecs"]]
