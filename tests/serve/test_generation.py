"""POST /generate and POST /optimize on a real cluster: what is refused, what may be posted, what is measured."""

import json
from pathlib import Path

import pytest

from pipelines.text.facts import invents, keeps_facts
from pipelines.text.tweets import weighted_length
from tests.serve.conftest import Cluster

DRAFT = "WE ARE VERY HAPPY TO ANNOUNCE our new running shoes!!! Only 50 pairs, not in stores. #shoes #run #new"
LONG = "Our new running shoes are here. " * 4 + "They cost $80 at https://example.com/shoes. " + "They are light. " * 12


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/generate", {}, "query"),
        ("/generate", {"query": "shoes", "n": 0}, "n"),
        ("/generate", {"query": "shoes", "n": 21}, "n"),
        ("/generate", {"query": "shoes", "engine": "gpt"}, "engine"),
        ("/generate", {"query": "shoes", "objectives": ["fame"]}, "objectives[0]"),
        ("/generate", {"query": "shoes", "tone": "loud"}, "tone"),
        ("/generate", {"query": "shoes", "seed": -1}, "seed"),
        ("/generate", {"query": "shoes", "n_templates": 3}, "n_templates"),
        ("/generate", {"query": "shoes", "engine": "lm"}, "engine"),
        ("/optimize", {}, "draft"),
        ("/optimize", {"draft": ""}, "draft"),
        ("/optimize", {"draft": "shoes", "target_length": 3}, "target_length"),
        ("/optimize", {"draft": "shoes", "target_length": 281}, "target_length"),
        ("/optimize", {"draft": "shoes", "objectives": "sales"}, "objectives"),
    ],
)
def test_what_cannot_be_read_is_named(cluster: Cluster, path: str, body: dict, field: str) -> None:
    with cluster.client() as client:
        response = client.post(path, json=body)
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_a_language_model_that_is_not_configured_is_no_degradation_but_says_what_to_set(cluster: Cluster) -> None:
    with cluster.client() as client:
        problem = client.post("/generate", json={"query": "shoes", "engine": "lm"}).json()
    assert "args.language_model" in problem["detail"]
    assert "serve_config.yaml" in problem["detail"]


@pytest.mark.parametrize(
    ("query", "language"),
    [
        ("our new eco-friendly running shoes", "en"),
        ("We open a bakery on Main Street on Saturday, 20% off: https://example.com/bread", "en"),
        ("nuestra nueva panadería en el centro", "es"),
    ],
)
def test_candidates_can_be_posted_as_they_are(cluster: Cluster, query: str, language: str) -> None:
    with cluster.client() as client:
        body = client.post("/generate", json={"query": query, "n": 4, "objectives": ["engagement"]}).json()
    assert body["degraded"] == []
    assert len(body["candidates"]) == 4 or body["notes"]
    texts = [candidate["text"] for candidate in body["candidates"]]
    assert len(set(texts)) == len(texts) > 0
    for candidate in body["candidates"]:
        assert weighted_length(candidate["text"]) == candidate["weighted_length"] <= 280
        assert not invents(query, candidate["text"])
        assert candidate["source"] == "template"
        assert (candidate["fluency"] is None) == (language == "es")
    scores = [candidate["viral_score"] for candidate in body["candidates"]]
    assert scores == sorted(scores, reverse=True)


def test_the_same_seed_gives_the_same_candidates_and_another_others(cluster: Cluster) -> None:
    with cluster.client() as client:
        first, again, other = (
            client.post("/generate", json={"query": "our new running shoes", "n": 5, "seed": seed}).json()
            for seed in (1, 1, 2)
        )
    assert first["candidates"] == again["candidates"]
    assert first["candidates"] != other["candidates"]


def test_an_optimized_draft_gains_with_every_step_and_keeps_its_facts(cluster: Cluster) -> None:
    with cluster.client() as client:
        body = client.post("/optimize", json={"draft": DRAFT, "objectives": ["engagement"]}).json()
        (own,) = client.post("/predict", json={"drafts": [{"text": body["text"]}]}).json()["results"]
    assert body["degraded"] == []
    assert body["steps"]
    assert all(step["delta"] > 0 for step in body["steps"])
    assert body["viral_score"] == pytest.approx(own["viral_score"])
    assert body["viral_score"] - body["original_score"] == pytest.approx(sum(step["delta"] for step in body["steps"]))
    assert keeps_facts(DRAFT, body["text"])
    assert body["target_reached"] is None


def test_a_draft_that_x_would_not_take_is_shortened_first(cluster: Cluster) -> None:
    with cluster.client() as client:
        body = client.post("/optimize", json={"draft": LONG}).json()
    assert body["steps"][0]["edit"] == "shorten"
    assert weighted_length(body["text"]) <= 280
    assert "https://example.com/shoes" in body["text"]
    assert body["target_reached"] is True


def test_hostile_texts_come_back_as_data(cluster: Cluster) -> None:
    strings = json.loads((Path(__file__).parents[1] / "injections.json").read_text())
    hostile = [row["text"] for row in strings if row["where"] in {"query", "draft"} and "refused" not in row][:20]
    with cluster.client() as client:
        for text in hostile:
            for path, body in (("/generate", {"query": text, "n": 3}), ("/optimize", {"draft": text})):
                response = client.post(path, json=body)
                if response.status_code == 422:
                    continue
                assert response.status_code == 200, (path, text, response.text)
                answer = response.json()
                written = [candidate["text"] for candidate in answer.get("candidates", [])] or [
                    answer.get("text", text)
                ]
                assert all(not invents(text, one) for one in written), (path, text, written)


def test_an_own_template_writes_until_it_is_archived(cluster: Cluster) -> None:
    template = {
        "name": "only_mine", "type": "question", "language": "en", "objective": "community", "tone": "witty",
        "intent": "greeting", "content": "{Headline}: a sentence that only this library has, {one|two} ways.",
    }  # fmt: skip
    brief = {"query": "our new running shoes", "n": 20, "objectives": ["community"], "tone": "witty"}
    with cluster.client() as client:
        created = client.post("/templates", json=template)
        assert created.status_code == 201, created.text
        mine = client.post("/generate", json=brief).json()["candidates"]
        assert client.delete(f"/templates/{created.json()['id']}").status_code == 204
        archived = client.post("/generate", json=brief).json()["candidates"]
    assert "only_mine" in {candidate["template"] for candidate in mine}
    assert "only_mine" not in {candidate["template"] for candidate in archived}
