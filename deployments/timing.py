"""The heat maps of accounts and their pictures: made in a thread, one at a time, kept until the posts change."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast
from zoneinfo import ZoneInfo

from deployments.answers import SharedCalls
from deployments.drawing import DRAWING
from pipelines.audience.timing import MAX_POSTS, BestTimes, best_times, time_zone
from pipelines.records import Language
from store.postgres import Store

# Maps are some 40 KB, pictures 150.
MAX_KEPT = 256
Kind = TypeVar("Kind")


class Timing:
    """What was found of accounts; equal calls in flight share one computation."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, ...], tuple[tuple[object, ...], Any]] = OrderedDict()
        self._shared = SharedCalls()
        # Requests want the other cores.
        self._one = asyncio.Lock()
        # The names of the zones are read once, here and not within a request.
        time_zone("UTC")

    async def best_times(self, store: Store, account: str, zone: ZoneInfo) -> BestTimes:
        """Return the heat map of an account's latest posts.

        Raises:
            StoreUnavailable: the database does not answer.
        """

        async def compute() -> BestTimes:
            posts = await store.outcomes.posts(account, limit=MAX_POSTS, kinds=("post",))
            async with self._one:
                return await asyncio.to_thread(best_times, posts, zone)

        return await self._known(await store.plan.state_of_outcomes(account), (account, zone.key), compute)

    async def picture(self, store: Store, account: str, zone: ZoneInfo, kind: str, language: Language) -> bytes:
        """Return the heat map as PNG or SVG.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        state = await store.plan.state_of_outcomes(account)

        async def compute() -> bytes:
            found = await self.best_times(store, account, zone)
            async with self._one:
                return await asyncio.to_thread(_draw, found, kind, language)

        return await self._known(state, (account, zone.key, kind, language), compute)

    async def _known(
        self, state: tuple[object, ...], key: tuple[str, ...], compute: Callable[[], Coroutine[Any, Any, Kind]]
    ) -> Kind:
        if (kept := self._kept.get(key)) and kept[0] == state:
            self._kept.move_to_end(key)
            return cast("Kind", kept[1])
        found = await self._shared.run(repr((key, state)), compute)
        self._kept[key] = (state, found)
        self._kept.move_to_end(key)
        while len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return found


def _draw(found: BestTimes, kind: str, language: Language) -> bytes:
    from pipelines.audience.picture import draw  # noqa: PLC0415  # half a second and 30 MB that most replicas never need

    with DRAWING:
        return draw(found, "svg" if kind == "svg" else "png", language)
