"""What Prometheus sees: counters of this replica through Ray, and the truth of the whole cluster from the database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

import prometheus_client
from prometheus_client import CollectorRegistry, generate_latest
from ray.serve.metrics import Counter, Gauge, Histogram

from deployments.vitals import Vitals
from pipelines.experiments.records import State

LATENCY_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
INSIDE_EVERY_S = 1.0
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
        self._answers = Counter("murmuration_answers", "Answers that say what was missing.", _tags("degraded"))
        self._degraded = Counter("murmuration_degraded", "Answers that lacked a part.", _tags("part"))
        self._inside = Gauge("murmuration_inside", "Requests that this replica works on.")

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

    def answered(self, degraded: Sequence[str]) -> None:
        """One answer was given; `degraded` lists the parts that it lacked."""
        self._answers.inc(tags={"degraded": "yes" if degraded else "no"})
        for part in degraded:
            self._degraded.inc(tags={"part": part})

    async def watch_inside(self, inside: Callable[[], int]) -> None:
        """Tell every second how many requests are inside, until cancelled; Ray forgets what is not told again."""
        while True:
            self._inside.set(inside())
            await asyncio.sleep(INSIDE_EVERY_S)


def cluster_truth(counts: Mapping[str, int] | None, vitals: Vitals) -> bytes:
    """Render what the database knows in Prometheus' text format; None means that the database did not answer.

    What is not known has no sample: an input that too few queries tell, experiments while the database is away.
    """
    registry = CollectorRegistry()
    up = prometheus_client.Gauge("murmuration_store_up", "Whether the database answered.", registry=registry)
    up.set(counts is not None)
    for name, count in (counts or {}).items():
        rows = prometheus_client.Gauge(f"murmuration_stored_{name}", f"Rows stored: {name}.", registry=registry)
        rows.set(count)
    _render(vitals, registry)
    return generate_latest(registry)


def _render(vitals: Vitals, registry: CollectorRegistry) -> None:
    def gauge(name: str, help_text: str, *labels: str) -> prometheus_client.Gauge:
        return prometheus_client.Gauge(f"murmuration_{name}", help_text, labels, registry=registry)

    experiments = gauge("experiments", "Experiments by state.", "state")
    if vitals.experiments:
        for state in get_args(State):
            experiments.labels(state).set(vitals.experiments.states.get(state, 0))
        mismatched = gauge("experiments_sample_ratio_mismatch", "Running split tests whose units are not as planned.")
        mismatched.set(vitals.experiments.mismatched)
    psi = gauge("input_psi", "Drift of an input of the score since training: population stability index.", "input")
    if vitals.inputs:
        gauge("input_queries", "The newest scored queries, which drift is told from.").set(vitals.inputs.queries)
        for name, value in vitals.inputs.psi.items():
            psi.labels(name).set(value)
    gauge("x_weights_age_days", "Days since X's published weights were read.").set(vitals.x_weights_age_days)
    gauge("x_weights_stale", "Whether they are too old to rely on.").set(vitals.x_weights_stale)
