"""What runs by itself: queries that expire, and the collector of X's API where there is a token.

Every ingress replica runs this loop, and a job runs once in the cluster: who finds it due holds it in a row of the
database for the time of a run. Not a deployment of its own, which would cost a replica's memory for a minute of work a
day; and a row in place of an advisory lock, which would hold one of the few connections while X takes its time, and
would not know when the job is due, which has to outlive restarts.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from deployments.collector import Run, month_of
from deployments.settings import CollectorConfig, XAccess
from deployments.x_client import backoff
from store.collector import Month
from store.errors import StoreError
from store.postgres import Store

LOOK_S = 20.0
LEASE = timedelta(minutes=15)
RUN_S = 13 * 60.0
EXPIRE_EVERY = timedelta(hours=1)
# After a run that failed, before the waits grow.
FIRST_RETRY_S = 60.0
# Waiting helps only where somebody changes something: the token, the credits, the budget, the month.
REFUSED_RETRY = timedelta(hours=1)
PASSING = frozenset({"unavailable", "no_answer"})
logger = logging.getLogger(__name__)


def utc_now() -> datetime:
    """The moment, in UTC."""
    return datetime.now(UTC)


@dataclass
class Upkeep:
    """The jobs of one replica; `config` may change between runs."""

    store: Store
    access: XAccess | None
    config: CollectorConfig
    clock: Callable[[], datetime] = utc_now
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def run_forever(self) -> None:
        """Look for what is due every few seconds, until cancelled; what fails is logged and tried again later."""
        while True:
            for job in (self.expire, self.collect):
                try:
                    await job()
                except StoreError as error:
                    logger.warning("%s left undone: %s", job.__name__, error, extra={"action": "upkeep_failed"})
                except Exception:
                    # The loop is all that deletes what must not be kept: it outlives a mistake in one job.
                    logger.exception("%s failed", job.__name__, extra={"action": "upkeep_failed"})
            await asyncio.sleep(LOOK_S * random.uniform(0.75, 1.25))

    async def expire(self) -> dict[str, Any] | None:
        """Delete the queries that their accounts do not keep so long; None where that is not due."""
        now = self.clock()
        job = await self.store.collector.claim("expire", now, now + LEASE)
        if job is None:
            return None
        queries, keys = await self.store.collector.expire(now)
        report = {"finished_at": self.clock().isoformat(), "queries": queries, "idempotency_keys": keys}
        await self.store.collector.finish(job, now + EXPIRE_EVERY, failures=0, last_run=report)
        if queries or keys:
            logger.info("%d queries, %d answers expired", queries, keys, extra={"action": "queries_expired"})
        return report

    async def collect(self) -> dict[str, Any] | None:
        """Run the collector where it is on and due; its report, or None."""
        if self.access is None:
            return None
        now = self.clock()
        job = await self.store.collector.claim("collect", now, now + LEASE)
        if job is None:
            return None
        run = Run(self.store, self.access, self.config, clock=self.clock, sleep=self.sleep)
        # What the database ends leaves the job held: it is taken up again when the lease is over.
        try:
            async with asyncio.timeout(RUN_S):
                report = await run.collect()
        except TimeoutError:
            report = run.report
            report.problem = "no_answer"
        now = self.clock()
        failures = job.failures + 1 if report.problem in PASSING else 0
        due_at = now + timedelta(seconds=self.config.every_s)
        if failures:
            due_at = now + timedelta(seconds=backoff(FIRST_RETRY_S, failures))
        elif report.problem is not None:
            due_at = max(now, report.retry_at or now + REFUSED_RETRY)
        last_run = report.as_json(now)
        await self.store.collector.finish(job, due_at, failures=failures, last_run=last_run)
        did = Month(
            posts_new=report.posts_new,
            snapshots=report.snapshots,
            late=report.late,
            missed=report.missed,
            deleted=report.deleted,
        )
        await self.store.collector.count_run(self.config.account, month_of(now), did)
        logger.info(
            "collected from X: %s",
            report.problem or "all",
            extra={"action": "x_collected", "posts": report.posts_returned, "microusd": report.cost},
        )
        return last_run
