"""What Prometheus sees: counters of this replica through Ray, and the truth of the whole cluster from the database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from ray.serve.metrics import Counter, Histogram

LATENCY_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
BATCH_ITEMS: list[float] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]


def _tags(*names: str) -> Any:
    # Ray annotates a tuple of one name and takes any number.
    return names


class IngressMetrics:
    """Counters of one ingress replica; Ray's agent exports them with the prefix ray_."""

    def __init__(self) -> None:
        self._requests = Counter("murmuration_requests", "Requests answered.", _tags("endpoint", "status"))
        self._seconds = Histogram("murmuration_request_seconds", "Time to answer.", LATENCY_SECONDS, _tags("endpoint"))
        self._batch_items = Histogram(
            "murmuration_batch_items", "Items in one stage call.", BATCH_ITEMS, _tags("stage")
        )
        self._batch_seconds = Histogram(
            "murmuration_batch_seconds", "Time of one stage call.", LATENCY_SECONDS, _tags("stage")
        )
        self._failures = Counter("murmuration_stage_failures", "Items without an answer.", _tags("stage", "reason"))
        self._cache = Counter("murmuration_cache", "Cache look-ups.", _tags("result"))

    def response(self, endpoint: str, status: int, seconds: float) -> None:
        """One request was answered."""
        self._requests.inc(tags={"endpoint": endpoint, "status": str(status)})
        self._seconds.observe(seconds, tags={"endpoint": endpoint})

    def batch(self, stage: str, items: int, seconds: float) -> None:
        """One list call of a stage ended."""
        self._batch_items.observe(items, tags={"stage": stage})
        self._batch_seconds.observe(seconds, tags={"stage": stage})

    def failed(self, stage: str, reason: str) -> None:
        """One item of a stage got no answer."""
        self._failures.inc(tags={"stage": stage, "reason": reason})

    def cache(self, result: str) -> None:
        """One cache look-up ended as hit or miss."""
        self._cache.inc(tags={"result": result})


def cluster_truth(counts: Mapping[str, int] | None) -> bytes:
    """Render what the database knows in Prometheus' text format; None means that the database did not answer."""
    registry = CollectorRegistry()
    Gauge("murmuration_store_up", "Whether the database answered.", registry=registry).set(counts is not None)
    for name, count in (counts or {}).items():
        Gauge(f"murmuration_stored_{name}", f"Rows stored: {name}.", registry=registry).set(count)
    return generate_latest(registry)
