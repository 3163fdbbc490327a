"""What the environment and serve_config.yaml may say."""

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from dotenv import dotenv_values
from pydantic import ValidationError

from deployments.settings import (
    OWN_WRITER,
    USER_CONFIGS,
    Args,
    ConfigError,
    RemoteLanguageModel,
    Settings,
    is_loopback,
    parse_serve_config,
    read_serve_config,
    read_settings,
)

ROOT = Path(__file__).resolve().parents[2]
PATH = ROOT / "serve_config.yaml"
TREE = yaml.safe_load(PATH.read_text())
KEY = "0123456789abcdef"


def misspelt(stage: Any) -> None:
    stage["max_wating"] = stage.pop("max_waiting")


def application(tree: Any) -> Any:
    return tree["applications"][0]


def followers(tree: Any) -> Any:
    return application(tree)["autoscaling_policy"]["policy_kwargs"]["followers"]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda tree: tree.update(nope=1), "nope"),
        (lambda tree: tree["http_options"].update(nope=1), "http_options.nope"),
        (lambda tree: tree["logging_config"].update(nope=1), "logging_config.nope"),
        (lambda tree: application(tree).update(nope=1), "applications[0].nope"),
        (lambda tree: application(tree)["args"].update(nope=1), "nope"),
        (lambda tree: application(tree)["deployments"][1].update(nope=1), "applications[0].deployments[1].nope"),
        (
            lambda tree: application(tree)["deployments"][1]["autoscaling_config"].update(nope=1),
            "autoscaling_config.nope",
        ),
        (
            lambda tree: application(tree)["deployments"][1]["ray_actor_options"].update(nope=1),
            "ray_actor_options.nope",
        ),
        (lambda tree: application(tree)["deployments"][0]["user_config"].update(nope=1), "nope"),
        (lambda tree: application(tree)["deployments"][0]["user_config"]["stages"].update(nope=1), "stages.nope"),
        (lambda tree: application(tree)["deployments"][0]["user_config"]["live"].update(nope=1), "live.nope"),
        (lambda tree: application(tree)["deployments"][4]["user_config"].update(nope=1), "nope"),
        (lambda tree: misspelt(application(tree)["deployments"][0]["user_config"]["stages"]["store"]), "max_wating"),
        (lambda tree: application(tree)["autoscaling_policy"]["policy_kwargs"].update(nope=1), "nope"),
        (lambda tree: followers(tree)["sentiment"].update(nope=1), "nope"),
        (lambda tree: followers(tree).update(sentimental=followers(tree)["sentiment"]), "sentimental"),
        (lambda tree: application(tree)["autoscaling_policy"].update(policy_function="nope:nope"), "policy_function"),
        (lambda tree: application(tree)["autoscaling_policy"]["policy_kwargs"].update(drain_s=0), "drain_s"),
        (lambda tree: application(tree)["deployments"][2].update(name="sentimental"), "sentimental"),
    ],
)
def test_an_unknown_key_anywhere_in_the_configuration_is_an_error_that_names_it(
    change: Callable[[Any], None], name: str
) -> None:
    tree = copy.deepcopy(TREE)
    change(tree)
    with pytest.raises(ConfigError) as error:
        parse_serve_config(tree, source="serve_config.yaml")
    assert name in str(error.value)


@pytest.mark.parametrize("text", ["applications: [", "- 1\n- 2", "applications: 3"])
def test_what_is_no_serve_config_is_an_error_of_ours(tmp_path: Path, text: str) -> None:
    path = tmp_path / "serve_config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        read_serve_config(path)


def test_a_missing_file_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml"):
        read_serve_config(tmp_path / "absent.yaml")


@pytest.mark.parametrize("keys", ['{"a": "short"}', '{"a": "changeme-changeme-changeme"}', "{", "key"])
def test_a_weak_or_unreadable_key_is_refused(monkeypatch: pytest.MonkeyPatch, keys: str) -> None:
    monkeypatch.setenv("MURMURATION_API_KEYS", keys)
    with pytest.raises(ConfigError, match="MURMURATION_API_KEYS") as error:
        read_settings()
    assert "changeme" not in str(error.value)


def test_what_env_example_leaves_empty_is_as_if_it_were_not_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in dotenv_values(ROOT / ".env.example"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / ".env"
    filled = (ROOT / ".env.example").read_text()
    filled = filled.replace("MURMURATION_API_KEYS=\n", 'MURMURATION_API_KEYS={"acme": "a key of sixteen or more"}\n')
    file.write_text(filled.replace("X_USER_ID=\n", "X_USER_ID=1\n"))
    script = "from deployments.settings import read_settings as r; s = r(); print(*s.murmuration_api_keys, s.x_user_id)"
    asks = f"{script}; print(s.database_url, s.otel_exporter_otlp_endpoint, s.ray_serve_enable_ha_proxy)"
    done = subprocess.run(
        [Path(sys.executable).parent / "dotenv", "-f", file, "run", "--no-override", "--", sys.executable, "-c", asks],
        env={**os.environ, "X_USER_ID": "2"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["acme", "2", "None", "None", "False"], done.stderr


def test_a_host_that_others_reach_needs_a_key() -> None:
    with pytest.raises(ConfigError, match="MURMURATION_API_KEYS"):
        Settings(murmuration_api_keys={}).check("0.0.0.0")
    Settings(murmuration_api_keys={"default": KEY}).check("0.0.0.0")
    Settings(murmuration_api_keys={}).check("127.0.0.1")


@pytest.mark.parametrize("optimized", [True, False])
def test_one_serve_flag_without_the_other_is_refused(optimized: bool) -> None:
    settings = Settings(ray_serve_throughput_optimized=optimized, ray_serve_enable_ha_proxy=not optimized)
    with pytest.raises(ConfigError, match="RAY_SERVE_ENABLE_HA_PROXY"):
        settings.check("127.0.0.1")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        *(("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False)),
        *(("::", False), ("192.168.0.1", False), ("example.org", False), ("", False)),
    ],
)
def test_only_loopback_addresses_are_out_of_reach(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_our_own_configuration_is_whole_and_fits_two_cores() -> None:
    config = read_serve_config(PATH)
    (own,) = config.applications
    assert {deployment.name for deployment in own.deployments} == set(USER_CONFIGS)
    assert Args.model_validate(own.args).language_model == OWN_WRITER
    smallest = sum(deployment.ray_actor_options.num_cpus for deployment in own.deployments)
    largest = max(deployment.ray_actor_options.num_cpus for deployment in own.deployments[1:])
    assert smallest + largest <= 2, "one model can be replaced while the others run"


def test_secrets_do_not_show_when_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:hidden@host/db")
    monkeypatch.setenv("MURMURATION_API_KEYS", f'{{"default": "{KEY}"}}')
    printed = repr(Settings())
    assert "hidden" not in printed
    assert KEY not in printed


def remote(**changes: Any) -> dict[str, Any]:
    return {"language_model": {"provider": "openai", "model": "a-model"} | changes}


@pytest.mark.parametrize(
    "changes",
    [
        {"provider": "somebody"},
        {"model": ""},
        {"key": "sk-0123456789"},
        {"base_url": "file:///etc/passwd"},
        {"base_url": "127.0.0.1:8000"},
        {"base_url": "http://user:sk-0123456789@localhost/v1"},
        {"base_url": "http://localhost/v1?key=sk-0123456789"},
    ],
)
def test_a_model_behind_http_that_cannot_be_or_holds_a_key_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Args.model_validate(remote(**changes))


def test_a_language_model_is_a_name_or_a_server() -> None:
    assert Args.model_validate({"language_model": "gpt2"}).language_model == "gpt2"
    model = Args.model_validate(remote(base_url="http://localhost:8000/v1")).language_model
    assert model == RemoteLanguageModel(provider="openai", model="a-model", base_url="http://localhost:8000/v1")


def test_a_providers_key_comes_from_the_environment_and_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    settings = read_settings()
    key = settings.key_of(RemoteLanguageModel(provider="openai", model="a-model"))
    assert key is not None
    assert key.get_secret_value() == "sk-0123456789"
    assert "0123456789" not in repr(settings) + str(key)


@pytest.mark.parametrize(("provider", "variable"), [("openai", "OPENAI_API_KEY"), ("anthropic", "ANTHROPIC_API_KEY")])
def test_only_a_server_of_ones_own_may_be_asked_without_a_key(
    monkeypatch: pytest.MonkeyPatch, provider: Any, variable: str
) -> None:
    monkeypatch.setenv(variable, "")
    own = RemoteLanguageModel(provider=provider, model="a-model", base_url="http://localhost:8000/v1")
    assert read_settings().key_of(own) is None
    with pytest.raises(ConfigError, match=variable):
        read_settings().key_of(RemoteLanguageModel(provider=provider, model="a-model"))


def test_every_deployment_at_its_most_replicas_still_fits_into_two_cpus() -> None:
    """Else a replica that grew while the ingress was down takes its place, and nobody is served until it goes."""
    asked = 0.0
    for deployment in application(TREE)["deployments"]:
        asked += deployment["autoscaling_config"]["max_replicas"] * deployment["ray_actor_options"]["num_cpus"]

    assert round(asked, 6) <= 2
