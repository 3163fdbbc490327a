"""What holds for every route: HEAD is GET without the body, and a body that is compressed is refused."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.types import Message, Receive, Scope, Send

from deployments.http.gate import Gate
from deployments.studio import STUDIO
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
# The parameters without which a route has no answer.
NEEDED = {"assign": "?unit=u", "plan.csv": "?tool=buffer"}
VISITS = """# Start date: 20260901
# End date: 20260930
Session manual ad content,Sessions
c1,100
"""
# It is sent nothing.
BODILESS = {"/audience/refresh"}
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
async def made(client: httpx.AsyncClient, connection: asyncpg.Connection) -> dict[str, Any]:
    """The ids of a template, a running split, a running switchback and a planned post, a segment and a tagged link."""
    template = await client.post("/templates", json=TEMPLATE)
    split = await client.post("/ab-test/create", json={"name": "split", "variants": VARIANTS})
    turns = await client.post("/ab-test/create", json={"name": "s", "variants": VARIANTS, "design": "switchback"})
    planned = await client.post("/plan", json={"posts": [{"text": "hello"}]})
    await connection.execute(
        "INSERT INTO audience_analysis (audience_segment, n, computed_at) VALUES ('bread', 50, now())"
    )
    await client.post("/links/import-ga4", content=VISITS, headers={"content-type": "text/csv"})
    return {
        "segment": "bread",
        "content": "c1",
        "template_id": template.json()["id"],
        "experiment_id": split.json()["id"],
        "switchback": turns.json()["id"],
        "slot_id": planned.json()["slots"][0]["id"],
    }


def paths(gate: Gate, method: str) -> list[str]:
    """The paths of all routes that answer a method, less the pages of the studio."""
    assert isinstance(gate.app, FastAPI)
    pages = [route for each in STUDIO for route in each.router.routes]
    routes = (route for route in gate.app.routes if isinstance(route, APIRoute) and route not in pages)
    return [route.path for route in routes if method in route.methods]


async def test_a_route_that_is_for_nobody_or_only_for_post_refuses_head_without_a_body(gate: Gate) -> None:
    recorded = Recorded(gate)
    client = caller(recorded, "default")

    assert ((await client.head("/nowhere")).status_code, recorded.body) == (404, b"")
    refused = await client.head("/predict")

    assert (refused.status_code, refused.headers["allow"], recorded.body) == (405, "POST", b"")


@pytest.mark.parametrize("path", ["..%2f..%2fpyproject.toml", "%2e%2e/write", "a/b", "/write"])
async def test_only_a_file_of_the_static_folder_is_open(client: httpx.AsyncClient, path: str) -> None:
    address = f"/studio/static/{path}"
    assert (await client.get(address)).status_code == 404
    assert (await client.get(address, headers={"x-api-key": ""})).status_code in {303, 401}


async def test_every_get_route_answers_head_with_the_same_headers_and_no_body(gate: Gate, made: dict[str, Any]) -> None:
    recorded = Recorded(gate)
    client = caller(recorded, "default")
    routes = paths(gate, "GET")
    assert len(routes) > 10

    for path in routes:
        url = path.format(**made) + NEEDED.get(path.rpartition("/")[2], "")
        get = await client.get(url)
        assert (get.status_code, recorded.body != b"") == (200, True), path

        head = await client.head(url)

        assert (head.status_code, recorded.body) == (200, b""), path
        assert head.headers == get.headers, path
        # An export is as long as it turns out to be.
        assert path == "/metrics/export" or int(head.headers["content-length"]) == len(get.content), path


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
    all_paths = [path for method in ("POST", "PUT") for path in paths(gate, method)]
    assert sorted(path for _, path in takers) == sorted(path for path in all_paths if path not in BODILESS)

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


async def test_a_body_that_stops_coming_gives_its_place_back(client: httpx.AsyncClient, gate: Gate) -> None:
    gate.body_pause_s = 0.05

    async def never_ends() -> AsyncIterator[bytes]:
        yield b'{"name": '
        await asyncio.sleep(5)
        yield b'"late"}'

    headers = {"content-type": "application/json"}
    answer = await client.post("/templates", content=never_ends(), headers=headers)

    assert (answer.status_code, answer.headers["connection"], gate.inside) == (408, "close", 0)
    assert answer.headers["content-type"] == "application/problem+json"
