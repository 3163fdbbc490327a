"""What /metrics says of the whole cluster besides row counts: read from the database, and not at every scrape."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from pipelines.experiments.decision import SRM_LEVEL
from pipelines.experiments.significance import srm
from pipelines.outcomes.x_weights import is_stale, load_snapshots
from pipelines.viral_predictor.drift import Reference, drift
from store.errors import StoreUnavailable
from store.postgres import Store

EXPERIMENTS_S, DRIFT_S = 30.0, 300.0
# Of the time at most a twentieth is spent on reading: the count of a test with millions of units takes a second.
REST = 19.0
# The newest queries, of which those count whose wording was scored.
QUERIES = 1_000
Figure = TypeVar("Figure")


@dataclass(frozen=True, kw_only=True)
class Experiments:
    """How many experiments there are in each state, and how many running splits are not as planned (srm_p)."""

    states: dict[str, int]
    mismatched: int


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The scored queries that were looked at, and the stability index of each input that enough of them tell."""

    queries: int
    psi: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Vitals:
    """The figures; None where the database did not tell. `inputs` is None without a reference, too."""

    experiments: Experiments | None
    inputs: Inputs | None
    x_weights_age_days: int
    x_weights_stale: bool


class _Kept(Generic[Figure]):
    """A figure and when it was read; callers at once share one reading."""

    def __init__(self, fresh_s: float) -> None:
        self._fresh_s = fresh_s
        self._read: Figure | None = None
        self._until = 0.0
        self._one = asyncio.Lock()

    async def of(self, load: Callable[[], Awaitable[Figure]]) -> Figure | None:
        """Return the figure, read anew where it is too old; None where the database did not tell it in time."""
        loop = asyncio.get_running_loop()
        async with self._one:
            started = loop.time()
            if started >= self._until:
                try:
                    self._read = await load()
                except StoreUnavailable:
                    self._read = None
                self._until = loop.time() + max(self._fresh_s, REST * (loop.time() - started))
            return self._read


class Watcher:
    """Keeps the figures of one replica."""

    def __init__(self, reference: Reference | None) -> None:
        """Without a `reference` of the score's inputs nothing is said of their drift."""
        self._reference = reference
        self._experiments: _Kept[Experiments] = _Kept(EXPERIMENTS_S)
        self._inputs: _Kept[Inputs] = _Kept(DRIFT_S)

    async def read(self, store: Store | None) -> Vitals:
        """Return the figures, those of experiments 30 s old, of inputs 5 minutes; None is a store that is away."""
        reference, today = self._reference, datetime.now(UTC).date()
        return Vitals(
            experiments=await self._experiments.of(lambda: _experiments(store)) if store else None,
            inputs=await self._inputs.of(lambda: _inputs(store, reference)) if store and reference else None,
            x_weights_age_days=(today - load_snapshots()[-1].date).days,
            x_weights_stale=is_stale(today),
        )


async def _experiments(store: Store) -> Experiments:
    splits = await store.vitals.splits()
    return Experiments(
        states=await store.vitals.experiments(),
        mismatched=sum(srm(units, shares) < SRM_LEVEL for units, shares in splits),
    )


async def _inputs(store: Store, reference: Reference) -> Inputs:
    scored = await store.vitals.scored(QUERIES)
    # Tens of milliseconds that requests need not wait for.
    return Inputs(queries=len(scored), psi=await asyncio.to_thread(drift, reference, scored))
