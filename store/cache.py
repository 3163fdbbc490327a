"""Answers in Redis: bytes under a key, for a while. A cache that is down or slow is a miss, never an error."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Mapping
from typing import TypeVar, cast

import orjson
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

MAX_CONNECTIONS = 16
# After a failure Redis is left alone for this long; then one call probes it.
PAUSE_S = 1.0
Reply = TypeVar("Reply")
logger = logging.getLogger(__name__)


def cache_key(account_id: str, route: str, versions: Mapping[str, str], request: bytes) -> str:
    """Return account, model versions (hashed) and request (hashed); `request` is JSON with sorted keys."""
    about = orjson.dumps([account_id, route, versions], option=orjson.OPT_SORT_KEYS)
    return f"{account_id}:{_digest(about, 8)}:{_digest(request, 32)}"


def _digest(content: bytes, size: int) -> str:
    return hashlib.blake2b(content, digest_size=size).hexdigest()


class Cache:
    """A client that gives up after `timeout_s`; values live `ttl_s` seconds under `namespace`."""

    def __init__(self, url: str, *, namespace: str, ttl_s: int, timeout_s: float) -> None:
        self._redis = Redis.from_pool(
            BlockingConnectionPool.from_url(
                url,
                max_connections=MAX_CONNECTIONS,
                timeout=timeout_s,
                socket_timeout=timeout_s,
                socket_connect_timeout=timeout_s,
                # The library repeats failed calls with pauses; for a cache a miss is cheaper.
                retry=Retry(NoBackoff(), 0),
                protocol=2,
            )
        )
        self._namespace = namespace
        self._ttl_s = ttl_s
        self._timeout_s = timeout_s
        self._broken = False
        self._retry_at = 0.0

    async def get(self, key: str) -> bytes | None:
        """Return the value, or None when there is none or Redis did not answer in time."""
        if not self._may_call():
            return None
        # Typed for clients that decode as well; this one does not.
        return await self._answer(cast("Awaitable[bytes | None]", self._redis.get(self._name(key))))

    async def set(self, key: str, value: bytes) -> None:
        """Keep the value if Redis takes it in time."""
        if self._may_call():
            await self._answer(self._redis.set(self._name(key), value, ex=self._ttl_s))

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    def _name(self, key: str) -> str:
        return f"{self._namespace}:{key}"

    def _may_call(self) -> bool:
        if not self._broken:
            return True
        now = time.monotonic()
        if now < self._retry_at:
            return False
        self._retry_at = now + PAUSE_S
        return True

    async def _answer(self, call: Awaitable[Reply]) -> Reply | None:
        try:
            async with asyncio.timeout(self._timeout_s):
                reply = await call
        except (RedisError, OSError) as error:
            self._retry_at = time.monotonic() + PAUSE_S
            if not self._broken:
                logger.warning("cache out: %s", type(error).__name__, extra={"action": "cache_out"})
            self._broken = True
            return None
        if self._broken:
            logger.info("cache back", extra={"action": "cache_back"})
        self._broken = False
        return reply
