"""Limits are shared while Redis answers, kept alone while it does not, and cost a caller the timeout at most."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from store.rate_limits import SHARE, RateLimits
from supervisor.embedded import EmbeddedRedis

pytestmark = pytest.mark.clock

LIMITS = {"few": 4, "many": 1_000, "any": None}


@pytest.fixture
async def replicas(redis: EmbeddedRedis) -> AsyncIterator[list[RateLimits]]:
    namespace = uuid.uuid4().hex
    made = [RateLimits(redis.url, namespace=namespace, timeout_s=3.0, per_minute=LIMITS) for _ in range(2)]
    yield made
    for each in made:
        await each.close()
    redis.start()


async def allowed(limits: RateLimits, kind: str, times: int, who: str = "acme") -> int:
    found = [await limits.take(kind, who) for _ in range(times)]
    return sum(each is not None and each.allowed for each in found)


async def test_replicas_share_a_limit_and_callers_do_not(replicas: list[RateLimits]) -> None:
    one, two = replicas
    assert await allowed(one, "few", 3) + await allowed(two, "few", 3) == 4
    assert one.refused("few", "acme") is False
    assert two.refused("few", "acme") is True
    assert await allowed(two, "few", 1, "other") == 1


async def test_what_is_taken_at_once_is_never_more_than_the_limit(replicas: list[RateLimits]) -> None:
    passed = await asyncio.gather(*(allowed(each, "many", 1_500) for each in replicas))
    assert 1_000 - 2 * 1_000 // SHARE <= sum(passed) <= 1_000


async def test_a_flood_of_one_caller_asks_redis_ten_times_a_second_however_soon_the_next_request_would_pass(
    replicas: list[RateLimits], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = replicas[0]
    assert await allowed(one, "few", 5) == 4
    asked = []
    acquire = one._shared.get_window_stats

    async def soon_free(*arguments: Any) -> Any:
        asked.append(time.monotonic())
        stats = await acquire(*arguments)
        return stats._replace(reset_time=time.time() + 0.0005)

    monkeypatch.setattr(one._shared, "get_window_stats", soon_free)
    one._leases.clear()
    ends = time.monotonic() + 0.5
    while time.monotonic() < ends:
        assert not await allowed(one, "few", 1)
    assert 1 <= len(asked) <= 6


async def test_what_has_no_limit_is_not_counted(replicas: list[RateLimits]) -> None:
    assert await replicas[0].take("any", "acme") is None
    assert await replicas[0].take("unheard of", "acme") is None


async def test_without_redis_each_counts_for_itself_and_shares_again_when_it_is_back(
    replicas: list[RateLimits], redis: EmbeddedRedis
) -> None:
    await asyncio.to_thread(redis.stop)
    assert [await allowed(each, "few", 6) for each in replicas] == [4, 4]
    await asyncio.to_thread(redis.start)
    await asyncio.sleep(1.1)
    assert await allowed(replicas[0], "few", 1, "new") == 1
    assert replicas[0]._outage.lasts is False


async def test_a_redis_that_hangs_costs_one_caller_a_second_the_timeout(redis: EmbeddedRedis) -> None:
    limits = RateLimits(redis.url, namespace=uuid.uuid4().hex, timeout_s=0.05, per_minute=LIMITS)
    await limits.take("many", "known")
    assert redis.pid is not None
    os.kill(redis.pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        assert (await limits.take("many", "first")).allowed  # type: ignore[union-attr]
        assert time.monotonic() - started < 1.0
        started = time.monotonic()
        for number in range(100):
            assert (await limits.take("many", f"next {number}")).allowed  # type: ignore[union-attr]
        assert time.monotonic() - started < 1.0
    finally:
        os.kill(redis.pid, signal.SIGCONT)
    await limits.close()


async def test_no_number_of_callers_fills_the_memory(replicas: list[RateLimits], redis: EmbeddedRedis) -> None:
    limits = replicas[0]
    await asyncio.to_thread(redis.stop)
    limits._leases.clear()
    for number in range(300):
        await limits.take("few", str(number))
    assert len(limits._leases) == 300
    assert len(limits._memory.storage) <= 600


async def test_a_clock_that_jumps_neither_locks_out_nor_lets_in(
    replicas: list[RateLimits], monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = replicas[0]
    assert await allowed(limits, "few", 6) == 4
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert await allowed(limits, "few", 2) == 0
    assert await allowed(limits, "few", 5, "other") == 4
    monkeypatch.setattr(time, "time", lambda: 1e9)
    refused = await limits.take("few", "other")
    assert refused is not None
    assert (refused.allowed, 1 <= refused.reset_s <= 60) == (False, True)
