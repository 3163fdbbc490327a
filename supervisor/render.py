"""Writes what the cluster serves from serve_config.yaml and the small serve_patch.yaml of each place it runs in.

An overlay gets a kustomize patch of the RayService; compose, which runs no operator, gets the configuration itself.
Beside them what watches it: the alerts as the Prometheus operator takes them, and the dashboard.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from deployments.settings import ConfigError, parse_serve_config, read_serve_config
from supervisor import dashboard

ROOT = Path(__file__).resolve().parents[1]

K8S = ROOT / "k8s"
MONITORING = K8S / "monitoring"
RULES, DASHBOARD = MONITORING / "rules.yaml", MONITORING / "dashboard.json"
BASE = ROOT / "serve_config.yaml"
IMAGE = "murmuration"
OVERLAYS = ("cpu", "gpu")
HEADER = "# Written by `make k8s` from serve_config.yaml and serve_patch.yaml: edit those.\n"
logger = logging.getLogger("murmuration")


class _Block(str):
    """A string that YAML shows line by line."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    """Keeps the order of keys; writes no aliases."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  # the signature is PyYAML's
        return True


_Dumper.add_representer(_Block, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|"))


def merge(base: Any, patch: Any, place: str = "") -> Any:
    """Lay `patch` over `base`: mappings key by key, lists of named items by name, all else replaced.

    Raises:
        ConfigError: an item is named that `base` does not have; `place` leads to it.
    """
    if isinstance(base, dict) and isinstance(patch, dict):
        merged = dict(base)
        for key, value in patch.items():
            merged[key] = merge(base[key], value, f"{place}.{key}" if place else key) if key in base else value
        return merged
    if _are_named(base) and _are_named(patch):
        changes = {item["name"]: item for item in patch}
        unknown = changes.keys() - {item["name"] for item in base}
        if unknown:
            raise ConfigError(f"unknown name {place}: {min(unknown)}")
        return [merge(item, changes.get(item["name"], {}), f"{place}.{item['name']}") for item in base]
    return patch


def serve_config(patch_path: Path, release: str) -> dict[str, Any]:
    """The serve config of one place, with `release` in the application's args.

    Raises:
        ConfigError: a key that neither Serve nor our deployments know; the message names file and key.
    """
    read_serve_config(BASE)
    source = str(patch_path.relative_to(ROOT)) if patch_path.is_relative_to(ROOT) else str(patch_path)
    try:
        tree: dict[str, Any] = merge(yaml.safe_load(BASE.read_text()), yaml.safe_load(patch_path.read_text()))
    except (OSError, yaml.YAMLError, ConfigError) as error:
        raise ConfigError(f"{source}: {error}") from error
    for application in tree["applications"]:
        application["args"]["release"] = release
    parse_serve_config(tree, source=source)
    return tree


def release_of(overlay: str) -> str:
    """The image tag of an overlay, which is the release: a new one must roll the replicas."""
    images = yaml.safe_load((K8S / "overlays" / overlay / "kustomization.yaml").read_text())["images"]
    return next(str(image["newTag"]) for image in images if image["name"] == IMAGE)


def render() -> dict[Path, str]:
    """Every generated file with the text that belongs in it."""
    files = {}
    for overlay in OVERLAYS:
        folder = K8S / "overlays" / overlay
        config = serve_config(folder / "serve_patch.yaml", release_of(overlay))
        patch = {
            "apiVersion": "ray.io/v1",
            "kind": "RayService",
            "metadata": {"name": IMAGE},
            "spec": {"serveConfigV2": _Block(_dump(config))},
        }
        files[folder / "serve_config.patch.yaml"] = HEADER + _dump(patch)
    compose = serve_config(K8S / "compose" / "serve_patch.yaml", "compose")
    files[K8S / "compose" / "serve_config.yaml"] = HEADER + _dump(compose)
    files[DASHBOARD] = dashboard.render()
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": IMAGE, "labels": {"app.kubernetes.io/part-of": IMAGE}},
        "spec": yaml.safe_load(RULES.read_text()),
    }
    files[MONITORING / "prometheusrule.yaml"] = "# Written by `make k8s` from rules.yaml: edit that.\n" + _dump(rule)
    return files


def _are_named(items: Any) -> bool:
    return isinstance(items, list) and all(isinstance(item, Mapping) and "name" in item for item in items)


def _dump(tree: Any) -> str:
    text: str = yaml.dump(tree, Dumper=_Dumper, sort_keys=False, width=110)
    return text


def main() -> None:
    """Write the generated files."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for path, text in render().items():
        path.write_text(text)
        logger.info("wrote %s", path.relative_to(ROOT))


if __name__ == "__main__":
    main()
