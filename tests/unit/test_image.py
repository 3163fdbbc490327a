"""The image and the compose file, judged without a container engine."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
import yaml

from deployments.settings import ConfigError, Settings, read_serve_config

ROOT = Path(__file__).resolve().parents[2]


def test_the_image_copies_only_what_exists_and_what_its_context_holds() -> None:
    lines = [line.split() for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("COPY ")]
    sources = {source for _, *sources, _ in lines for source in sources}
    assert {source for source in sources if not (ROOT / source).exists()} == set()
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignore[1] == "*"
    assert {line[1:] for line in ignore if line.startswith("!")} == sources


def test_the_image_is_pinned_runs_as_nobody_special_and_can_be_probed() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^FROM python:3\.11\.\d+-slim-\w+$", dockerfile, re.MULTILINE)
    assert re.findall(r"^USER (.+)$", dockerfile, re.MULTILINE) == ["1000:1000"]
    assert "--yes wget" in dockerfile
    assert "HEALTHCHECK" in dockerfile
    assert "PYTHONPATH=/app" in dockerfile
    assert "WORKDIR /app" in dockerfile


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
