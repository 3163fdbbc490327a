"""POST /analyze-query over HTTP, through HAProxy or Serve's proxy, the five deployments, Postgres and Redis."""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from deployments.http.bodies import EXAMPLE_QUERY
from tests.serve.conftest import KEY, Cluster

pytestmark = pytest.mark.both_modes
PATH = "/analyze-query"


def fields_at_fault(response) -> list[str]:
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert {"type", "title", "status", "detail"} <= problem.keys()
    assert problem["status"] == response.status_code
    return [error["field"] for error in problem.get("errors", [])]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"query": ""}, "query"),
        ({"query": " \n "}, "query"),
        ({"query": "x" * 4001}, "query"),
        ({"query": "a\u0000b"}, "query"),
        ({"query": "bell\u0007"}, "query"),
        ({"query": 5}, "query"),
        ({"query": None}, "query"),
        ({"n_templates": "3"}, "n_templates"),
        ({"n_templates": 21}, "n_templates"),
        ({"engine": "gpt"}, "engine"),
        ({"objectives": ["fame"]}, "objectives[0]"),
        ({"objectives": "sales"}, "objectives"),
        ({"language": "fr"}, "language"),
        ({"surprise": 1}, "surprise"),
        ({"posted_at": "9999-12-31T23:59:59-12:00"}, "posted_at"),
        (
            {"history": [{"text": "a", "created_at": "2026-01-01T00:00:00Z", "likes": -1, "retweets": 0}]},
            "history[0].likes",
        ),
        (
            {"history": [{"text": "a", "created_at": "2026-01-01T00:00:00", "likes": 1, "retweets": 0}]},
            "history[0].created_at",
        ),
        (
            {"history": [{"text": "a", "created_at": "2026-01-01T00:00:00Z", "likes": 1, "retweets": 0}] * 101},
            "history",
        ),
    ],
)
def test_bad_input_is_named(cluster: Cluster, change: dict, field: str):
    with cluster.client() as client:
        response = client.post(PATH, json=EXAMPLE_QUERY | change)
    assert response.status_code == 422
    assert fields_at_fault(response) == [field]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"text"', b'{"query": "\xff\xfe"}', b'{"query": "\\ud800"}', b'{"query": NaN}']
)
def test_a_body_that_is_no_json_object_is_refused(cluster: Cluster, body: bytes):
    with cluster.client() as client:
        response = client.post(PATH, content=body, headers={"content-type": "application/json"})
    assert response.status_code == 422
    assert fields_at_fault(response)


def test_unknown_values_list_the_known_ones(cluster: Cluster):
    with cluster.client() as client:
        response = client.post(PATH, json={"query": "shoes", "objectives": ["fame"]})
    message = response.json()["errors"][0]["message"]
    for known in ("awareness", "engagement", "clicks", "sales", "signups", "community"):
        assert known in message


def test_another_media_type_is_refused(cluster: Cluster):
    with cluster.client() as client:
        assert client.post(PATH, content=json.dumps(EXAMPLE_QUERY)).status_code == 415


def test_a_body_over_the_limit_is_refused_with_and_without_a_declared_length(cluster: Cluster):
    body = json.dumps({"query": "x", "industry": "y" * 1_100_000}).encode()
    headers = {"content-type": "application/json"}
    with cluster.client() as client:
        assert client.post(PATH, content=body, headers=headers).status_code == 413
        chunks = (body[start : start + 65536] for start in range(0, len(body), 65536))
        assert client.post(PATH, content=chunks, headers=headers).status_code == 413


@pytest.mark.parametrize("key", [None, "", "wrong", KEY + "x", "ключ".encode()])
def test_a_caller_without_the_key_is_turned_away(cluster: Cluster, key):
    with cluster.client() as client:
        del client.headers["x-api-key"]
        headers = {} if key is None else {"x-api-key": key}
        response = client.post(PATH, json=EXAMPLE_QUERY, headers=headers)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert client.post(PATH, json=EXAMPLE_QUERY, headers={"authorization": f"Bearer {KEY}"}).status_code == 200


def test_an_unknown_path_and_a_wrong_method_are_problems_too(cluster: Cluster):
    with cluster.client() as client:
        missing, wrong = client.get("/nothing"), client.get(PATH)
    assert (missing.status_code, wrong.status_code) == (404, 405)
    assert fields_at_fault(missing) == fields_at_fault(wrong) == []


def test_where_the_language_model_finds_nothing_to_write_the_answer_says_what_to_give(cluster: Cluster):
    with cluster.client() as client:
        answer = client.post(PATH, json={"query": "shoes", "engine": "lm"}).json()
    assert (answer["templates"], answer["best"], answer["degraded"]) == ([], None, [])
    assert answer["notes"] == ["0 of 5 candidates: give a sentence to work with: what happens, where and when."]


async def test_the_example_is_answered_whole_and_stands_in_postgres(cluster: Cluster):
    with cluster.client() as client:
        response = client.post(PATH, json=EXAMPLE_QUERY)
    assert response.status_code == 200
    answer = response.json()
    assert answer["persisted"] is True
    assert answer["degraded"] == []
    assert answer["analysis"]["language"] == "en"
    assert answer["analysis"]["sentiment"]["label"] in {"negative", "neutral", "positive"}
    for head in ("emotion", "intent"):
        assert sum(answer["analysis"][head]["scores"].values()) == pytest.approx(1)
    assert answer["analysis"]["risks"].keys() == {"irony", "offensive"}
    assert answer["analysis"]["sentiment"]["components"].keys() == {"transformer", "vader", "textblob"}
    assert 1 <= len(answer["templates"]) <= 5
    for candidate in answer["templates"]:
        assert candidate["weighted_length"] <= 280
        assert candidate["delta"] == pytest.approx(candidate["viral_score"] - answer["viral_score"], abs=0.05)
    assert 0 <= answer["viral_score"] <= 100
    prediction = answer["prediction"]
    assert prediction["base"] + sum(prediction["contributions"].values()) == pytest.approx(
        answer["viral_score"], abs=0.2
    )
    assert set(answer["model_versions"]) == {"query_analyzer", "sentiment", "generator", "viral_predictor"}
    (row,) = await cluster.sql("SELECT * FROM analyzed_queries WHERE id = $1", uuid.UUID(answer["id"]))
    assert row["query_text"] == EXAMPLE_QUERY["query"]
    assert row["account_id"] == "default"
    assert json.loads(row["analysis_result"])["analysis"] == answer["analysis"]
    assert float(row["viral_score"]) == pytest.approx(answer["viral_score"], abs=0.005)


def test_spanish_is_read_and_not_scored_and_no_english_lexicon_speaks(cluster: Cluster):
    with cluster.client() as client:
        answer = client.post(
            PATH, json={"query": "La próxima semana lanzamos en Sevilla nuestras zapatillas ecológicas para correr."}
        ).json()
    analysis = answer["analysis"]
    assert analysis["language"] == "es"
    assert analysis["sentiment"]["components"].keys() == {"transformer"}
    assert analysis["risks"].keys() == {"offensive"}
    assert analysis["supported"]["emotion"]
    assert not analysis["supported"]["irony"]
    assert {"text": "Sevilla", "label": "LOC"}.items() <= analysis["entities"][0].items()
    assert answer["viral_score"] is None
    assert not answer["prediction"]["supported"]
    assert "`es`" in answer["prediction"]["note"]
    assert {candidate["delta"] for candidate in answer["templates"]} <= {None}
    assert answer["degraded"] == []


@pytest.mark.parametrize(
    "query",
    ["a", "👨‍👩‍👧‍👦", "'; DROP TABLE analyzed_queries; --", "{topic} | {{x}}", "é" * 4000, "<script>alert(1)</script>"],
)
def test_odd_texts_are_answered(cluster: Cluster, query: str):
    with cluster.client() as client:
        response = client.post(PATH, json={"query": query})
    assert response.status_code == 200, response.text
    assert response.json()["persisted"] is True


def test_a_decomposed_text_is_the_same_query_as_its_composed_form(cluster: Cluster):
    with cluster.client() as client:
        answers = [client.post(PATH, json={"query": text}).json() for text in ("Un cafe\u0301 nuevo", "Un café nuevo")]
    assert answers[0]["analysis"] == answers[1]["analysis"]


def test_the_request_id_of_the_caller_comes_back(cluster: Cluster):
    with cluster.client() as client:
        given = client.post(PATH, json={"query": ""}, headers={"x-request-id": "order-66"})
        made = client.get("/healthz")
    assert given.headers["x-request-id"] == "order-66"
    assert given.json()["request_id"] == "order-66"
    assert made.headers["x-request-id"]


async def test_a_repeated_post_with_an_idempotency_key_gets_the_first_answer(cluster: Cluster):
    headers = {"idempotency-key": uuid.uuid4().hex}
    body = {"query": "A query that is sent twice"}
    with cluster.client() as client:
        first = client.post(PATH, json=body, headers=headers)
        again = client.post(PATH, json=body, headers=headers)
        other = client.post(PATH, json={"query": "Another body"}, headers=headers)
        invalid = client.post(PATH, json=body, headers={"idempotency-key": "x" * 256})
    assert first.json()["persisted"] is True
    assert again.content == first.content
    assert fields_at_fault(other) == ["Idempotency-Key"]
    assert fields_at_fault(invalid) == ["Idempotency-Key"]
    rows = await cluster.sql("SELECT id FROM analyzed_queries WHERE query_text = $1", body["query"])
    assert [str(row["id"]) for row in rows] == [first.json()["id"]]


async def test_concurrent_posts_with_one_idempotency_key_make_one_row(cluster: Cluster):
    headers = {"idempotency-key": uuid.uuid4().hex}
    text = f"Sent at once {headers['idempotency-key']}"
    with cluster.client() as client, ThreadPoolExecutor(8) as pool:
        bodies = list(pool.map(lambda _: client.post(PATH, json={"query": text}, headers=headers).content, range(8)))
    assert len(set(bodies)) == 1
    assert len(await cluster.sql("SELECT 1 FROM analyzed_queries WHERE query_text = $1", text)) == 1


async def test_every_post_without_a_key_is_a_row_of_its_own_even_when_equal(cluster: Cluster):
    text = f"Equal queries {uuid.uuid4()}"
    with cluster.client() as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.post(PATH, json={"query": text}).json(), range(8)))
    assert len({answer["id"] for answer in answers}) == 8
    assert len(await cluster.sql("SELECT 1 FROM analyzed_queries WHERE query_text = $1", text)) == 8


def test_a_latency_budget_that_is_too_small_degrades_instead_of_failing(cluster: Cluster):
    with cluster.client() as client, ThreadPoolExecutor(8) as pool:
        # 8 long queries at once do not fit in the smallest budget; whatever is late is named, nothing fails.
        body = {"query": "very long words " * 240, "latency_budget_ms": 50, "n_templates": 20}
        responses = list(pool.map(lambda _: client.post(PATH, json=body), range(8)))
    assert {response.status_code for response in responses} == {200}
    for response in responses:
        answer = response.json()
        assert (answer["prediction"] is None) == ("viral_predictor" in answer["degraded"])
