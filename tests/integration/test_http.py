"""What holds for every route: HEAD is GET without the body, and a body that is compressed is refused."""

from __future__ import annotations

import gzip
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.types import Message, Receive, Scope, Send

from deployments.http.gate import Gate
from tests.integration.conftest import caller

TEMPLATE = {
    "name": "a question",
    "type": "question",
    "language": "en",
    "objective": "engagement",
    "tone": "neutral",
    "intent": "ask",
    "content": "What about {topic}?",
}
VARIANTS = [{"name": "a"}, {"name": "b"}]


class Recorded:
    """The gate, and what it sent for the last request."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.sent: list[Message] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.sent = []

        async def noting(message: Message) -> None:
            self.sent.append(message)
            await send(message)

        await self.gate(scope, receive, noting)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


@pytest.fixture
async def made(client: httpx.AsyncClient) -> dict[str, Any]:
    """The ids of a template, a running split and a running switchback."""
    template = await client.post("/templates", json=TEMPLATE)
    split = await client.post("/ab-test/create", json={"name": "split", "variants": VARIANTS})
    turns = await client.post("/ab-test/create", json={"name": "s", "variants": VARIANTS, "design": "switchback"})
    return {"template_id": template.json()["id"], "experiment_id": split.json()["id"], "switchback": turns.json()["id"]}


def paths(gate: Gate, method: str) -> list[str]:
    """The paths of all routes that answer a method."""
    assert isinstance(gate.app, FastAPI)
    return [route.path for route in gate.app.routes if isinstance(route, APIRoute) and method in route.methods]


async def test_a_route_that_is_for_nobody_or_only_for_post_refuses_head_without_a_body(gate: Gate) -> None:
    recorded = Recorded(gate)
    client = caller(recorded, "default")

    assert ((await client.head("/nowhere")).status_code, recorded.body) == (404, b"")
    refused = await client.head("/predict")

    assert (refused.status_code, refused.headers["allow"], recorded.body) == (405, "POST", b"")


async def test_every_get_route_answers_head_with_the_same_headers_and_no_body(gate: Gate, made: dict[str, Any]) -> None:
    recorded = Recorded(gate)
    client = caller(recorded, "default")
    routes = paths(gate, "GET")
    assert len(routes) == 11

    for path in routes:
        url = path.format(**made) + ("?unit=u" if path.endswith("/assign") else "")
        get = await client.get(url)
        assert (get.status_code, recorded.body != b"") == (200, True), path

        head = await client.head(url)

        assert (head.status_code, recorded.body) == (200, b""), path
        assert head.headers == get.headers, path
        assert int(head.headers["content-length"]) == len(get.content), path


async def test_every_route_refuses_a_compressed_body_and_says_so(
    client: httpx.AsyncClient, gate: Gate, made: dict[str, Any]
) -> None:
    document = (await client.get("/openapi.json")).json()
    takers = [
        (method, path)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if "requestBody" in operation
    ]
    assert len(takers) == len([path for method in ("POST", "PUT") for path in paths(gate, method)])

    for method, path in takers:
        turned = made | {"experiment_id": made["switchback"]} if path.endswith("/posts") else made
        if path.endswith("/reallocate"):
            bandit = {"name": "bandit", "variants": VARIANTS, "allocation": "bandit"}
            turned = made | {"experiment_id": (await client.post("/ab-test/create", json=bandit)).json()["id"]}

        answer = await client.request(
            method,
            path.format(**turned),
            content=gzip.compress(b"{}"),
            headers={"content-type": "application/json", "content-encoding": "gzip"},
        )

        assert answer.status_code == 415, path
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["accept-encoding"] == "identity"
        assert "gzip" in answer.json()["detail"]


async def test_a_body_that_names_no_encoding_of_its_own_is_read(client: httpx.AsyncClient) -> None:
    answer = await client.post("/templates", json=TEMPLATE, headers={"content-encoding": "identity"})

    assert answer.status_code == 201
