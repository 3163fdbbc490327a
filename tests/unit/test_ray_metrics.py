"""What the texts of Ray's agents are read as: rates between readings, and nothing that was not said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from deployments.ray_metrics import NAMES, Node, RayMetrics, labels_of, parse, percentile_ms, unknown

ODD = 'a "b" \\ c, d="e"} 1\nf'


class Agent:
    """What the processes of one node report, as Ray's agent writes it."""

    def __init__(self, name: str = "node0000") -> None:
        self.name = name
        self.up = True
        self.restart()

    def restart(self) -> None:
        self._registry = CollectorRegistry()
        here = {"registry": self._registry}
        self.requests = Counter("ray_murmuration_requests", "", ["endpoint", "status", "deployment"], **here)
        self.seconds = Histogram("ray_murmuration_request_seconds", "", ["endpoint"], buckets=[0.1, 1.0, 10.0], **here)
        self.answers = Counter("ray_murmuration_answers", "", ["degraded"], **here)
        self.cache = Counter("ray_murmuration_cache", "", ["result"], **here)
        self.inside = Gauge("ray_murmuration_inside", "", ["replica"], **here)
        self.replicas = Gauge("ray_serve_deployment_replica_healthy", "", ["deployment", "replica"], **here)
        self.queued = Gauge("ray_serve_deployment_queued_queries", "", ["deployment", "handle"], **here)
        self.cpu = Gauge("ray_node_cpu_utilization", "", ["ip"], **here)
        self.gpu = Gauge("ray_node_gpus_utilization", "", ["GpuIndex"], **here)
        self.gpu_used = Gauge("ray_node_gram_used", "", ["GpuIndex"], **here)

    def answer(self, endpoint: str, status: str, seconds: float, times: int = 1) -> None:
        for _ in range(times):
            self.requests.labels(endpoint, status, "ingress").inc()
            self.seconds.labels(endpoint).observe(seconds)

    @property
    def text(self) -> bytes:
        return generate_latest(self._registry)


class Watched:
    """RayMetrics over agents, with a clock that is set."""

    def __init__(self, *agents: Agent) -> None:
        self.agents = agents
        self.now = 1000.0
        self._metrics = RayMetrics(self._read, lambda: self.now)

    async def _read(self) -> Sequence[Node]:
        return [Node(agent.name, False, parse(agent.text) if agent.up else None) for agent in self.agents]

    async def after(self, seconds: float) -> dict[str, Any]:
        self.now += seconds
        return await self._metrics.figures()


def series_of(text: bytes) -> list[tuple[str, Any, float]]:
    return [(*labels_of(series), value) for series, value in parse(text).items()]


def test_the_series_are_read_as_prometheus_reads_them() -> None:
    agent = Agent()
    agent.answer("/generate", "200", 0.5)
    agent.answer(ODD, "500", 20.0)
    agent.inside.labels(ODD).set(1e12)
    read = {(name, frozenset(labels.items())): value for name, labels, value in series_of(agent.text)}
    expected = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(agent.text.decode())
        for sample in family.samples
        if sample.name in NAMES
    }
    assert len(read) == 11
    assert read == expected


async def test_nothing_is_known_before_anything_was_said_and_then_it_is_null_not_zero() -> None:
    figures = await Watched(Agent()).after(0)
    assert figures["supported"]
    assert figures["requests"] == dict.fromkeys(figures["requests"])
    assert figures["answers"] == dict.fromkeys(figures["answers"])
    assert figures["inside"] is None
    assert unknown(supported=False).keys() == figures.keys()


async def test_rates_come_from_what_was_added_within_the_last_minute() -> None:
    agent = Agent()
    agent.answer("/generate", "200", 5.0, times=100)
    watched = Watched(agent)
    assert (await watched.after(0))["requests"]["per_s"] is None
    agent.answer("/generate", "200", 0.5, times=30)
    agent.answer("/predict", "503", 0.05, times=10)
    agent.answer("/readyz", "200", 0.001, times=1000)
    assert (await watched.after(5))["requests"]["per_s"] is None  # too soon to say
    figures = await watched.after(15)
    assert figures["requests"] == {
        "total": 140,
        "per_s": 2.0,
        "p50_ms": 400.0,
        "p95_ms": 940.0,
        "p99_ms": 988.0,
        "error_share": 0.25,
    }
    assert figures["window_s"] == 20.0
    for _ in range(20):
        figures = await watched.after(5)
    assert figures["requests"]["per_s"] == 0.0
    assert figures["requests"]["p50_ms"] is None
    assert figures["requests"]["error_share"] is None
    assert figures["window_s"] == 60.0


async def test_a_process_that_starts_anew_or_is_new_counts_from_nothing() -> None:
    agent = Agent()
    agent.answer("/generate", "200", 0.5, times=100)
    watched = Watched(agent)
    await watched.after(0)
    agent.restart()
    agent.answer("/generate", "200", 0.5, times=20)
    agent.answer("/compare", "200", 0.5, times=20)
    assert (await watched.after(20))["requests"]["per_s"] == 2.0


async def test_a_node_that_does_not_answer_is_shown_as_such_and_spoils_no_rate() -> None:
    here, there = Agent("node0001"), Agent("node0002")
    here.answer("/generate", "200", 0.5, times=10)
    there.answer("/generate", "200", 0.5, times=1000)
    there.cpu.labels("10.0.0.2").set(50)
    watched = Watched(here, there)
    await watched.after(0)
    there.up = False
    here.answer("/generate", "200", 0.5, times=20)
    figures = await watched.after(20)
    assert figures["requests"]["per_s"] == 1.0
    assert [node["cpu_share"] for node in figures["nodes"]] == [None, None]
    there.up = True
    figures = await watched.after(5)
    assert figures["requests"]["per_s"] == 0.8  # its thousand were before
    assert figures["requests"]["total"] == 1030
    assert figures["nodes"][1]["cpu_share"] == 0.5
    here.up = there.up = False
    assert (await watched.after(5))["requests"]["total"] is None


async def test_shares_and_gauges_are_those_of_all_nodes() -> None:
    here, there = Agent("node0001"), Agent("node0002")
    watched = Watched(here, there)
    await watched.after(0)
    for agent in (here, there):
        agent.answers.labels("no").inc(7)
        agent.cache.labels("miss").inc(2)
        agent.inside.labels("r").set(3)
        agent.replicas.labels("generator", agent.name).set(1)
        agent.queued.labels("generator", agent.name).set(2)
    figures = await watched.after(20)
    assert figures["answers"] == {"total": 14, "degraded": 0, "degraded_share": 0.0}
    assert figures["cache_hit_share"] == 0.0
    here.answers.labels("yes").inc(2)
    here.cache.labels("hit").inc(4)
    here.replicas.labels("generator", "gone").set(0)
    here.gpu.labels("0").set(25)
    here.gpu_used.labels("0").set(1024)
    figures = await watched.after(20)
    assert figures["answers"] == {"total": 16, "degraded": 2, "degraded_share": 0.125}
    assert figures["cache_hit_share"] == 0.5
    assert figures["inside"] == 6
    assert figures["deployments"] == [{"name": "generator", "replicas": 2, "ongoing": None, "queued": 4}]
    assert figures["nodes"][0]["gpus"] == [
        {"index": 0, "share": 0.25, "memory_bytes": 1024**3, "memory_total_bytes": None}
    ]
    assert figures["nodes"][1]["gpus"] == []


@pytest.mark.parametrize(
    ("buckets", "share", "expected"),
    [
        ({}, 0.5, None),
        ({"0.1": 0.0, "+Inf": 0.0}, 0.5, None),
        ({"0.1": 10.0, "1.0": 10.0, "+Inf": 10.0}, 0.5, 50.0),
        ({"0.1": 0.0, "1.0": 0.0, "+Inf": 10.0}, 0.5, 1000.0),  # it was longer, nobody knows by how much
        ({"0.1": 5.0, "1.0": 10.0, "+Inf": 10.0}, 1.0, 1000.0),
    ],
)
def test_a_percentile_is_what_prometheus_says(buckets: dict[str, float], share: float, expected: float | None) -> None:
    assert percentile_ms(buckets, share) == expected
