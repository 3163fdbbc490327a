"""README.md speaks of what is there."""

import json
import re
from pathlib import Path

import pytest
import yaml

from deployments.settings import Settings
from tests.benchmarks import experiments, generation
from tests.benchmarks.analyze_query import RESULTS, table
from tests.readme import ROOT, TEXT, commands, posts

MAKEFILE = (ROOT / "Makefile").read_text()


def test_every_make_target_that_is_mentioned_exists() -> None:
    mentioned = set(re.findall(r"\bmake ([a-z][a-z0-9-]*)", TEXT)) - {"and"}
    targets = set(re.findall(r"^([a-z0-9-]+):", MAKEFILE, flags=re.MULTILINE))
    assert {"serve", "test"} <= mentioned <= targets


def test_the_test_command_of_the_readme_is_what_ci_runs() -> None:
    assert any(command.startswith("make test") for command in commands())
    assert re.search(r"^make lint\nmake test$", (ROOT / ".ci/run").read_text(), flags=re.MULTILINE)


def test_every_path_of_the_tree_exists_and_every_folder_of_modules_is_in_it() -> None:
    tree = TEXT.split("## The tree")[1].split("```")[1]
    named = set(re.findall(r"^ *([a-z_0-9]+/|[a-z_]+\.(?:py|yaml))", tree, flags=re.MULTILINE))
    named |= set(re.findall(r"\b([a-z_0-9]+/)(?= |$)", tree, flags=re.MULTILINE))
    packages = ("supervisor", "deployments", "pipelines", "training", "store")
    there = {path.parent.name + "/" for package in packages for path in (ROOT / package).rglob("*.py")}
    files = {path.name for package in packages for path in (ROOT / package).rglob("*.py")} | {"serve_config.yaml"}
    assert there <= named
    folders = there | {f"{path.name}/" for path in (*ROOT.iterdir(), *(ROOT / "tests").iterdir()) if path.is_dir()}
    assert named <= folders | files | {"migrations/"}


def test_every_curl_command_that_posts_is_found() -> None:
    asked = {"/analyze-query", "/generate", "/optimize", "/templates", "/analyze", "/predict", "/compare"}
    asked |= {"/ab-test/create", "/ab-test/$ID/events"}
    assert {path for path, _ in posts()} == asked


def test_the_environment_example_names_every_setting() -> None:
    names = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), flags=re.MULTILINE))
    assert {name.upper() for name in Settings.model_fields} <= names


@pytest.mark.parametrize("phrase", ["8000", "8265"])
def test_ports_are_those_of_the_configuration(phrase: str) -> None:
    configured = yaml.safe_load(Path(ROOT / "serve_config.yaml").read_text())["http_options"]["port"]
    assert phrase in {str(configured), "8265"}
    assert phrase in TEXT


def test_the_figures_are_those_that_the_benchmarks_printed() -> None:
    assert table(json.loads((RESULTS / "analyze_query.json").read_text())) in TEXT
    assert generation.table(json.loads((RESULTS / "generation.json").read_text())) in TEXT
    assert experiments.table(json.loads((RESULTS / "experiments.json").read_text())) in TEXT
    load = json.loads((RESULTS / "generation_load.json").read_text())
    assert f"{load['highest_rate']} requests a second" in TEXT
    assert f"({load['templates_beside_a_busy_language_model']['p99_ratio']} times" in TEXT


def test_the_figures_of_the_simulations_are_those_that_they_wrote() -> None:
    found = json.loads((ROOT / "tests/simulations/upworthy.json").read_text())
    once, looks = (found["called"][name] for name in ("once, at the end", "at any look"))
    said = f"On {found['clear_winners']} real headline tests"
    assert said in TEXT
    assert f"called {once['right'] / sum(once.values()):.0%}".replace("%", " %") in TEXT
    assert f"{looks['right'] / sum(looks.values()):.0%} at any look, and none wrongly".replace("%", " %") in TEXT
    assert "wrong" not in once | looks
    simulated = json.loads((ROOT / "tests/simulations/results.json").read_text())["False positives at 20 looks"]
    ours, naive = (f"{figure['value']:.0%}".replace("%", " %") for figure in simulated[:2])
    assert f"a plain z test calls {naive} of tests without any difference, this one {ours}" in TEXT
