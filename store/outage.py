"""How clients of Redis give up soon, ask rarely while it is out, and say when it went and when it came back."""

from __future__ import annotations

import logging
import time

from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

logger = logging.getLogger(__name__)

# How long nobody asks after a failure; then one asks, and the others when that one got an answer.
PAUSE_S = 1.0
# How much of its time a call may spend until a connection is free.
WAIT_SHARE = 0.8


class Outage:
    """Whether a server answers; `out` and `back` are what the log says when that changes."""

    def __init__(self, *, out: str, back: str) -> None:
        self.lasts = False
        self._out = out
        self._back = back
        self._retry_at = 0.0

    def may_ask(self) -> bool:
        """Whether to ask now: always while it answers, once every PAUSE_S while it does not."""
        if not self.lasts:
            return True
        now = time.monotonic()
        if now < self._retry_at:
            return False
        self._retry_at = now + PAUSE_S
        return True

    def failed(self, error: Exception) -> None:
        """It did not answer."""
        self._retry_at = time.monotonic() + PAUSE_S
        if not self.lasts:
            logger.warning("%s: %s", self._out, type(error).__name__, extra={"action": self._out.replace(" ", "_")})
        self.lasts = True

    def answered(self) -> None:
        """It answered."""
        if self.lasts:
            logger.info(self._back, extra={"action": self._back.replace(" ", "_")})
        self.lasts = False


def impatient_pool(url: str, *, max_connections: int, timeout_s: float) -> BlockingConnectionPool:
    """Connections that give up after `timeout_s` at every step, and repeat nothing: to go without is cheaper.

    Nobody waits for a free connection as long as for an answer. A server that hangs frees all connections when their
    callers give up; who was handed one at that moment was sending when its own caller gave up, and Python 3.11's
    asyncio.wait_for, with which the client sends, then forgets the cancellation (gh-86296): it waited twice as long.
    """
    return BlockingConnectionPool.from_url(
        url,
        max_connections=max_connections,
        timeout=timeout_s * WAIT_SHARE,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
