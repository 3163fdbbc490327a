"""The cache on a real Redis: a miss when it is down, slow or empty, never an error."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from store import outage
from store.cache import MAX_CONNECTIONS, Cache, cache_key
from supervisor.embedded import EmbeddedRedis

pytestmark = pytest.mark.clock


@pytest.fixture
async def nowhere(tmp_path: Path) -> AsyncIterator[Cache]:
    cache = Cache(f"unix://{tmp_path}/none.sock", namespace="test", ttl_s=60, timeout_s=0.2)
    yield cache
    await cache.close()


def kill(server: EmbeddedRedis) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    while server.running():
        time.sleep(0.01)


async def test_without_redis_everything_is_a_miss_and_the_log_says_so_once(
    nowhere: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="store.outage")

    for _ in range(50):
        await nowhere.set("key", b"value")
        assert await nowhere.get("key") is None

    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_an_outage_costs_one_failed_call_not_one_a_request(
    nowhere: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outage, "PAUSE_S", 60.0)
    connected = []
    connect = nowhere._redis.connection_pool.get_connection

    async def counted() -> object:
        connected.append(1)
        return await connect()

    monkeypatch.setattr(nowhere._redis.connection_pool, "get_connection", counted)
    for _ in range(1000):
        await nowhere.get("key")

    assert len(connected) == 1


async def test_what_is_set_is_got_back_as_the_same_bytes(cache: Cache) -> None:
    value = bytes(range(256)) * 4096

    assert await cache.get("key") is None
    await cache.set("key", value)

    assert await cache.get("key") == value


async def test_namespaces_are_apart(redis: EmbeddedRedis, cache: Cache) -> None:
    other = Cache(redis.url, namespace="other", ttl_s=60, timeout_s=0.5)
    await cache.set("key", b"mine")

    assert await other.get("key") is None
    await other.close()


async def test_a_value_is_gone_after_its_time(redis: EmbeddedRedis) -> None:
    cache = Cache(redis.url, namespace="short", ttl_s=1, timeout_s=0.5)
    await cache.set("key", b"value")
    assert await cache.get("key") == b"value"

    await asyncio.sleep(1.1)

    assert await cache.get("key") is None
    await cache.close()


async def test_many_calls_at_once_share_a_few_connections(redis: EmbeddedRedis) -> None:
    # They wait for each other, on a busy machine for longer than a request would.
    patient = Cache(redis.url, namespace=uuid.uuid4().hex, ttl_s=60, timeout_s=10)
    await patient.set("key", b"value")

    values = await asyncio.gather(*(patient.get("key") for _ in range(500)))

    await patient.close()
    assert values == [b"value"] * 500


async def test_a_killed_redis_is_a_miss_and_back_in_use_after_its_return(
    redis: EmbeddedRedis, cache: Cache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="store.outage")
    monkeypatch.setattr(outage, "PAUSE_S", 0.1)
    await cache.set("key", b"before")
    kill(redis)

    assert await cache.get("key") is None
    redis.start()
    await asyncio.sleep(0.15)
    await cache.set("key", b"after")

    assert await cache.get("key") == b"after"
    assert [record.action for record in caplog.records] == ["cache_out", "cache_back"]


async def test_a_redis_that_hangs_costs_one_timeout(redis: EmbeddedRedis, cache: Cache) -> None:
    await cache.set("key", b"value")
    assert redis.pid is not None
    os.kill(redis.pid, signal.SIGSTOP)
    try:
        started = time.perf_counter()
        assert await asyncio.gather(*(cache.get("key") for _ in range(100))) == [None] * 100
        assert await cache.get("key") is None
        # Two would be 6.
        assert time.perf_counter() - started < 5.0
    finally:
        os.kill(redis.pid, signal.SIGCONT)


async def test_who_waits_for_a_connection_to_a_redis_that_hangs_goes_without_before_those_that_hold_one(
    redis: EmbeddedRedis, cache: Cache
) -> None:
    await cache.set("key", b"value")
    assert redis.pid is not None
    os.kill(redis.pid, signal.SIGSTOP)
    try:
        calls = [asyncio.create_task(cache.get("key")) for _ in range(MAX_CONNECTIONS + 20)]
        await asyncio.wait(calls[MAX_CONNECTIONS:])
        assert not any(call.done() for call in calls[:MAX_CONNECTIONS])
        assert await asyncio.gather(*calls) == [None] * len(calls)
    finally:
        os.kill(redis.pid, signal.SIGCONT)


async def test_a_caller_that_leaves_does_not_leave_its_answer_to_the_next(cache: Cache) -> None:
    for n in range(20):
        await cache.set(f"key{n}", f"value{n}".encode())
    for n in range(19):
        leaving = asyncio.create_task(cache.get(f"key{n}"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)

    assert await cache.get("key19") == b"value19"


async def test_an_account_is_forgotten_by_its_name_and_no_other_that_its_letters_would_match(cache: Cache) -> None:
    accounts = ("a*", "ab", "[ab]", "a")
    for account in accounts:
        await cache.set(cache_key(account, "/x", {}, b"{}"), b"kept")

    assert await cache.forget("a*")
    assert await cache.forget("[ab]")

    left = [account for account in accounts if await cache.get(cache_key(account, "/x", {}, b"{}"))]
    assert left == ["ab", "a"]


async def test_a_cache_that_is_down_says_that_it_forgot_nothing(cache: Cache, redis: EmbeddedRedis) -> None:
    redis.stop()

    assert not await cache.forget("default")
