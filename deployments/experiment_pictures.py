"""How experiments went, and pictures of that: made in a thread, one at a time, kept until the counts change."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast
from zoneinfo import ZoneInfo

from deployments.answers import SharedCalls
from deployments.drawing import DRAWING
from deployments.experiments import read_at, read_plan, series_of
from pipelines.experiments.records import PostCounts
from pipelines.experiments.series import Series
from pipelines.records import Language
from store.experiments import ExperimentTable, StoredExperiment, UnitsInTime

if TYPE_CHECKING:
    from pipelines.experiments.picture import Kind, Subject

# Points of a series: as many as a picture shows apart.
PARTS = 40
# Pictures are some 40 KB.
MAX_KEPT = 256
Told = tuple[UnitsInTime, ...] | tuple[PostCounts, ...]
Found = TypeVar("Found")


class Pictures:
    """Series and pictures of experiments; what the store says is asked each time, equal calls in flight share it."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[object, ...], tuple[object, Any]] = OrderedDict()
        self._shared = SharedCalls()
        # Requests want the other cores.
        self._one = asyncio.Lock()

    async def series(self, table: ExperimentTable, experiment: StoredExperiment) -> Series:
        """Return how an experiment went so far.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        told = await self._told(table, experiment)
        return await self._series(experiment, told)

    async def picture(
        self,
        table: ExperimentTable,
        experiment: StoredExperiment,
        *,
        subject: Subject,
        kind: Kind,
        language: Language,
        zone: ZoneInfo,
    ) -> bytes:
        """Return a picture as PNG or SVG.

        Raises:
            StoreUnavailable: the database does not answer.
            ValueError: the experiment has no such picture; why not.
        """
        told = await self._told(table, experiment)
        found = await self._series(experiment, told)
        return await self._known(
            (experiment.id, subject, kind, language, zone.key),
            (experiment.version, told),
            lambda: _draw(found, subject, kind, language, zone),
        )

    async def _told(self, table: ExperimentTable, experiment: StoredExperiment) -> Told:
        async def ask() -> Told:
            if read_plan(experiment).design == "switchback":
                return await table.posts(experiment.id)
            # In one order, so that the same counts are known again.
            units = await table.over_time(experiment.id, read_at(experiment), PARTS)
            return tuple(sorted(units, key=repr))

        return await self._shared.run(str(experiment.id), ask)

    async def _series(self, experiment: StoredExperiment, told: Told) -> Series:
        def compute() -> Series:
            units = [one for one in told if isinstance(one, UnitsInTime)]
            posts = tuple(one for one in told if isinstance(one, PostCounts))
            return series_of(experiment, units, posts, datetime.now(UTC))

        return await self._known((experiment.id,), (experiment.version, told), compute)

    async def _known(self, key: tuple[object, ...], state: object, compute: Callable[[], Found]) -> Found:
        async with self._one:
            if (kept := self._kept.get(key)) and kept[0] == state:
                self._kept.move_to_end(key)
                return cast("Found", kept[1])
            found = await asyncio.to_thread(compute)
            self._kept[key] = (state, found)
            self._kept.move_to_end(key)
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
            return found


def _draw(found: Series, subject: Subject, kind: Kind, language: Language, zone: ZoneInfo) -> bytes:
    from pipelines.experiments.picture import draw  # noqa: PLC0415  # half a second and 30 MB, as in timing

    with DRAWING:
        return draw(found, subject, kind, language, zone)
