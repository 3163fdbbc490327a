"""How many requests a minute each caller has left, counted in Redis for all replicas together.

The library `limits` counts (a sliding window); its Redis is asked for many requests at once, so that a request costs no
round trip. While Redis is down or slow each replica counts for itself.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.exceptions import RedisError

from store.outage import Outage, impatient_pool

MAX_CONNECTIONS = 8
WINDOW_S = 60
# Of a limit one replica takes this share at once, and gives up what it did not use after so long: at most 6 % of the
# limit is lost that way for each replica.
SHARE, LEASE_S = 100, 10.0
# A caller that was refused is refused without asking Redis again until something is free, in these bounds.
REFUSED_S, REFUSED_AT_LEAST_S = 1.0, 0.1
MAX_CALLERS = 10_000


@dataclass(frozen=True, slots=True)
class Allowance:
    """Whether a request may pass; of the `limit` a minute about `remaining` are left, and more in `reset_s` seconds."""

    allowed: bool
    limit: int
    remaining: int
    reset_s: int


@dataclass(slots=True)
class _Lease:
    """What a replica may let pass without asking; `others` is what is left beside it. Times are monotonic."""

    left: int = 0
    others: int = 0
    reset_at: float = 0.0
    until: float = 0.0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class RateLimits:
    """Counts requests a minute of callers.

    Args:
        url: of Redis.
        namespace: in front of its keys.
        timeout_s: how long Redis may take at most for one caller.
        per_minute: the limit of each kind of request; None for none.
    """

    def __init__(self, url: str, *, namespace: str, timeout_s: float, per_minute: Mapping[str, int | None]) -> None:
        self.per_minute = per_minute
        self._timeout_s = timeout_s
        pool = impatient_pool(url, max_connections=MAX_CONNECTIONS, timeout_s=timeout_s)
        # The pool holds the address; the scheme only names the storage.
        storage = RedisStorage(
            "async+redis://",
            implementation="redispy",
            key_prefix=f"{namespace}:limits",
            connection_pool=pool,  # type: ignore[arg-type]  # as its documentation has it
        )
        self._pool = pool
        self._shared = SlidingWindowCounterRateLimiter(storage)
        self._memory = MemoryStorage()
        self._alone = SlidingWindowCounterRateLimiter(self._memory)
        self._leases: OrderedDict[tuple[str, str], _Lease] = OrderedDict()
        self._outage = Outage(out="limits counted alone", back="limits shared again")

    async def take(self, kind: str, caller: str) -> Allowance | None:
        """Let one request of a kind pass, or not; None where there is no limit for that kind."""
        limit = self.per_minute.get(kind)
        if limit is None:
            return None
        lease = self._lease(kind, caller)
        if (told := _told(lease, limit)) is not None:
            return told
        async with lease.turn:
            # Who waited may find what the one before brought.
            if (told := _told(lease, limit)) is not None:
                return told
            await self._renew(lease, RateLimitItemPerMinute(limit), kind, caller)
            return _told(lease, limit) or Allowance(False, limit, 0, 1)

    def refused(self, kind: str, caller: str) -> bool:
        """Whether the last request of this kind was refused here a moment ago; asks nobody."""
        lease = self._leases.get((kind, caller))
        return lease is not None and lease.left == 0 and lease.others < 0 and time.monotonic() < lease.until

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.aclose()

    def _lease(self, kind: str, caller: str) -> _Lease:
        name = (kind, caller)
        lease = self._leases.get(name)
        if lease is None:
            lease = self._leases[name] = _Lease()
            if len(self._leases) > MAX_CALLERS:
                self._leases.popitem(last=False)
        return lease

    async def _renew(self, lease: _Lease, item: RateLimitItemPerMinute, kind: str, caller: str) -> None:
        share = max(1, item.amount // SHARE)
        taken, reset_at, others = 0, time.time() + 1, 0
        if self._outage.may_ask():
            try:
                async with asyncio.timeout(self._timeout_s):
                    taken, reset_at, others = await _acquire(self._shared, item, kind, caller, share)
                self._outage.answered()
            except (RedisError, OSError) as error:
                self._outage.failed(error)
        if self._outage.lasts:
            if len(self._memory.storage) > MAX_CALLERS:
                await self._memory.reset()
            taken, reset_at, others = await _acquire(self._alone, item, kind, caller, share)
        now = time.monotonic()
        lease.left, lease.others = taken, others if taken else -1
        # The clock of the wall only ever says how long.
        lease.reset_at = now + min(max(reset_at - time.time(), 0.0), WINDOW_S)
        lease.until = now + (LEASE_S if taken else min(REFUSED_S, max(REFUSED_AT_LEAST_S, lease.reset_at - now)))


def _told(lease: _Lease, limit: int) -> Allowance | None:
    """What a lease says by itself; None where it has run out."""
    now = time.monotonic()
    if now >= lease.until:
        return None
    reset_s = max(1, math.ceil(lease.reset_at - now))
    if lease.left > 0:
        lease.left -= 1
        return Allowance(True, limit, lease.left + max(lease.others, 0), reset_s)
    return Allowance(False, limit, 0, reset_s) if lease.others < 0 else None


async def _acquire(
    limiter: SlidingWindowCounterRateLimiter, item: RateLimitItemPerMinute, kind: str, caller: str, share: int
) -> tuple[int, float, int]:
    """How many may pass now, 0 to `share`, when more may (seconds since 1970), and how many are left beside them."""
    taken = 0
    for cost in (share, 1) if share > 1 else (1,):
        if await limiter.hit(item, kind, caller, cost=cost):
            taken = cost
            break
    stats = await limiter.get_window_stats(item, kind, caller)
    return taken, stats.reset_time, stats.remaining
