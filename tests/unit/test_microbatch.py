"""The batcher alone, without Ray: what it coalesces, what it isolates, what it drops."""

import asyncio
from contextvars import ContextVar

import pytest

from deployments.microbatch import Failed, Late, Limits, MicroBatcher, Overloaded
from pipelines.errors import ModelUnavailable

pytestmark = pytest.mark.clock

LIMITS = Limits(max_items=64, max_in_flight=1, max_waiting=1000)


class Stage:
    """A stage that doubles numbers, one call at a time, and remembers its calls."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.calls: list[list[int]] = []
        self.budgets: list[float] = []
        self.seconds = seconds
        self.failures: list[Exception] = []
        self.poison: int | None = None
        self.running = self.most_running = 0

    async def __call__(self, items: list[int], budget_s: float) -> list[int]:
        self.calls.append(items)
        self.budgets.append(budget_s)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        await asyncio.sleep(self.seconds)
        self.running -= 1
        if self.failures:
            raise self.failures.pop(0)
        if self.poison in items:
            raise ValueError("poisoned")
        return [2 * item for item in items]


def soon(seconds: float = 5.0) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_an_item_whose_neighbor_breaks_the_call_still_gets_its_result():
    stage = Stage()
    stage.poison = 13
    batcher = MicroBatcher("stage", stage, LIMITS)
    results = await asyncio.gather(*(batcher.submit(n, soon()) for n in range(20)), return_exceptions=True)
    assert isinstance(results[13], Failed)
    assert [r for n, r in enumerate(results) if n != 13] == [2 * n for n in range(20) if n != 13]


async def test_an_item_that_is_late_fails_alone_and_on_time():
    batcher = MicroBatcher("stage", Stage(seconds=0.3), LIMITS)
    loop = asyncio.get_running_loop()
    started = loop.time()
    patient = asyncio.create_task(batcher.submit(1, soon(5)))
    with pytest.raises(Late):
        await batcher.submit(2, soon(0.05))
    assert loop.time() - started < 0.25
    assert await patient == 2


async def test_an_item_past_its_deadline_is_never_sent():
    stage = Stage(seconds=0.1)
    batcher = MicroBatcher("stage", stage, LIMITS)
    first = asyncio.create_task(batcher.submit(1, soon()))
    await asyncio.sleep(0.01)
    with pytest.raises(Late):
        await batcher.submit(2, soon(0.02))
    await first
    await batcher.submit(3, soon())
    assert stage.calls == [[1], [3]]


async def test_a_caller_that_leaves_drops_its_item_and_not_the_batch():
    stage = Stage(seconds=0.5)
    batcher = MicroBatcher("stage", stage, LIMITS)
    first = asyncio.create_task(batcher.submit(1, soon()))
    await asyncio.sleep(0.01)
    leaver, stayer = (asyncio.create_task(batcher.submit(n, soon())) for n in (2, 3))
    await asyncio.sleep(0.01)
    leaver.cancel()
    assert await asyncio.gather(first, stayer) == [2, 6]
    assert stage.calls == [[1], [3]]


async def test_a_call_belongs_to_none_of_its_callers():
    caller: ContextVar[str] = ContextVar("caller", default="nobody")
    seen: list[str] = []

    async def stage(items: list[int], _budget_s: float) -> list[int]:
        seen.append(caller.get())
        return items

    batcher = MicroBatcher("stage", stage, LIMITS)
    caller.set("first")
    await batcher.submit(1, soon())
    assert seen == ["nobody"]


async def test_a_lost_call_is_repeated_once():
    stage = Stage()
    stage.failures = [ConnectionError()]
    batcher = MicroBatcher("stage", stage, LIMITS, transient=(ConnectionError,))
    assert await batcher.submit(4, soon()) == 8
    assert stage.calls == [[4], [4]]


async def test_a_call_lost_twice_fails_its_items():
    stage = Stage()
    stage.failures = [ConnectionError(), ConnectionError()]
    batcher = MicroBatcher("stage", stage, LIMITS, transient=(ConnectionError,))
    with pytest.raises(Failed):
        await batcher.submit(4, soon())
    assert await batcher.submit(5, soon()) == 10


async def test_a_full_queue_refuses_at_once():
    batcher = MicroBatcher("stage", Stage(seconds=0.05), Limits(max_items=1, max_in_flight=1, max_waiting=2))
    running = [asyncio.create_task(batcher.submit(0, soon()))]
    await asyncio.sleep(0.01)
    running += [asyncio.create_task(batcher.submit(n, soon())) for n in (1, 2)]
    await asyncio.sleep(0.01)
    with pytest.raises(Overloaded):
        await batcher.submit_many([7, 8], soon())
    assert await asyncio.gather(*running) == [0, 2, 4]


async def test_those_who_gave_up_or_left_keep_nobody_from_waiting():
    batcher = MicroBatcher("stage", Stage(seconds=0.3), Limits(max_items=1, max_in_flight=1, max_waiting=2))
    running = asyncio.create_task(batcher.submit(0, soon()))
    await asyncio.sleep(0.01)
    late, leaving = (asyncio.create_task(batcher.submit(n, soon(s))) for n, s in ((1, 0.05), (2, 5)))
    await asyncio.sleep(0.01)
    leaving.cancel()
    await asyncio.wait([late, leaving])
    assert isinstance(late.exception(), Late)
    waiting = [asyncio.create_task(batcher.submit(n, soon())) for n in (3, 4)]
    await asyncio.sleep(0.01)
    with pytest.raises(Overloaded):
        await batcher.submit(5, soon())
    assert await asyncio.gather(running, *waiting) == [0, 6, 8]


async def test_a_replica_that_hangs_beside_one_that_answers_does_not_make_the_stage_count_as_down(
    caplog: pytest.LogCaptureFixture,
):
    stage = Stage(seconds=30.0)
    batcher = MicroBatcher("stage", stage, Limits(max_items=1, max_in_flight=2, max_waiting=10))
    hanging = asyncio.create_task(batcher.submit(0, soon(0.7)))
    await asyncio.sleep(0.01)
    stage.seconds = 0.01
    while not hanging.done():
        await batcher.submit(1, soon())
    assert isinstance(hanging.exception(), Late)
    assert caplog.records == []
    assert not batcher.down


async def test_a_stage_that_answers_too_few_results_fails_the_items_instead_of_shifting_them():
    async def short(items: list[int], _budget_s: float) -> list[int]:
        return items[1:]

    with pytest.raises(Failed):
        await MicroBatcher("stage", short, LIMITS).submit(1, soon())


async def test_a_stage_that_says_it_is_unavailable_is_not_asked_item_by_item():
    stage = Stage()
    stage.failures = [Overloaded("stage", "full")]
    batcher = MicroBatcher("stage", stage, LIMITS)
    results = await asyncio.gather(*(batcher.submit(n, soon()) for n in range(8)), return_exceptions=True)
    assert all(isinstance(result, ModelUnavailable) for result in results)
    assert len(stage.calls) == 1


async def test_a_lone_item_goes_at_once():
    batcher = MicroBatcher("stage", Stage(), LIMITS)
    loop = asyncio.get_running_loop()
    took = []
    for _ in range(10):
        started = loop.time()
        assert await batcher.submit(3, soon()) == 6
        took.append(loop.time() - started)
    assert min(took) < 0.05  # others share the processor


async def test_what_waits_while_the_stage_is_busy_goes_in_one_call():
    stage = Stage(seconds=0.02)
    batcher = MicroBatcher("stage", stage, LIMITS)
    first = asyncio.create_task(batcher.submit(0, soon()))
    await asyncio.sleep(0.005)
    await asyncio.gather(first, *(batcher.submit(n, soon()) for n in range(1, 33)))
    assert stage.calls == [[0], list(range(1, 33))]


async def test_callers_that_are_ready_in_the_same_turn_share_the_first_call():
    stage = Stage()
    batcher = MicroBatcher("stage", stage, LIMITS)
    await asyncio.gather(*(batcher.submit(n, soon()) for n in range(10)))
    assert stage.calls == [list(range(10))]


async def test_calls_stay_below_the_bounds_of_items_and_bytes():
    stage = Stage()
    limits = Limits(max_items=5, max_in_flight=1, max_waiting=1000, max_bytes=30)
    batcher = MicroBatcher("stage", stage, limits, size_of=lambda item: 10 if item < 100 else 1000)
    results = await batcher.submit_many([1, 2, 3, 4, 500, 6, 7], soon())
    assert results == [2, 4, 6, 8, 1000, 12, 14]
    assert stage.calls == [[1, 2, 3], [4], [500], [6, 7]]


async def test_calls_of_long_texts_carry_fewer_of_them():
    stage = Stage()
    limits = Limits(max_items=5, max_in_flight=1, max_waiting=1000, max_characters=30)
    batcher = MicroBatcher("stage", stage, limits, characters_of=lambda item: 10 if item < 100 else 1000)
    await batcher.submit_many([1, 2, 3, 4, 500, 6, 7], soon())
    assert stage.calls == [[1, 2, 3], [4], [500], [6, 7]]


async def test_the_budget_of_a_call_is_the_time_its_most_patient_item_has_left():
    stage = Stage()
    await MicroBatcher("stage", stage, LIMITS).submit(1, soon(3.0))
    assert 2.5 < stage.budgets[0] <= 3.0


async def test_as_many_calls_run_at_once_as_are_allowed():
    stage = Stage(seconds=0.05)
    batcher = MicroBatcher("stage", stage, Limits(max_items=1, max_in_flight=3, max_waiting=100))
    await asyncio.gather(*(batcher.submit(n, soon()) for n in range(6)))
    assert stage.most_running == 3


async def test_a_stage_that_is_down_costs_its_callers_little_time_until_it_answers_again(
    caplog: pytest.LogCaptureFixture,
):
    stage = Stage(seconds=1.0)
    batcher = MicroBatcher("stage", stage, LIMITS)
    loop = asyncio.get_running_loop()
    with pytest.raises(Late):
        await batcher.submit(1, soon(0.6))
    await asyncio.sleep(0.05)
    stage.seconds = 0.3
    started = loop.time()
    with pytest.raises(Late):
        await batcher.submit(2, soon(5))
    assert loop.time() - started < 0.25, "the caller did not wait for its deadline"
    await asyncio.sleep(0.4)
    assert await batcher.submit(3, soon(5)) == 6, "the call that went on has ended the outage"
    assert [record.message for record in caplog.records] == ["stage down", "stage back"]


async def know_how_long(batcher: MicroBatcher[int, int]) -> None:
    """Make as many calls as it takes for a batcher to know how long one takes."""
    for n in range(10):
        await batcher.submit(n, soon(5))


async def test_calls_that_have_less_time_than_they_take_in_a_crowd_say_nothing_about_the_stage(
    caplog: pytest.LogCaptureFixture,
):
    stage = Stage(seconds=0.3)
    batcher = MicroBatcher("stage", stage, LIMITS)
    await know_how_long(batcher)
    stage.seconds = 1.0
    with pytest.raises(Late):
        await batcher.submit(2, soon(0.6))
    assert caplog.records == []


async def test_a_stage_that_was_slow_and_then_answers_nothing_is_down_after_some_calls(
    caplog: pytest.LogCaptureFixture,
):
    stage = Stage(seconds=0.4)
    batcher = MicroBatcher("stage", stage, LIMITS)
    await know_how_long(batcher)
    stage.seconds = 30.0
    for _ in range(3):
        with pytest.raises(Late):
            await batcher.submit(2, soon(0.6))
    assert [record.message for record in caplog.records] == ["stage down"]


async def test_a_call_that_does_what_its_time_allows_is_made_however_short_that_is():
    stage = Stage(seconds=0.2)
    batcher = MicroBatcher("stage", stage, Limits(max_items=1, max_in_flight=1, max_waiting=10), fits=True)
    await know_how_long(batcher)
    with pytest.raises(Late):
        await asyncio.gather(batcher.submit(21, soon(0.1)), batcher.submit(22, soon(5)))
    assert [21] in stage.calls


async def test_one_who_left_counts_for_nothing_when_it_is_chosen_who_can_be_answered():
    stage = Stage(seconds=0.2)
    batcher = MicroBatcher("stage", stage, LIMITS)
    await know_how_long(batcher)
    running = asyncio.create_task(batcher.submit(20, soon(5)))
    await asyncio.sleep(0.02)
    leaving = asyncio.create_task(batcher.submit(21, soon(5)))
    staying = asyncio.create_task(batcher.submit(22, soon(0.3)))
    await asyncio.sleep(0.02)
    leaving.cancel()
    await asyncio.wait([running, leaving, staying])
    assert stage.calls[-1] == [22]


async def test_what_would_be_too_late_is_not_sent_while_others_can_be_answered():
    stage = Stage(seconds=0.2)
    batcher = MicroBatcher("stage", stage, LIMITS)
    await know_how_long(batcher)
    # Before the running call ends, .2 s from now, so that the next one would be too late for it.
    little_time = soon(0.3)
    running = asyncio.create_task(batcher.submit(20, soon(5)))
    await asyncio.sleep(0.02)
    late, answered = await asyncio.gather(
        batcher.submit(21, little_time), batcher.submit(22, soon(5)), return_exceptions=True
    )
    assert isinstance(late, Late)
    assert not late.sent
    assert (await running, answered) == (40, 44)
    assert stage.calls[-2:] == [[20], [22]]
    with pytest.raises(Late):
        await batcher.submit(23, soon(0.1))
    assert stage.calls[-1] == [23], "alone it is tried"


async def test_a_caller_in_a_hurry_does_not_make_the_others_impatient():
    batcher = MicroBatcher("stage", Stage(seconds=0.2), LIMITS)
    with pytest.raises(Late):
        await batcher.submit(1, soon(0.05))
    assert await batcher.submit(2, soon(5)) == 4
