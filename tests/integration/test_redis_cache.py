"""The cache on a real Redis: a miss when it is down, slow or empty, never an error."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from store import cache as caching
from store.cache import Cache
from supervisor.embedded import EmbeddedRedis


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
    caplog.set_level(logging.INFO, logger="store.cache")

    for _ in range(50):
        await nowhere.set("key", b"value")
        assert await nowhere.get("key") is None

    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_an_outage_costs_one_failed_call_not_one_a_request(
    nowhere: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caching, "PAUSE_S", 60.0)
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


async def test_many_calls_at_once_share_a_few_connections(cache: Cache) -> None:
    await cache.set("key", b"value")

    values = await asyncio.gather(*(cache.get("key") for _ in range(500)))

    assert values == [b"value"] * 500


async def test_a_killed_redis_is_a_miss_and_back_in_use_after_its_return(
    redis: EmbeddedRedis, cache: Cache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="store.cache")
    monkeypatch.setattr(caching, "PAUSE_S", 0.1)
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
        assert time.perf_counter() - started < 3.0
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
