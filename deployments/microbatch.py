"""A batcher that drains when its stage is free: no timer, no fixed size.

While the stage is busy items wait; the moment it is free, everything that waits goes in one list call. A lone item
never waits for company. It knows nothing of Ray: `call` is any coroutine function from items to results.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pipelines.errors import ModelUnavailable

Item = TypeVar("Item")
Result = TypeVar("Result")
logger = logging.getLogger(__name__)

# How long a caller waits for a stage whose last call got no answer, while that stage is tried again.
DOWN_PATIENCE_S = 0.1
# How long a call must have gone unanswered for its stage to count as down.
DOWN_AFTER_S = 0.5


class Overloaded(ModelUnavailable):
    """Too many items wait for the stage."""


class Late(ModelUnavailable):
    """The deadline of the item passed before the stage answered."""


class Failed(ModelUnavailable):
    """The stage answered with an error."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one batcher: items and bytes per call, calls in flight, items waiting."""

    max_items: int
    max_in_flight: int
    max_waiting: int
    max_bytes: int = 3_500_000


class _Group(Generic[Item, Result]):
    """The items that one caller submitted together, and the future that the caller awaits."""

    __slots__ = ("deadline", "done", "missing", "results")

    def __init__(self, count: int, deadline: float, done: asyncio.Future[None]) -> None:
        self.results: list[Result | ModelUnavailable | None] = [None] * count
        self.missing = count
        self.deadline = deadline
        self.done = done

    def settle(self, index: int, result: Result | ModelUnavailable) -> None:
        self.results[index] = result
        self.missing -= 1
        if self.missing == 0 and not self.done.done():
            self.done.set_result(None)


@dataclass(slots=True)
class _Waiting(Generic[Item, Result]):
    item: Item
    group: _Group[Item, Result]
    index: int


class MicroBatcher(Generic[Item, Result]):
    """Coalesces the items of concurrent callers into list calls of one stage.

    A stage whose last call got no answer is down: callers then wait only briefly, so that one model's outage does not
    use up the time of the others, while each call goes on with its whole budget and an answer ends the outage.

    Args:
        name: the stage, as it is named in `degraded`.
        call: takes (items, budget in seconds) and returns one result an item, in order.
        limits: bounds of the batcher.
        transient: errors after which the same call may be repeated once (a replica died, a connection was lost).
        size_of: bytes an item adds to a call.
        on_batch: told the number of items and the seconds of every call, for metrics.
    """

    def __init__(
        self,
        name: str,
        call: Callable[[list[Item], float], Awaitable[Sequence[Result]]],
        limits: Limits,
        *,
        transient: tuple[type[Exception], ...] = (),
        size_of: Callable[[Item], int] = lambda _: 0,
        on_batch: Callable[[int, float], None] = lambda _items, _seconds: None,
    ) -> None:
        self.name = name
        self.limits = limits
        self._call = call
        self._transient = transient
        self._size_of = size_of
        self._on_batch = on_batch
        self._waiting: deque[_Waiting[Item, Result]] = deque()
        self._in_flight = 0
        self._drain_scheduled = False
        self._down = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, item: Item, deadline: float) -> Result:
        """Return the stage's result for one item; `deadline` is in the running loop's time.

        Raises:
            ModelUnavailable: overloaded, late or failed.
        """
        (result,) = await self.submit_many([item], deadline)
        if isinstance(result, ModelUnavailable):
            raise result
        return result

    async def submit_many(self, items: Sequence[Item], deadline: float) -> list[Result | ModelUnavailable]:
        """Return one result or error for each item, in order; items may travel in different calls."""
        if not items:
            return []
        if len(self._waiting) + len(items) > self.limits.max_waiting:
            raise Overloaded(self.name, f"{len(self._waiting)} items wait")
        loop = asyncio.get_running_loop()
        group: _Group[Item, Result] = _Group(len(items), deadline, loop.create_future())
        self._waiting.extend(_Waiting(item, group, index) for index, item in enumerate(items))
        self._schedule_drain(loop)
        patience = loop.time() + DOWN_PATIENCE_S if self._down else deadline
        timer = loop.call_at(min(deadline, patience), self._expire, group)
        try:
            await group.done
        finally:
            timer.cancel()
            # A caller that left takes its items along: _take skips items of a group that is done.
            group.done.cancel()
        return group.results  # type: ignore[return-value]  # every place is settled once the group is done

    def _schedule_drain(self, loop: asyncio.AbstractEventLoop) -> None:
        # One turn of the loop later, so that callers that are ready in the same turn share the call.
        if not self._drain_scheduled:
            self._drain_scheduled = True
            loop.call_soon(self._drain)

    def _expire(self, group: _Group[Item, Result]) -> None:
        for index, result in enumerate(group.results):
            if result is None:
                group.settle(index, Late(self.name, "no answer before the deadline"))

    def _drain(self) -> None:
        self._drain_scheduled = False
        while self._in_flight < self.limits.max_in_flight and (batch := self._take()):
            self._in_flight += 1
            task = asyncio.create_task(self._run(batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _take(self) -> list[_Waiting[Item, Result]]:
        batch: list[_Waiting[Item, Result]] = []
        size = 0
        while self._waiting and len(batch) < self.limits.max_items:
            if self._waiting[0].group.done.done():
                self._waiting.popleft()
                continue
            size += self._size_of(self._waiting[0].item)
            if batch and size > self.limits.max_bytes:
                break
            batch.append(self._waiting.popleft())
        return batch

    async def _run(self, batch: list[_Waiting[Item, Result]]) -> None:
        try:
            await self._answer(batch, may_repeat=True)
        finally:
            self._in_flight -= 1
            self._drain()

    async def _answer(self, batch: list[_Waiting[Item, Result]], *, may_repeat: bool) -> None:
        batch = [waiting for waiting in batch if not waiting.group.done.done()]
        if not batch:
            return
        loop = asyncio.get_running_loop()
        started = loop.time()
        budget_s = max(waiting.group.deadline for waiting in batch) - started
        try:
            async with asyncio.timeout(budget_s):
                results = await self._call([waiting.item for waiting in batch], budget_s)
            if len(results) != len(batch):
                raise RuntimeError(f"{self.name} returned {len(results)} results for {len(batch)} items")  # noqa: TRY301
        except TimeoutError:
            # A caller in a hurry says nothing about the stage.
            if budget_s >= DOWN_AFTER_S:
                self._note_down(f"no answer in {budget_s:.1f} s")
            self._settle(batch, [Late(self.name, "no answer before the deadline")] * len(batch))
        except self._transient as error:
            logger.warning("stage call lost", extra={"action": "stage_lost", "stage": self.name, "error": repr(error)})
            if may_repeat:
                await self._answer(batch, may_repeat=False)
            else:
                self._note_down(repr(error))
                self._settle(batch, [Failed(self.name, type(error).__name__)] * len(batch))
        except ModelUnavailable as error:
            self._settle(batch, [error] * len(batch))
        except Exception as error:  # noqa: BLE001  # whatever a model raises must not take its neighbours down
            await self._isolate(batch, error)
        else:
            self._note_up()
            self._on_batch(len(batch), loop.time() - started)
            self._settle(batch, results)

    def _note_down(self, reason: str) -> None:
        if not self._down:
            logger.warning("stage down", extra={"action": "stage_down", "stage": self.name, "reason": reason})
        self._down = True

    def _note_up(self) -> None:
        if self._down:
            logger.warning("stage back", extra={"action": "stage_back", "stage": self.name})
        self._down = False

    async def _isolate(self, batch: list[_Waiting[Item, Result]], error: Exception) -> None:
        """Halve the batch until the item that breaks the call stands alone."""
        if len(batch) == 1:
            logger.warning("item refused", extra={"action": "item_refused", "stage": self.name, "error": repr(error)})
            self._settle(batch, [Failed(self.name, type(error).__name__)])
            return
        middle = len(batch) // 2
        await self._answer(batch[:middle], may_repeat=False)
        await self._answer(batch[middle:], may_repeat=False)

    @staticmethod
    def _settle(batch: list[_Waiting[Item, Result]], results: Sequence[Result | ModelUnavailable]) -> None:
        for waiting, result in zip(batch, results, strict=True):
            if waiting.group.results[waiting.index] is None:
                waiting.group.settle(waiting.index, result)
