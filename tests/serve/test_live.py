"""The live figures on a real cluster equal SQL and what Ray counted, and come through the balancer."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import orjson

from tests.serve.conftest import KEY, Cluster, wait_until

# A process reports every 10 s, and the figures are read every 5 s.
EXPORT_S = 20
COUNTED = """
SELECT
    count(*) AS queries,
    -- A query whose generator was down has null in its place.
    coalesce(sum(jsonb_array_length(analysis_result -> 'templates'))
        FILTER (WHERE jsonb_typeof(analysis_result -> 'templates') = 'array'), 0) AS candidates,
    count(viral_score) + coalesce(sum(jsonb_array_length(
        jsonb_path_query_array(analysis_result, '$.templates[*].viral_score ? (@ != null)'))), 0) AS predictions
FROM analyzed_queries WHERE account_id = 'default'
"""


def figures(cluster: Cluster) -> dict[str, Any]:
    with cluster.client() as client:
        return client.get("/metrics/live").json()


def totals(cluster: Cluster) -> tuple[int, int, int]:
    system = figures(cluster)["system"]
    return tuple(number or 0 for number in (system["requests"]["total"], *list(system["answers"].values())[:2]))


def settled(cluster: Cluster) -> tuple[int, int, int]:
    """What was counted before, once nothing is on its way any more."""
    seen, since = totals(cluster), time.monotonic()
    while time.monotonic() - since < EXPORT_S:
        time.sleep(1)
        if (now := totals(cluster)) != seen:
            seen, since = now, time.monotonic()
    return seen


async def test_the_figures_equal_sql_and_the_requests_that_were_made(cluster: Cluster) -> None:
    before = settled(cluster)
    text = {"text": "Our new shoes are here."}
    calls = [
        *[
            ("/analyze-query", {"query": f"We open bakery number {n} on Monday.", "engine": "templates"})
            for n in range(7)
        ],
        *[("/generate", {"query": f"We open bakery number {n} today.", "engine": "templates"}) for n in range(5)],
        *[("/predict", {"drafts": [text]})] * 4,
        *[("/analyze", {"texts": ["Good morning"]})] * 3,
        *[("/compare", {"pairs": [{"a": "Hello there", "b": "Hello, you there"}]})] * 2,
        ("/optimize", {"draft": "We made a decision: our shoes are in order to run!!!"}),
    ]
    with cluster.client() as client:
        answers = [client.post(path, json=body) for path, body in calls]
        refused = [client.post("/predict", json={}) for _ in range(3)]
        assert {answer.status_code for answer in answers} == {200}
        assert {answer.status_code for answer in refused} == {422}
        assert client.get("/readyz").status_code == 200  # a probe is none of the requests
    degraded = sum(bool(answer.json()["degraded"]) for answer in answers)
    expected = (before[0] + len(calls) + 3, before[1] + len(calls), before[2] + degraded)
    wait_until(lambda: totals(cluster) == expected, EXPORT_S, f"{expected}, there are {totals(cluster)}")
    seen = figures(cluster)
    (counted,) = await cluster.sql(COUNTED)
    assert {name: seen["account"][name]["total"] for name in counted.keys()} == dict(counted)  # noqa: SIM118
    (experiments,) = await cluster.sql("SELECT count(*) AS n FROM experiments WHERE account_id = 'default'")
    assert sum(seen["account"]["experiments"].values()) == experiments["n"]
    system = seen["system"]
    assert system["requests"]["per_s"] > 0
    assert 0 < system["requests"]["p50_ms"] <= system["requests"]["p95_ms"] <= system["requests"]["p99_ms"]
    assert system["requests"]["error_share"] == 0
    names = {one["name"]: one for one in system["deployments"]}
    assert names.keys() == {"ingress", "query_analyzer", "sentiment", "generator", "viral_predictor"}
    assert names["sentiment"]["replicas"] == 2
    assert all(one["replicas"] >= 1 and one["queued"] is not None for one in names.values())
    (node,) = system["nodes"]
    assert node["head"]
    assert 0 < node["memory_bytes"] < node["memory_total_bytes"]
    assert 0 <= node["cpu_share"] <= 1


async def message(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    """The next snapshot, which may not be late."""
    return orjson.loads(await asyncio.wait_for(socket.receive_str(), 6))


async def test_a_client_that_comes_back_goes_on_where_it_was(cluster: Cluster) -> None:
    async with aiohttp.ClientSession(headers={"x-api-key": KEY}, trust_env=False) as session:
        address = f"{cluster.url}/ws/metrics"
        async with session.ws_connect(address) as socket:
            await message(socket)
            last = (await message(socket))["id"]
        await asyncio.sleep(7)
        async with session.ws_connect(f"{address}?last={last}") as socket:
            back = await message(socket)
    assert back["resumed"]
    ids = [point["id"] for point in back["series"]]
    assert ids == sorted(ids)
    assert ids[0] == last + 5000
