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
# A message comes every 5 s, and its figures may take 3 s; and one for a busy machine.
LATE_S = 9
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


def totals(seen: dict[str, Any]) -> tuple[int, int, int]:
    system = seen["system"]
    return tuple(number or 0 for number in (system["requests"]["total"], *list(system["answers"].values())[:2]))


def settled(cluster: Cluster) -> tuple[int, int, int]:
    """What was counted before, once nothing is on its way any more."""
    seen, since = totals(figures(cluster)), time.monotonic()
    while time.monotonic() - since < EXPORT_S:
        time.sleep(1)
        if (now := totals(figures(cluster))) != seen:
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
    # Those in which the totals are right: of a node that does not answer for a moment the next ones know nothing.
    seen: dict[str, Any] = {}

    def counted_all() -> bool:
        nonlocal seen
        seen = figures(cluster)
        return totals(seen) == expected

    wait_until(counted_all, 3 * EXPORT_S, f"{expected}, there were {before}")
    (counted,) = await cluster.sql(COUNTED)
    assert {name: seen["account"][name]["total"] for name in counted.keys()} == dict(counted)  # noqa: SIM118
    (experiments,) = await cluster.sql("SELECT count(*) AS n FROM experiments WHERE account_id = 'default'")
    assert sum(seen["account"]["experiments"].values()) == experiments["n"]
    system = seen["system"]
    names = {one["name"]: one for one in system["deployments"]}
    assert names.keys() == {"ingress", "query_analyzer", "sentiment", "generator", "viral_predictor"}
    assert names["sentiment"]["replicas"] == 2
    assert all(one["replicas"] >= 1 and one["queued"] is not None for one in names.values())
    (node,) = system["nodes"]
    assert node["head"]
    assert 0 < node["memory_bytes"] < node["memory_total_bytes"]
    assert 0 <= node["cpu_share"] <= 1
    rates: dict[str, Any] = {}

    def rated() -> bool:
        """A rate needs two readings: where one was missed it is that of requests from then on."""
        nonlocal rates
        with cluster.client() as client:
            assert client.post("/analyze", json={"texts": ["Good morning"]}).status_code == 200
        rates = figures(cluster)["system"]["requests"]
        return bool(rates["per_s"])

    wait_until(rated, 3 * EXPORT_S, "a rate of requests")
    assert 0 < rates["p50_ms"] <= rates["p95_ms"] <= rates["p99_ms"]
    assert rates["error_share"] == 0


async def message(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    """The next snapshot, which may not be late."""
    return orjson.loads(await asyncio.wait_for(socket.receive_str(), LATE_S))


async def test_a_client_that_comes_back_goes_on_where_it_was(cluster: Cluster) -> None:
    async with aiohttp.ClientSession(headers={"x-api-key": KEY}, trust_env=False) as session:
        address = f"{cluster.url}/ws/metrics"
        async with session.ws_connect(address) as socket:
            await message(socket)
            last = (await message(socket))["id"]
        # Two ticks, of which one has been told in any case.
        await asyncio.sleep(12)
        async with session.ws_connect(f"{address}?last={last}") as socket:
            back = await message(socket)
    assert back["resumed"]
    ids = [point["id"] for point in back["series"]]
    assert ids, "nothing was kept meanwhile"
    assert ids == sorted(ids)
    assert ids[0] == last + 5000
