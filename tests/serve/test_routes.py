"""The other routes: batches, health, metrics, the description of the API, the dashboard beside it."""

import json
import os
from pathlib import Path

import httpx
import jsonschema
import pytest

from tests.readme import posts
from tests.serve.conftest import Cluster, wait_until

pytestmark = pytest.mark.both_modes
PROBLEM = "application/problem+json"


def test_one_bad_text_does_not_cost_the_others_their_results(cluster: Cluster):
    with cluster.client() as client:
        response = client.post("/analyze", json={"texts": ["I love it!", "", "I hate it!", 5]})
    assert response.status_code == 200
    body = response.json()
    assert [result is None for result in body["results"]] == [False, True, False, True]
    assert [(error["index"], error["field"]) for error in body["errors"]] == [(1, "texts[1]"), (3, "texts[3]")]
    assert body["results"][0]["sentiment"]["polarity"] > 0 > body["results"][2]["sentiment"]["polarity"]
    assert body["degraded"] == []


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/analyze", {"texts": []}, "texts"),
        ("/analyze", {"texts": ["a"] * 257}, "texts"),
        ("/analyze", {"texts": [""]}, "texts[0]"),
        ("/analyze", {"texts": ["a"], "more": 1}, "more"),
        ("/predict", {"drafts": []}, "drafts"),
        ("/predict", {"drafts": [{"text": "a"}] * 257}, "drafts"),
        ("/predict", {"drafts": [{"text": "a", "likes": 3}]}, "drafts[0].likes"),
        ("/predict", {}, "drafts"),
        ("/compare", {"pairs": []}, "pairs"),
        ("/compare", {"pairs": [{"a": "one"}]}, "pairs[0].b"),
        ("/compare", {"pairs": [{"a": "one", "b": "two", "context": "poems"}]}, "pairs[0].context"),
    ],
)
def test_a_batch_that_cannot_be_read_is_named(cluster: Cluster, path: str, body: dict, field: str):
    with cluster.client() as client:
        response = client.post(path, json=body)
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_256_texts_are_analyzed_in_one_call(cluster: Cluster):
    texts = [f"Text number {n} is great" for n in range(256)]
    with cluster.client() as client:
        body = client.post("/analyze", json={"texts": texts}).json()
    assert len(body["results"]) == 256
    assert None not in body["results"]


def test_drafts_with_the_longest_histories_are_scored_in_chunks(cluster: Cluster):
    post = {"text": "ñ" * 1500, "created_at": "2026-01-01T00:00:00Z", "likes": 3, "retweets": 1}
    body = {"drafts": [{"text": f"Draft {n}", "history": [post] * 100} for n in range(50)]}
    assert len(json.dumps(body, ensure_ascii=False).encode()) > 12 * 1024 * 1024
    with cluster.client() as client:
        response = client.post(
            "/predict",
            content=json.dumps(body, ensure_ascii=False).encode(),
            headers={"content-type": "application/json"},
        )
    assert response.status_code == 200, response.text[:300]
    results = response.json()["results"]
    assert [result["evidence"]["own_posts"] for result in results] == [100] * 50


def test_a_bad_draft_leaves_the_others_their_scores(cluster: Cluster):
    with cluster.client() as client:
        body = client.post(
            "/predict", json={"drafts": [{"text": "Good"}, {"text": "\u0007"}, {"text": "Better"}]}
        ).json()
    assert [result is None for result in body["results"]] == [False, True, False]
    assert body["errors"][0]["field"] == "drafts[1].text"
    assert body["model_version"]


def test_a_pair_gets_a_verdict_and_a_bad_one_leaves_the_others_theirs(cluster: Cluster):
    a, b = "Our report on city trees is out https://t.co/abcdefghij", "#trees #city #report #new READ NOW"
    with cluster.client() as client:
        body = client.post("/compare", json={"pairs": [{"a": a, "b": b}, {"a": a}, {"a": b, "b": a}]}).json()
    there, refused, back = body["results"]
    assert refused is None
    assert body["errors"][0]["field"] == "pairs[1].b"
    assert there["p_a"] + back["p_a"] == pytest.approx(1.0)
    assert {there["verdict"], back["verdict"]} in ({"too_close"}, {"a", "b"})
    assert there.keys() == {"p_a", "verdict", "threshold", "accuracy", "coverage", "domain", "supported"}
    assert body["model_version"]
    assert body["degraded"] == []


def test_a_pair_in_another_language_gets_no_figures(cluster: Cluster):
    pair = {"a": "Hoy abrimos la tienda nueva en el centro, ven a vernos", "b": "La tienda nueva abre hoy en el centro"}
    with cluster.client() as client:
        (result,) = client.post("/compare", json={"pairs": [pair]}).json()["results"]
    assert result["supported"] is False
    assert (result["p_a"], result["verdict"], result["accuracy"]) == (None, "too_close", None)


def test_the_service_is_alive_and_ready_without_a_key(cluster: Cluster):
    with httpx.Client(base_url=cluster.url, trust_env=False) as client:
        assert client.get("/healthz").text == "ok"
        ready = client.get("/readyz").json()
    assert (ready["ready"], ready["waiting_for"], set(ready["x_weights"])) == (True, [], {"synced_at", "stale"})


# What an experiment must be for each call of the document.
AB_TESTS = {
    "start": {"start": False},
    "stop": {},
    "conclude": {},
    "reallocate": {"allocation": "bandit"},
    "events": {},
    "posts": {"design": "switchback"},
}


def experiment_for(client: httpx.Client, call: str) -> str:
    """The id of a new experiment that takes the call."""
    two = {"name": call, "variants": [{"name": "statement"}, {"name": "question"}]}
    identity = client.post("/ab-test/create", json=two | AB_TESTS[call]).json()["id"]
    if call == "conclude":
        client.post(f"/ab-test/{identity}/stop")
    return identity


def test_the_examples_of_the_openapi_document_run_and_match_it(cluster: Cluster):
    with cluster.client() as client:
        document = client.get("/openapi.json").json()
        posts = {
            path: item["post"]
            for path, item in document["paths"].items()
            if "application/json" in item.get("post", {}).get("requestBody", {}).get("content", {})
        }
        assert {
            "/analyze-query",
            "/generate",
            "/optimize",
            "/analyze",
            "/predict",
            "/compare",
            "/templates",
        } <= posts.keys()
        assert {path for path in posts if "{" in path} == {f"/ab-test/{{experiment_id}}/{call}" for call in AB_TESTS}
        for path, operation in posts.items():
            content = operation["requestBody"]["content"]["application/json"]
            call = path.rpartition("/")[2]
            response = client.post(
                path.replace("{experiment_id}", experiment_for(client, call)) if "{" in path else path,
                json=content["example"],
            )
            (status,) = (status for status in operation["responses"] if status.startswith("2"))
            assert response.status_code == int(status), (path, response.text)
            answer = operation["responses"][status]["content"]
            if "application/json" not in answer:
                assert set(answer) == {"text/event-stream"}, path
                continue
            schema = answer["application/json"]["schema"]
            for part, value in ((content["schema"], content["example"]), (schema, response.json())):
                jsonschema.validate(value, {**part, "components": document["components"]})


async def test_metrics_tell_what_the_database_holds(cluster: Cluster):
    with cluster.client() as client:
        client.post("/analyze-query", json={"query": "One more row"})
        text = client.get("/metrics").text
    assert "murmuration_store_up 1.0" in text
    (row,) = await cluster.sql("SELECT count(*) AS n FROM content_templates")
    assert f"murmuration_stored_content_templates {float(row['n'])}" in text


def test_the_dashboard_lists_the_five_deployments_to_who_holds_the_token(cluster: Cluster):
    path = f"{cluster.dashboard_url}/api/serve/applications/"
    token = Path(os.environ.get("RAY_AUTH_TOKEN_PATH", "~/.ray/auth_token")).expanduser().read_text().strip()
    with httpx.Client(trust_env=False) as client:
        assert client.get(path).status_code == 401
        body = client.get(path, headers={"authorization": f"Bearer {token}"}).json()
    deployments = body["applications"]["murmuration"]["deployments"]
    assert set(deployments) == {"ingress", "query_analyzer", "sentiment", "generator", "viral_predictor"}


def test_only_the_generator_imports_torch(cluster: Cluster):
    loaded = {
        name: any(
            "libtorch" in entry.path for entry in cluster.processes(f"ServeReplica:murmuration:{name}")[0].memory_maps()
        )
        for name in ("ingress", "query_analyzer", "sentiment", "viral_predictor")
    }
    assert loaded == dict.fromkeys(loaded, False)


def test_what_the_readme_tells_to_post_is_answered_whole(cluster: Cluster):
    experiment = ""
    with cluster.client() as client:
        for path, body in posts():
            sent = json.dumps(body)
            if "$ID" in path:
                seen = client.get(f"/ab-test/{experiment}/assign", params={"unit": "user-1"}).json()["variant"]
                sent = sent.replace("'$SEEN'", seen)
            headers = {"content-type": "application/json"}
            response = client.post(path.replace("$ID", experiment), content=sent, headers=headers)
            if response.headers["content-type"].startswith("text/event-stream"):
                assert response.text.rstrip().rpartition("event: ")[2].startswith("done\n")
                continue
            if path == "/ab-test/create":
                experiment = response.json()["id"]
            assert not response.json().get("rejected"), response.text
            assert response.is_success, (path, response.text)
            assert response.json().get("degraded", []) == []


def test_a_request_is_found_in_the_log_by_its_id_and_its_text_is_not(cluster: Cluster):
    with cluster.client() as client:
        client.post("/analyze", json={"texts": ["\u0007 a secret launch"]}, headers={"x-request-id": "look-for-me"})
    files = [*(cluster.folder / "r" / "session_latest" / "logs" / "serve").glob("replica_murmuration_*.log")]

    def found() -> list[dict]:
        lines = [line for file in files for line in file.read_text().splitlines() if "look-for-me" in line]
        return [json.loads(line) for line in lines]

    wait_until(lambda: bool(found()), 10, "the line of the request")
    assert found()[0]["status"] == 422
    assert found()[0]["endpoint"] == "/analyze"
    assert "secret launch" not in "".join(file.read_text() for file in files)
