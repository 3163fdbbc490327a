"""A batcher that drains when its stage is free: no timer, no fixed size.

While the stage is busy items wait; the moment it is free, everything that waits goes in one list call. A lone item
never waits for company. It knows nothing of Ray: `call` is any coroutine function from items to results.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import Generic, TypeVar

from opentelemetry.trace import SpanContext

from deployments.tracing import Traces
from pipelines.errors import ModelUnavailable

Item = TypeVar("Item")
Result = TypeVar("Result")
logger = logging.getLogger(__name__)

# How long a caller waits for a stage whose last call got no answer, while that stage is tried again.
DOWN_PATIENCE_S = 0.1
# How long a stage must have answered nothing to count as down: so many seconds, and so many times what calls take. In a
# crowd, and for callers in a hurry, calls have little time, which says nothing about the stage.
DOWN_AFTER_S, DOWN_AFTER_CALLS = 0.5, 3.0
# How often a full queue is looked through at most: that takes the longer the more of it is alive.
CLEAR_S = 0.05
# What the last call counts in how long calls take.
NEWEST_SHARE = 0.2


class Overloaded(ModelUnavailable):
    """Too many items wait for the stage."""


class Late(ModelUnavailable):
    """The deadline of the item passed before the stage answered; `sent`: it did not only wait for its turn."""

    def __init__(self, stage: str, reason: str, *, sent: bool = False) -> None:
        super().__init__(stage, reason)
        self.sent = sent


class Failed(ModelUnavailable):
    """The stage answered with an error."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one batcher: items, characters and bytes of a call, calls in flight, items waiting."""

    max_items: int
    max_in_flight: int
    max_waiting: int
    max_characters: int | None = None
    max_bytes: int = 3_500_000


class _Group(Generic[Item, Result]):
    """The items that one caller submitted together, and the future that the caller awaits."""

    __slots__ = ("deadline", "done", "missing", "origin", "results", "sent")

    def __init__(
        self, count: int, deadline: float, done: asyncio.Future[None], origin: SpanContext | None = None
    ) -> None:
        self.results: list[Result | ModelUnavailable | None] = [None] * count
        self.missing = count
        self.deadline = deadline
        self.done = done
        self.origin = origin
        self.sent = False

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

    Where some of what waits will be too late by the time that a call takes, and some will not, only the latter is sent:
    work for those who have given up is what turns a crowd into a standstill.

    A stage whose last call got no answer is down: callers then wait only briefly, so that one model's outage does not
    use up the time of the others, while each call goes on with its whole budget and an answer ends the outage.

    Args:
        name: the stage, as it is named in `degraded`.
        call: takes (items, budget in seconds) and returns one result an item, in order.
        limits: bounds of the batcher.
        transient: errors after which the same call may be repeated once (a replica died, a connection was lost).
        size_of: bytes an item adds to a call.
        characters_of: characters an item adds to a call, which say how long it takes.
        on_batch: told the number of items and the seconds of every call, for metrics.
        fits: whether a call does what its budget allows, so that none is too short for it.
        traces: where tracing is switched on: a span for every call, linked to the requests whose items it carries.
    """

    def __init__(
        self,
        name: str,
        call: Callable[[list[Item], float], Awaitable[Sequence[Result]]],
        limits: Limits,
        *,
        transient: tuple[type[Exception], ...] = (),
        size_of: Callable[[Item], int] = lambda _: 0,
        characters_of: Callable[[Item], int] = lambda _: 0,
        on_batch: Callable[[int, float], None] = lambda _items, _seconds: None,
        fits: bool = False,
        traces: Traces | None = None,
    ) -> None:
        self.name = name
        self.limits = limits
        self._call = call
        self._transient = transient
        self._size_of = size_of
        self._characters_of = characters_of
        self._on_batch = on_batch
        self._fits = fits
        self._traces = traces
        self._waiting: deque[_Waiting[Item, Result]] = deque()
        self._in_flight = 0
        self._drain_scheduled = False
        self._down = False
        self._call_s = 0.0
        self._answered_at = self._cleared_at = -math.inf
        self._unanswered_since: float | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def in_flight(self) -> int:
        """Calls that have not been answered yet."""
        return self._in_flight

    @property
    def down(self) -> bool:
        """Whether the last call got no answer."""
        return self._down

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
        loop = asyncio.get_running_loop()
        if self._full_with(items) and loop.time() >= self._cleared_at + CLEAR_S:
            # Those who gave up wait for nothing.
            self._cleared_at = loop.time()
            self._waiting = deque(waiting for waiting in self._waiting if not waiting.group.done.done())
        if self._full_with(items):
            raise Overloaded(self.name, f"{len(self._waiting)} items wait")
        origin = None if self._traces is None else self._traces.origin()
        group: _Group[Item, Result] = _Group(len(items), deadline, loop.create_future(), origin)
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

    def _full_with(self, items: Sequence[Item]) -> bool:
        return len(self._waiting) + len(items) > self.limits.max_waiting

    def _schedule_drain(self, loop: asyncio.AbstractEventLoop) -> None:
        # One turn of the loop later, so that callers that are ready in the same turn share the call.
        if not self._drain_scheduled:
            self._drain_scheduled = True
            loop.call_soon(self._drain)

    def _expire(self, group: _Group[Item, Result]) -> None:
        for index, result in enumerate(group.results):
            if result is None:
                group.settle(index, Late(self.name, "no answer before the deadline", sent=group.sent))

    def _drain(self) -> None:
        self._drain_scheduled = False
        while self._in_flight < self.limits.max_in_flight and (batch := self._take()):
            self._in_flight += 1
            # In nobody's context: Serve ends the calls that a request began with the request, and a call is for many.
            task = asyncio.create_task(self._run(batch), context=Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _take(self) -> list[_Waiting[Item, Result]]:
        batch: list[_Waiting[Item, Result]] = []
        size = characters = 0
        most = self.limits.max_characters
        in_time = asyncio.get_running_loop().time() + self._call_s
        choosy = not self._fits and any(
            waiting.group.deadline > in_time and not waiting.group.done.done() for waiting in self._waiting
        )
        while self._waiting and len(batch) < self.limits.max_items:
            group = self._waiting[0].group
            if group.done.done() or (choosy and group.deadline <= in_time):
                self._settle([self._waiting.popleft()], [Late(self.name, "no time for a call before the deadline")])
                continue
            size += self._size_of(self._waiting[0].item)
            characters += 0 if most is None else self._characters_of(self._waiting[0].item)
            if batch and (size > self.limits.max_bytes or (most is not None and characters > most)):
                break
            group.sent = True
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
                results = await self._send(batch, budget_s)
            if len(results) != len(batch):
                raise RuntimeError(f"{self.name} returned {len(results)} results for {len(batch)} items")  # noqa: TRY301
        except TimeoutError:
            self._note_silence(started, budget_s)
            self._settle(batch, [Late(self.name, "no answer before the deadline", sent=True)] * len(batch))
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
            took_s = loop.time() - started
            self._call_s += NEWEST_SHARE * (took_s - self._call_s)
            self._on_batch(len(batch), took_s)
            self._settle(batch, results)

    async def _send(self, batch: list[_Waiting[Item, Result]], budget_s: float) -> Sequence[Result]:
        items = [waiting.item for waiting in batch]
        if self._traces is None:
            return await self._call(items, budget_s)
        origins = [waiting.group.origin for waiting in batch if waiting.group.origin is not None]
        with self._traces.call(self.name, len(items), origins):
            return await self._call(items, budget_s)

    def _note_silence(self, started: float, budget_s: float) -> None:
        if budget_s < DOWN_AFTER_S:
            return
        self._unanswered_since = self._unanswered_since or max(started, self._answered_at)
        silent_s = asyncio.get_running_loop().time() - self._unanswered_since
        if silent_s >= max(DOWN_AFTER_S, DOWN_AFTER_CALLS * self._call_s):
            self._note_down(f"no answer in {silent_s:.1f} s")

    def _note_down(self, reason: str) -> None:
        if not self._down:
            logger.warning("stage down", extra={"action": "stage_down", "stage": self.name, "reason": reason})
        self._down = True

    def _note_up(self) -> None:
        if self._down:
            logger.warning("stage back", extra={"action": "stage_back", "stage": self.name})
        self._down, self._unanswered_since = False, None
        self._answered_at = asyncio.get_running_loop().time()

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
