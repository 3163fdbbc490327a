"""What Ray says of the whole cluster: the metrics of every node's agent, as the figures that people watch.

Ray's processes report to the agent of their node every ten seconds, so that a rate needs two readings further apart.
What Ray does not say is None.
"""

from __future__ import annotations

import asyncio
import http.client
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import ray

READ_TIMEOUT_S = 2.0
WINDOW_S, LEAST_WINDOW_S = 60.0, 10.0
# Whoever asks whether we are there, or takes a file of a page, is no use of the product.
PROBES = frozenset({"/healthz", "/readyz", "/metrics", "/metrics/live", "/studio/static/{name}"})
REQUESTS, SECONDS = "ray_murmuration_requests_total", "ray_murmuration_request_seconds_bucket"
ANSWERS, CACHE = "ray_murmuration_answers_total", "ray_murmuration_cache_total"
INSIDE = "ray_murmuration_inside"
REPLICAS = "ray_serve_deployment_replica_healthy"
ONGOING, QUEUED = "ray_serve_replica_processing_queries", "ray_serve_deployment_queued_queries"
CPU, CPUS = "ray_node_cpu_utilization", "ray_node_cpu_count"
MEMORY, MEMORY_TOTAL = "ray_node_mem_used", "ray_node_mem_total"
GPU, GPU_MEMORY, GPU_MEMORY_FREE = "ray_node_gpus_utilization", "ray_node_gram_used", "ray_node_gram_available"
NAMES = (
    *(REQUESTS, SECONDS, ANSWERS, CACHE, INSIDE, REPLICAS, ONGOING, QUEUED, CPU, CPUS, MEMORY, MEMORY_TOTAL),
    *(GPU, GPU_MEMORY, GPU_MEMORY_FREE),
)
WANTED = tuple(name.encode() + b"{" for name in NAMES)
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
ESCAPED = re.compile(r"\\(.)")
# One line of an agent's text before its value: the name with its labels.
Series = bytes


@dataclass(frozen=True, slots=True)
class Node:
    """One node of the cluster as its agent answered; `series` is None where it did not."""

    name: str
    head: bool
    series: Mapping[Series, float] | None


ReadNodes = Callable[[], Awaitable[Sequence[Node]]]


async def read_nodes() -> list[Node]:
    """Read the agents of all nodes that are alive, each on a thread: a node's text is a megabyte."""
    nodes = [node for node in await asyncio.to_thread(ray.nodes) if node["Alive"]]
    texts = await asyncio.gather(
        *(asyncio.to_thread(_read, node["NodeManagerAddress"], node["MetricsExportPort"]) for node in nodes)
    )
    return [
        Node(node["NodeID"][:8], "node:__internal_head__" in node["Resources"], series)
        for node, series in zip(nodes, texts, strict=True)
    ]


def _read(host: str, port: int) -> dict[Series, float] | None:
    connection = http.client.HTTPConnection(host, port, timeout=READ_TIMEOUT_S)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        return parse(answer.read()) if answer.status == http.client.OK else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def parse(text: bytes) -> dict[Series, float]:
    """Return the series of Prometheus' text format that figures are made of; the rest is never looked at.

    Not prometheus_client's parser: it takes a quarter of a millisecond for a line of Ray's, which carry a dozen labels.
    """
    lines = (line.rpartition(b" ") for line in text.split(b"\n") if line.startswith(WANTED))
    return {series: float(value) for series, _, value in lines}


@lru_cache(maxsize=16_384)
def labels_of(series: Series) -> tuple[str, Mapping[str, str]]:
    """The name of a series and its labels."""
    name, _, labels = series.decode(errors="replace").partition("{")
    return name, {label: ESCAPED.sub(_unescaped, value) for label, value in LABEL.findall(labels)}


def _unescaped(escaped: re.Match[str]) -> str:
    return "\n" if escaped[1] == "n" else escaped[1]


class RayMetrics:
    """Keeps the readings of the last minute, and says what they mean."""

    def __init__(self, read: ReadNodes = read_nodes, clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._readings: dict[str, deque[tuple[float, Mapping[Series, float]]]] = {}

    async def figures(self) -> dict[str, Any]:
        """Read every node, and return the figures of the cluster; docs/api.md says what each is."""
        nodes, now = await self._read(), self._clock()
        heard = [node for node in nodes if node.series is not None]
        for node in heard:
            readings = self._readings.setdefault(node.name, deque())
            readings.append((now, node.series or {}))
            # The oldest that stays is as old as the window.
            while len(readings) > 1 and readings[0][0] < now - WINDOW_S:
                readings.popleft()
        self._readings = {node.name: self._readings[node.name] for node in heard}
        recent, window_s = self._recent(now)
        totals = _Sums([node.series or {} for node in heard]) if heard else None
        return _figures(totals, recent, window_s) | {"nodes": [_node(node) for node in nodes]}

    def _recent(self, now: float) -> tuple[_Sums | None, float | None]:
        """What was added since the oldest reading of each node, and for how long that is; None where that is short."""
        added, spans = [], []
        for readings in self._readings.values():
            (then, before), (_, latest) = readings[0], readings[-1]
            if now - then >= LEAST_WINDOW_S:
                added.append({series: _added(value, before.get(series, 0.0)) for series, value in latest.items()})
                spans.append(now - then)
        return (_Sums(added), round(max(spans), 1)) if spans else (None, None)


def unknown(*, supported: bool) -> dict[str, Any]:
    """The figures where nothing is known; not `supported` outside of Ray."""
    return _figures(None, None, None) | {"supported": supported}


def _figures(totals: _Sums | None, recent: _Sums | None, window_s: float | None) -> dict[str, Any]:
    return {
        "supported": True,
        "window_s": window_s,
        "requests": _requests(totals, recent, window_s),
        "answers": _answers(totals, recent),
        "cache_hit_share": _share(recent, CACHE, lambda labels: labels["result"] == "hit"),
        "inside": totals.whole(INSIDE) if totals else None,
        "deployments": _deployments(totals),
        "nodes": [],
    }


def _added(value: float, before: float) -> float:
    """What a counter gained; below what it was, its process started anew."""
    return value - before if value >= before else value


class _Sums:
    """Series of several nodes by name, to be summed over the labels that a figure does not tell apart."""

    def __init__(self, nodes: Sequence[Mapping[Series, float]]) -> None:
        self._by_name: dict[str, list[tuple[Mapping[str, str], float]]] = {}
        for series in nodes:
            for line, value in series.items():
                name, labels = labels_of(line)
                if labels.get("endpoint") not in PROBES:
                    self._by_name.setdefault(name, []).append((labels, value))

    def all(self, name: str, where: Callable[[Mapping[str, str]], bool] = lambda _: True) -> float | None:
        """The sum of a metric; None where nobody tells it."""
        values = [value for labels, value in self._by_name.get(name, ()) if where(labels)]
        return sum(values) if values else None

    def whole(self, name: str) -> int | None:
        """The sum of a metric that counts things."""
        return _whole(self.all(name))

    def by(self, name: str, label: str) -> dict[str, float]:
        """The sum of a metric for each value of a label."""
        sums: dict[str, float] = {}
        for labels, value in self._by_name.get(name, ()):
            sums[labels[label]] = sums.get(labels[label], 0.0) + value
        return sums


def _requests(totals: _Sums | None, recent: _Sums | None, window_s: float | None) -> dict[str, float | None]:
    gained = recent.all(REQUESTS) if recent else None
    buckets = recent.by(SECONDS, "le") if recent else {}
    p50, p95, p99 = (percentile_ms(buckets, share) for share in (0.5, 0.95, 0.99))
    return {
        "total": totals.whole(REQUESTS) if totals else None,
        "per_s": round(gained / window_s, 2) if gained is not None and window_s else None,
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "error_share": _share(recent, REQUESTS, lambda labels: labels["status"] >= "500"),
    }


def _answers(totals: _Sums | None, recent: _Sums | None) -> dict[str, float | None]:
    def lacked(labels: Mapping[str, str]) -> bool:
        return labels["degraded"] == "yes"

    given = totals.whole(ANSWERS) if totals else None
    return {
        "total": given,
        # A counter that was never raised is exported by nobody.
        "degraded": int(totals.all(ANSWERS, lacked) or 0) if totals and given is not None else None,
        "degraded_share": _share(recent, ANSWERS, lacked),
    }


def _share(sums: _Sums | None, name: str, where: Callable[[Mapping[str, str]], bool]) -> float | None:
    """The share of a metric's gain that has certain labels; None where it gained nothing."""
    everything = sums.all(name) if sums else None
    if sums is None or not everything:
        return None
    return round((sums.all(name, where) or 0.0) / everything, 4)


def percentile_ms(buckets: Mapping[str, float], share: float) -> float | None:
    """A percentile of a histogram in milliseconds, as Prometheus' histogram_quantile has it; None where it is empty.

    Args:
        buckets: upper bound in seconds, "+Inf" the last -> how many were at most that.
        share: in (0, 1].
    """
    bounds = sorted((float(bound), count) for bound, count in buckets.items())
    if not bounds or bounds[-1][1] <= 0:
        return None
    rank = share * bounds[-1][1]
    low, below = 0.0, 0.0
    for bound, count in bounds:
        if count >= rank:
            # Nothing says how far beyond the last bound they are.
            seconds = low if bound == float("inf") else low + (bound - low) * (rank - below) / (count - below)
            return round(seconds * 1000, 1)
        low, below = bound, count
    return None


def _deployments(totals: _Sums | None) -> list[dict[str, Any]]:
    if totals is None:
        return []
    replicas, ongoing, queued = (totals.by(name, "deployment") for name in (REPLICAS, ONGOING, QUEUED))
    return [
        {
            "name": name,
            "replicas": int(replicas[name]),
            "ongoing": _whole(ongoing.get(name)),
            "queued": _whole(queued.get(name)),
        }
        for name in sorted(replicas)
    ]


def _node(node: Node) -> dict[str, Any]:
    sums = _Sums([node.series]) if node.series is not None else None
    cpu = sums.all(CPU) if sums else None
    return {
        "name": node.name,
        "head": node.head,
        "cpu_share": round(cpu / 100, 4) if cpu is not None else None,
        "cpus": sums.whole(CPUS) if sums else None,
        "memory_bytes": sums.whole(MEMORY) if sums else None,
        "memory_total_bytes": sums.whole(MEMORY_TOTAL) if sums else None,
        "gpus": list(_gpus(sums)) if sums else [],
    }


def _gpus(sums: _Sums) -> Iterator[dict[str, Any]]:
    shares, used, free = (sums.by(name, "GpuIndex") for name in (GPU, GPU_MEMORY, GPU_MEMORY_FREE))
    for index in sorted(shares, key=int):
        # Ray says megabytes.
        memory, left = used.get(index), free.get(index)
        yield {
            "index": int(index),
            "share": round(shares[index] / 100, 4),
            "memory_bytes": None if memory is None else int(memory * 1024**2),
            "memory_total_bytes": None if memory is None or left is None else int((memory + left) * 1024**2),
        }


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
