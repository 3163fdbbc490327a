"""README and the pages of docs/ speak of what is there."""

import json
import re
from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
import yaml

from deployments.http.ingress import create_api
from deployments.settings import Settings
from pipelines.records import Draft
from pipelines.viral_predictor.predictor import ViralPredictor
from tests.benchmarks import autoscaling, batch_score, experiments, growth, profile_request, soak
from tests.benchmarks.analyze_query import table
from tests.benchmarks.machine import RESULTS
from tests.benchmarks.peers import run as peers
from tests.chaos import run as chaos
from tests.chaos import upgrade
from tests.readme import PAGES, ROOT, answers, commands, posts
from training import reading

MAKEFILE = (ROOT / "Makefile").read_text()
README, SPEED, SCALING, FAULTS, EXPERIMENTS, OPERATIONS = (
    PAGES[page]
    for page in (
        "README.md",
        *(f"docs/{name}.md" for name in ("speed", "scaling", "chaos", "experiments", "operations")),
    )
)
# Written about before it is there, and no longer written about while it still is.
COMING, LEAVING = set[str](), set[str]()


@pytest.fixture
async def document() -> dict[str, Any]:
    """What the application says of its own calls."""
    transport = httpx.ASGITransport(create_api(cast("Any", SimpleNamespace())))
    async with httpx.AsyncClient(transport=transport, base_url="http://murmuration") as client:
        return (await client.get("/openapi.json")).json()


def fields(document: dict[str, Any]) -> set[str]:
    """The name of every field that a call takes or answers."""
    schemas = document["components"]["schemas"].values()
    calls = [call for item in document["paths"].values() for call in item.values()]
    parameters = {parameter["name"] for call in calls for parameter in call.get("parameters", ())}
    return parameters | {name for schema in schemas for name in schema.get("properties", ())}


def keys(value: Any) -> set[str]:
    if isinstance(value, list):
        return {key for item in value for key in keys(item)}
    return set(value) | keys(list(value.values())) if isinstance(value, dict) else set()


def anchors(page: str) -> set[str]:
    """What GitHub makes of the headings of a page."""
    prose = re.sub(r"```.*?```", "", PAGES[page], flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_front_doors_are_short() -> None:
    assert len(README.splitlines()) <= 150
    assert len(PAGES["README.es.md"].splitlines()) <= 60


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("docs/")])
def test_a_page_says_first_for_whom_it_is_and_the_front_door_leads_to_it(page: str) -> None:
    assert re.match(r"# .+\n\nFor (those )?who", PAGES[page])
    assert f"]({page})" in README


def test_every_link_leads_somewhere() -> None:
    for page, text in PAGES.items():
        for target, _, anchor in (link.partition("#") for link in re.findall(r"\]\((?!https?:)([^)]+)\)", text)):
            path = ((ROOT / page).parent / target).resolve() if target else ROOT / page
            assert path.exists(), (page, target)
            assert not anchor or anchor in anchors(str(path.relative_to(ROOT))), (page, target, anchor)


def test_nothing_is_said_twice() -> None:
    prose = (re.sub(r"```.*?```", "", text, flags=re.DOTALL).replace("\n", " ") for text in PAGES.values())
    said = Counter(sentence.strip() for text in prose for sentence in re.split(r"[.:;|] ", text))
    assert [sentence for sentence, times in said.items() if times > 1 and len(sentence) > 60] == []


def test_every_make_target_that_is_mentioned_exists_and_every_one_is_mentioned() -> None:
    mentioned = {target for text in PAGES.values() for target in re.findall(r"\bmake ([a-z][a-z0-9-]*)", text)}
    assert mentioned - {"and", "y"} == set(re.findall(r"^([a-z0-9-]+):", MAKEFILE, flags=re.MULTILINE))


def test_the_test_command_of_the_readme_is_what_ci_runs() -> None:
    assert any(command.startswith("make test") for command in commands())
    assert re.search(r"^make lint\nmake test$", (ROOT / ".ci/run").read_text(), flags=re.MULTILINE)


def test_every_path_of_the_tree_exists_and_every_folder_of_modules_is_in_it() -> None:
    tree = README.split("## The tree")[1].split("```")[1]
    named = set(re.findall(r"^ *([a-z_0-9]+/|[a-z_]+\.(?:py|yaml))", tree, flags=re.MULTILINE))
    named |= set(re.findall(r"\b([a-z_0-9]+/)(?= |$)", tree, flags=re.MULTILINE))
    packages = ("supervisor", "deployments", "pipelines", "training", "store")
    there = {path.parent.name + "/" for package in packages for path in (ROOT / package).rglob("*.py")}
    files = {path.name for package in packages for path in (ROOT / package).rglob("*.py")} | {"serve_config.yaml"}
    assert there <= named
    folders = there | {f"{path.name}/" for path in (*ROOT.iterdir(), *(ROOT / "tests").iterdir()) if path.is_dir()}
    assert named <= folders | files | {"migrations/"}


def test_every_curl_command_that_posts_is_found() -> None:
    asked = {"/analyze-query", "/generate", "/generate/stream", "/optimize", "/templates", "/analyze", "/predict"}
    asked |= {"/compare", "/ab-test/create", "/ab-test/$ID/events"}
    assert {path for path, _ in posts()} == asked


def test_every_call_and_field_is_described(document: dict[str, Any]) -> None:
    api = PAGES["docs/api.md"] + EXPERIMENTS + PAGES["docs/outcomes.md"]
    called = set(re.findall(r"/[a-z-]+(?:/[a-z0-9-]+|/\{\w+\})*(?:\.[a-z]{3}\b)?", api))
    called |= {f"/ab-test/{{experiment_id}}{call}" for call in re.findall(r"`(/[a-z]+)`", EXPERIMENTS)}
    assert set(document["paths"]) <= called
    in_code = [
        *re.findall(r"`([^`\n]+)`", api),
        *map(str, answers("docs/experiments.md") + answers("docs/outcomes.md")),
    ]
    described = set(re.findall(r"[A-Za-z_-]+", " ".join(in_code)))
    assert fields(document) - LEAVING - described == set()


def test_answers_that_are_shown_have_fields_that_are_answered(document: dict[str, Any]) -> None:
    assert keys(answers("README.md")) <= fields(document) | COMING
    assert all(answer["degraded"] == [] for answer in answers("README.md") if "degraded" in answer)


def test_the_prediction_that_is_shown_is_the_one_that_is_made() -> None:
    (asked,) = (body for path, body in posts() if path == "/predict")
    (shown,) = (answer["results"][0] for answer in answers("README.md") if "results" in answer)
    (made,) = ViralPredictor.load(ROOT / "models/viral_predictor").predict([Draft(**asked["drafts"][0])])
    low, high = made.interval
    assert shown["interval"] == [round(low, 1), round(high, 1)]
    assert shown["viral_score"] == round(made.viral_score, 1)
    assert shown["p_beats_median"] == round(made.p_beats_median, 2)


def test_the_environment_example_and_the_operations_page_name_every_setting() -> None:
    names = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), flags=re.MULTILINE))
    assert {name.upper() for name in Settings.model_fields} <= names
    assert names <= set(re.findall(r"`([A-Z_]+)`", OPERATIONS))


def test_ports_are_those_of_the_configuration() -> None:
    configured = yaml.safe_load((ROOT / "serve_config.yaml").read_text())["http_options"]["port"]
    called = {port for text in PAGES.values() for port in re.findall(r"127\.0\.0\.1:(\d+)", text)}
    assert called == {str(configured), "8265"}


def test_the_figures_are_those_that_the_benchmarks_printed() -> None:
    def result(name: str) -> dict[str, Any]:
        return json.loads((RESULTS / f"{name}.json").read_text())

    assert table(result("analyze_query")) in SPEED
    assert experiments.table(result("experiments")) in SPEED
    assert autoscaling.table(result("autoscaling")) in SCALING
    assert batch_score.table(result("batch_score")) in SPEED
    assert "\n".join(peers.table(result("peers")["systems"])) in SPEED
    assert "\n".join(peers.table(result("ablation")["systems"])) in SPEED
    assert "\n".join(growth.table(result("growth")["axes"])) in SPEED
    assert "\n".join(profile_request.table(result("profile"))) in SPEED
    assert "\n".join(soak.table(result("soak"))) in SPEED
    assert chaos.table([chaos.Row(**row) for row in result("chaos")["rows"]]) in FAULTS
    assert upgrade.table([upgrade.Step(**row) for row in result("upgrade")["rows"]]) in FAULTS


def test_the_figures_of_the_simulations_are_those_that_they_wrote() -> None:
    found = json.loads((ROOT / "tests/simulations/upworthy.json").read_text())
    said = " ".join(EXPERIMENTS.split())
    once, looks = (found["called"][name] for name in ("once, at the end", "at any look"))
    assert f"On {found['clear_winners']} real headline tests" in said
    assert f"called {once['right'] / sum(once.values()):.0%}".replace("%", " %") in said
    assert f"{looks['right'] / sum(looks.values()):.0%} at any look, and none wrongly".replace("%", " %") in said
    assert "wrong" not in once | looks
    simulated = json.loads((ROOT / "tests/simulations/results.json").read_text())["False positives at 20 looks"]
    ours, naive = (f"{figure['value']:.0%}".replace("%", " %") for figure in simulated[:2])
    assert f"a plain z test calls {naive} of tests without any difference, this one {ours}" in said


def test_the_figures_of_the_readings_are_those_that_their_verdicts_give(capsys: pytest.CaptureFixture[str]) -> None:
    reading.table()
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert printed
    assert [line for line in printed if line not in (ROOT / "docs/writing.md").read_text(encoding="utf-8")] == []
