"""The image and the compose file, judged without a container engine."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import re
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deployments.settings import ConfigError, Settings, read_serve_config

ROOT = Path(__file__).resolve().parents[2]


DOCKERFILE = (ROOT / "Dockerfile").read_text()
BUILD, LAST = re.split(r"(?=^FROM )", DOCKERFILE, flags=re.MULTILINE)[1:]
PRODUCT = ("pipelines", "store", "deployments", "supervisor")


def test_the_image_copies_only_what_exists_and_what_its_context_holds() -> None:
    lines = [line.split() for line in BUILD.splitlines() if line.startswith("COPY ")]
    sources = {source for _, *sources, _ in lines for source in sources}
    assert {source for source in sources if not (ROOT / source).exists()} == set()
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignore[1] == "*"
    assert {line[1:] for line in ignore if line.startswith("!")} == sources


def test_the_image_is_pinned_runs_as_nobody_special_and_can_be_probed() -> None:
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) == 2 * re.findall(r"^FROM (\S+)", LAST)
    assert re.match(r"FROM python:3\.11\.\d+-slim-\w+\n", LAST)
    assert re.findall(r"^USER (.+)$", LAST, re.MULTILINE) == ["1000:1000"]
    assert "--yes wget" in LAST
    assert "HEALTHCHECK" in LAST
    assert "PYTHONPATH=/app" in LAST
    assert "WORKDIR /app" in LAST


def test_the_last_stage_takes_what_was_built_and_nothing_that_builds() -> None:
    copied = re.findall(r"^COPY (.+)$", LAST, re.MULTILINE)
    assert all(line.startswith("--from=build ") for line in copied)
    assert not re.search(r"gcc|g\+\+|make\b|pip install|--mount", LAST)
    assert re.findall(r"pip uninstall .*", BUILD) == ["pip uninstall --yes pip setuptools \\"]
    assert "uninstall --yes --root-user-action ignore pip setuptools wheel" in LAST


def needed(requirement: str, extras: frozenset[str], found: dict[str, Requirement]) -> None:
    """Collect the distributions that a requirement brings with it, by name."""
    for text in importlib.metadata.requires(requirement) or ():
        one = Requirement(text)
        if one.marker and not any(one.marker.evaluate({"extra": extra}) for extra in extras | {""}):
            continue
        name = canonicalize_name(one.name)
        if name not in found or not one.extras <= found[name].extras:
            found[name] = one
            needed(one.name, frozenset(one.extras), found)


def test_what_the_product_imports_comes_without_what_tests_and_trains_it() -> None:
    marker = re.search(r"sed '/(.+?)/,\$d' requirements\.in", BUILD)
    assert marker is not None
    product, separator, _ = (ROOT / "requirements.in").read_text().partition(f"{marker[1].removeprefix('^')}\n")
    assert separator
    found: dict[str, Requirement] = {}
    for line in product.splitlines():
        if text := line.partition("#")[0].strip():
            one = Requirement(text)
            found[canonicalize_name(one.name)] = one
            needed(one.name, frozenset(one.extras), found)
    locked = {
        canonicalize_name(line.partition("==")[0]) for line in (ROOT / "requirements.lock").read_text().splitlines()
    }
    assert found.keys() - {"setuptools", "pip"} <= locked
    assert not found.keys() & {"pytest", "mypy", "ruff", "playwright", "hypothesis", "kubernetes-validate"}
    brought = importlib.metadata.packages_distributions()
    for path in (path for folder in PRODUCT for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            for top in (name.partition(".")[0] for name in names):
                if top not in {*sys.stdlib_module_names, *PRODUCT, "__future__"}:
                    assert {canonicalize_name(one) for one in brought[top]} & found.keys(), f"{path}: {top}"


@pytest.mark.parametrize("path", ["Dockerfile", "compose.yaml", "k8s/base/migrate.yaml"])
def test_every_module_that_a_container_runs_exists(path: str) -> None:
    modules = re.findall(r"\[\"?python\"?, \"?-m\"?, \"?([\w.]+)", (ROOT / path).read_text())
    assert modules
    assert [module for module in modules if importlib.util.find_spec(module) is None] == []


def test_compose_takes_secrets_from_the_environment_and_listens_on_loopback() -> None:
    text = (ROOT / "compose.yaml").read_text()
    secrets = re.findall(r"\$\{(\w*(?:PASSWORD|KEYS))([^}]*)\}", text)
    assert {name for name, _ in secrets} == {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "MURMURATION_API_KEYS"}
    assert all(rest.startswith(":?") for _, rest in secrets)
    services = yaml.safe_load(text)["services"]
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:8000:8000"]
    assert all(re.fullmatch(r"[\w.]+:\d[\w.-]*", service["image"]) for service in services.values())


def test_compose_serves_the_rendered_configuration() -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    app = compose["services"]["app"]
    assert app["configs"][0]["target"] == app["command"][app["command"].index("--config") + 1]
    served = read_serve_config(ROOT / compose["configs"]["serve_config"]["file"])
    assert served.http_options.host == "0.0.0.0"
    with pytest.raises(ConfigError, match="MURMURATION_API_KEYS"):
        Settings(murmuration_api_keys={}).check(served.http_options.host)
