"""Answers in Redis: bytes under a key, for a while. A cache that is down or slow is a miss, never an error."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import Awaitable, Mapping
from typing import TypeVar, cast

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from store.outage import Outage, impatient_pool

MAX_CONNECTIONS = 16
SCANNED = 1_000
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
        self._redis = Redis.from_pool(impatient_pool(url, max_connections=MAX_CONNECTIONS, timeout_s=timeout_s))
        self._namespace = namespace
        self._ttl_s = ttl_s
        self._timeout_s = timeout_s
        self._outage = Outage(out="cache out", back="cache back")

    async def get(self, key: str) -> bytes | None:
        """Return the value, or None when there is none or Redis did not answer in time."""
        if not self._outage.may_ask():
            return None
        # Typed for clients that decode as well; this one does not.
        return await self._answer(cast("Awaitable[bytes | None]", self._redis.get(self._name(key))))

    async def set(self, key: str, value: bytes) -> None:
        """Keep the value if Redis takes it in time."""
        if self._outage.may_ask():
            await self._answer(self._redis.set(self._name(key), value, ex=self._ttl_s))

    async def forget(self, account_id: str) -> bool:
        """Drop what is kept for an account; False where Redis did not let it, and then it lives its time out."""
        # In a pattern these mean something.
        named = re.sub(r"([\\*?\[\]^-])", r"\\\1", f"{self._namespace}:{account_id}:")
        try:
            async for key in self._redis.scan_iter(match=f"{named}*", count=SCANNED):
                await self._redis.unlink(key)
        except (RedisError, OSError) as error:
            logger.warning("cache not cleared: %s", type(error).__name__, extra={"action": "cache_not_cleared"})
            return False
        return True

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    def _name(self, key: str) -> str:
        return f"{self._namespace}:{key}"

    async def _answer(self, call: Awaitable[Reply]) -> Reply | None:
        try:
            async with asyncio.timeout(self._timeout_s):
                reply = await call
        except (RedisError, OSError) as error:
            self._outage.failed(error)
            return None
        self._outage.answered()
        return reply
