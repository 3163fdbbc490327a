"""What /openapi.json says is so: made-up requests, right and wrong ones, get no fault and no answer unlike its schema.

A few requests a call in every run; `make fuzz-api` makes 20,000, of them 300 to the calls that write.
"""

from __future__ import annotations

import json
import random
import uuid
from collections import Counter
from collections.abc import Callable

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.integration.conftest import Product, key_of
from tests.integration.experiment_calls import TWO

ACCOUNT = "default"
WRITERS = {"/generate", "/generate/stream", "/optimize", "/analyze-query"}
WRITERS_SHARE = 300 / 20_000
CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]


@pytest.fixture(scope="module")
def ids(product: Product) -> dict[str, list[str]]:
    """What the account has by now, so that not every path names something unknown."""
    template = {"name": uuid.uuid4().hex, "type": "t", "language": "en", "objective": "sales", "tone": "bold"}
    with product.client(ACCOUNT) as client:
        templates = client.post("/templates", json=template | {"intent": "ask", "content": "{topic}?"})
        tests = [
            client.post("/ab-test/create", json=TWO | fields)
            for fields in ({}, {"start": False}, {"design": "switchback"}, {"allocation": "bandit"})
        ]
        slots = client.post("/plan", json={"posts": [{"text": "one"}, {"text": "two"}]})
    for answer in (templates, *tests, slots):
        assert answer.status_code == 201, answer.text
    return {
        "template_id": [str(templates.json()["id"])],
        "experiment_id": [answer.json()["id"] for answer in tests],
        "slot_id": [slot["id"] for slot in slots.json()["slots"]],
        "segment": ["bread"],
    }


@pytest.fixture(scope="module")
def operations(product: Product) -> list[APIOperation]:
    config = SchemathesisConfig.from_dict({})
    document = requests.get(f"{product.url}/openapi.json", timeout=120).json()
    schema = schemathesis.openapi.from_dict(document, config=config)
    return [found.ok() for found in schema.get_all_operations()]


def n_requests(operation: APIOperation, operations: list[APIOperation], total: int) -> int:
    writers = [one for one in operations if one.path in WRITERS]
    if operation in writers:
        return max(1, round(total * WRITERS_SHARE / len(writers)))
    return max(1, round(total * (1 - WRITERS_SHARE) / (len(operations) - len(writers))))


def test_made_up_requests_are_answered_as_the_document_says(
    product: Product, operations: list[APIOperation], ids: dict[str, list[str]], request: pytest.FixtureRequest
) -> None:
    total = request.config.getoption("--fuzz-requests")
    answered: Counter[int] = Counter()
    failures: dict[str, str] = {}
    with requests.Session() as session:
        session.trust_env = False
        session.headers["x-api-key"] = key_of(ACCOUNT)
        for operation in operations:
            try:
                send = requests_to(operation, n_requests(operation, operations, total), ids)
                send(lambda case: answered.update([_answered(case, product.url, session)]))
            except (FailureGroup, AssertionError) as found:
                failures[operation.label] = str(found)
    print(f"{sum(answered.values())} requests: {dict(sorted(answered.items()))}")
    assert not failures, "\n\n".join(f"{label}\n{said}" for label, said in failures.items())
    assert sum(answered.values()) >= total * 0.9


def requests_to(operation: APIOperation, n: int, ids: dict[str, list[str]]) -> Callable[[Callable[[Case], None]], None]:
    """What hands `n` made-up requests to one call, right ones and wrong ones, to a function."""
    modes = [operation.as_strategy(generation_mode=mode) for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)]

    def all_of_them(send: Callable[[Case], None]) -> None:
        @seed(0)
        @settings(max_examples=n, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
        @given(st.one_of(*modes), st.randoms(use_true_random=False))
        def one(case: Case, chance: random.Random) -> None:
            for name in case.path_parameters or {}:
                if name in ids and chance.random() < 0.7:
                    case.path_parameters[name] = chance.choice(ids[name])
            send(case)

        one()

    return all_of_them


def _answered(case: Case, url: str, session: requests.Session) -> int:
    """The status of the answer to a request, which must be as the document says."""
    response = case.call(base_url=url, session=session, timeout=120)
    if response.status_code == 503:
        assert response.headers.get("retry-after"), "a 503 that does not say when to come back"
        assert response.headers["content-type"][0] == "application/problem+json"
    else:
        case.validate_response(response, checks=CHECKS)
    return response.status_code


def test_every_call_names_its_refusals_and_asks_for_a_key(product: Product) -> None:
    with product.client(ACCOUNT) as client:
        document = client.get("/openapi.json").json()
    assert document["security"]
    for path, calls in document["paths"].items():
        for method, operation in calls.items():
            told = set(operation["responses"])
            assert {"401", "403", "422", "429", "500", "503"} <= told, (method, path)
            assert ("requestBody" in operation) == ({"413", "415"} <= told), (method, path)
            assert "{" not in path or "404" in told, (method, path)
    for status, response in document["components"]["responses"].items():
        assert list(response["content"]) == ["application/problem+json"], status
    assert json.dumps(document).count("HTTPValidationError") == 0
