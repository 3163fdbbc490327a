"""POST /generate and POST /optimize on a real cluster: what is refused, what may be posted, what is measured."""

import json
from pathlib import Path
from typing import Any

import httpx
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
        ("/generate", {"query": "shoes", "format": "essay"}, "format"),
        ("/optimize", {}, "draft"),
        ("/optimize", {"draft": ""}, "draft"),
        ("/optimize", {"draft": "shoes", "target_length": 3}, "target_length"),
        ("/optimize", {"draft": "shoes", "target_length": 4001}, "target_length"),
        ("/optimize", {"draft": "shoes", "objectives": "sales"}, "objectives"),
        ("/optimize", {"draft": "shoes", "format": "essay"}, "format"),
    ],
)
def test_what_cannot_be_read_is_named(cluster: Cluster, path: str, body: dict, field: str) -> None:
    with cluster.client() as client:
        response = client.post(path, json=body)
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]


@pytest.mark.parametrize(
    "query",
    [
        "our new eco friendly running shoes are here, they weigh 190 grams",
        "we open a bakery on Main Street on saturday, 20% off: https://example.com/bread",
        "abrimos nuestra panadería en el centro el lunes. pan recien hecho desde las 7",
    ],
)
def test_candidates_can_be_posted_as_they_are(cluster: Cluster, query: str) -> None:
    with cluster.client() as client:
        body = client.post("/generate", json={"query": query, "n": 4, "objectives": ["engagement"]}).json()
    assert body["degraded"] == []
    assert body["best"] == "candidate"
    texts = [candidate["text"] for candidate in body["candidates"]]
    assert len(set(texts)) == len(texts) > 0
    assert "edit" in {candidate["source"] for candidate in body["candidates"]}
    for candidate in body["candidates"]:
        assert weighted_length(candidate["text"]) == candidate["weighted_length"] <= 280
        assert not invents(query, candidate["text"])
        assert 0 <= candidate["p_postable"] <= 1
        assert (candidate["delta"] is None) == query.startswith("abrimos")


# What a sample holds differs from processor to processor, so that no single one is relied on.
DRAFTS = (
    "the repair cafe is back on saturday 14 march, 10am to 1pm. bring toasters and lamps. cake as usual",
    "our library opens on sundays from may, 10 to 4, with a story hour for children at 11",
    "new menu from monday: three soups, two pies and a vegan curry for 9 euros",
)


def test_the_writer_writes_beside_the_polish_and_alone_where_it_is_asked(cluster: Cluster) -> None:
    with cluster.client() as client:
        both = [client.post("/generate", json={"query": draft, "n": 8}).json() for draft in DRAFTS]
        alone = [client.post("/generate", json={"query": draft, "n": 8, "engine": "lm"}).json() for draft in DRAFTS]
        without = client.post("/analyze-query", json={"query": DRAFTS[0], "n_templates": 8}).json()
    assert all("edit" in {candidate["source"] for candidate in answer["candidates"]} for answer in both)
    assert {candidate["source"] for answer in alone for candidate in answer["candidates"]} == {"lm"}
    assert "lm" not in {candidate["source"] for candidate in without["templates"]}
    assert all(answer["degraded"] == [] for answer in (*both, *alone, without))


def test_who_has_no_time_for_the_writer_gets_the_polish_in_time(cluster: Cluster) -> None:
    query = "we r opening on monday, doors at 7"
    with cluster.client() as client:
        body = client.post("/generate", json={"query": query, "latency_budget_ms": 300}).json()
    assert body["candidates"][0]["source"] in {"edit", "template"}
    assert set(body["degraded"]) <= {"generator.lm"}


def test_a_text_that_harms_gets_nothing_but_a_finding(cluster: Cluster) -> None:
    fraud = "Send 0.1 BTC to this wallet and receive 0.2 BTC back within an hour, guaranteed."
    with cluster.client() as client:
        body = client.post("/generate", json={"query": fraud}).json()
        improved = client.post("/optimize", json={"draft": fraud}).json()
    assert (body["candidates"], body["best"]) == ([], None)
    assert body["findings"][0]["rule"] == improved["findings"][0]["rule"] == "fraud"
    assert improved["text"] == fraud


@pytest.mark.parametrize("path", ["/generate", "/optimize"])
def test_a_long_text_becomes_a_thread_where_that_is_asked(cluster: Cluster, path: str) -> None:
    long = " ".join(f"Lesson number {number}: we asked our neighbors before we planned." for number in range(1, 13))
    asked = {"query": long} if path == "/generate" else {"draft": long}
    with cluster.client() as client:
        body = client.post(path, json=asked | {"format": "thread"}).json()
    parts = (body["candidates"][0] if path == "/generate" else body)["parts"]
    assert len(parts) > 1
    assert all(weighted_length(part) <= 280 and f"{place}/{len(parts)}" in part for place, part in enumerate(parts, 1))


def test_the_same_seed_gives_the_same_candidates_and_another_others(cluster: Cluster) -> None:
    def written(client: httpx.Client, draft: str, seed: int) -> list[dict[str, Any]]:
        body = {"query": draft, "n": 8, "seed": seed, "engine": "lm"}
        candidates: list[dict[str, Any]] = client.post("/generate", json=body).json()["candidates"]
        return candidates

    with cluster.client() as client:
        first, again = ([written(client, draft, 1) for draft in DRAFTS] for _ in range(2))
        assert first == again
        assert any([written(client, draft, seed) for draft in DRAFTS] != first for seed in (2, 3, 4))


def test_an_optimized_draft_loses_with_no_step_and_keeps_its_facts(cluster: Cluster) -> None:
    with cluster.client() as client:
        body = client.post("/optimize", json={"draft": DRAFT, "objectives": ["engagement"]}).json()
        (own,) = client.post("/predict", json={"drafts": [{"text": body["text"]}]}).json()["results"]
    assert body["degraded"] == []
    assert body["steps"]
    assert all(step["delta"] >= 0 for step in body["steps"])
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
            for path, body in (
                ("/generate", {"query": text, "n": 3, "engine": "templates"}),
                ("/optimize", {"draft": text}),
            ):
                response = client.post(path, json=body)
                if response.status_code == 422:
                    continue
                assert response.status_code == 200, (path, text, response.text)
                answer = response.json()
                written = [one["text"] for one in answer.get("candidates", [])] or [answer.get("text", text)]
                assert all(not invents(text, one) for one in written), (path, text, written)


def test_an_own_template_writes_until_it_is_archived(cluster: Cluster) -> None:
    template = {
        "name": "only_mine", "type": "question", "language": "en", "objective": "community", "tone": "witty",
        "intent": "greeting", "content": "{text} A sentence that only this library has, {one|two} ways.",
    }  # fmt: skip
    brief = {
        "query": "Our new running shoes are here.",
        "n": 20,
        "engine": "templates",
        "objectives": ["community"],
        "tone": "witty",
    }
    with cluster.client() as client:
        created = client.post("/templates", json=template)
        assert created.status_code == 201, created.text
        mine = client.post("/generate", json=brief).json()["candidates"]
        assert client.delete(f"/templates/{created.json()['id']}").status_code == 204
        archived = client.post("/generate", json=brief).json()["candidates"]
    assert "only_mine" in {candidate["template"] for candidate in mine}
    assert "only_mine" not in {candidate["template"] for candidate in archived}
