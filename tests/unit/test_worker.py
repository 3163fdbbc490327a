"""The thread of a model: one call after the other, and courtesy where it was asked for."""

import os
import sys
import threading

import pytest

from deployments.replica import Worker


async def test_an_error_reaches_the_caller_and_the_next_call_runs() -> None:
    worker = Worker()

    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await worker.run(fail)
    assert await worker.run(lambda: 3) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux schedules threads one by one")
async def test_a_nice_worker_is_nicer_than_the_thread_that_asks_it() -> None:
    def priority() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    plain, nice = await Worker().run(priority), await Worker(niceness=10).run(priority)
    assert plain == priority()
    assert nice == max(plain, 10)
