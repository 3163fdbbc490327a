"""One run of the collector: what is new on the account's timeline, the readings that are due, the posts that are gone.

The run asks only for what the month's budget still holds, and stops before that is exceeded.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

import aiohttp
import uuid_utils.compat

from deployments.settings import CollectorConfig, XAccess
from deployments.x_client import XClient, XError, backoff
from pipelines.audience import x_trends
from pipelines.audience.x_trends import XTrend, XTrendPage, XTrendReading
from pipelines.outcomes import collecting
from pipelines.outcomes.collecting import CollectedPost, Page, Snapshot, Span
from pipelines.outcomes.posts import moment_of_id
from store.errors import StoreUnavailable
from store.outcomes import Import
from store.postgres import Store

SAVE_ATTEMPTS = 7
# An account's timeline, in the smallest pages that X sends.
MAX_PAGES = collecting.NEWEST_POSTS // collecting.LEAST_PAGE
Answered = TypeVar("Answered", Page, XTrendPage)
logger = logging.getLogger(__name__)


class BudgetSpent(Exception):
    """The month's budget does not hold the next call."""


@dataclass
class Report:
    """What a run did; `rejected` counts posts by what was wrong with them, `cost` is in millionths of a USD.

    `trends_problem` is told where there is no other, and delays no posts.
    """

    started_at: datetime
    posts_returned: int = 0
    posts_new: int = 0
    snapshots: int = 0
    late: int = 0
    missed: int = 0
    deleted: int = 0
    forgotten: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    cost: int = 0
    problem: str | None = None
    trends_problem: str | None = None
    retry_at: datetime | None = None

    def as_json(self, finished_at: datetime) -> dict[str, Any]:
        """As GET /collector shows it."""
        return {
            "started_at": self.started_at.isoformat(),
            "finished_at": finished_at.isoformat(),
            "posts_returned": self.posts_returned,
            "posts_new": self.posts_new,
            "snapshots": self.snapshots,
            "late": self.late,
            "missed": self.missed,
            "deleted": self.deleted,
            "forgotten": self.forgotten,
            "rejected": dict(self.rejected),
            "spent_usd": self.cost / collecting.USD,
            "problem": self.problem or self.trends_problem,
        }


class Run:
    """A run for one account; `collect` is called once."""

    def __init__(
        self,
        store: Store,
        access: XAccess,
        config: CollectorConfig,
        *,
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._store = store
        self._access = access
        self._config = config
        self._clock = clock
        self._sleep = sleep
        self._client: XClient
        self._price = collecting.prices(owned=config.owned_reads and access.refresh_token is not None)
        self._budget = budget_of(config)
        self._known: dict[str, CollectedPost] = {}
        self._due: dict[str, Snapshot] = {}
        self._newest = 0
        self._month = month_of(clock())
        self._met: set[str] = set()
        self.report = Report(clock())

    async def collect(self) -> Report:
        """Read what is due; what went wrong at X or with the budget stands in the report.

        Raises:
            StoreError: the database did not take it; what was stored before stays.
        """
        account, user = self._config.account, self._access.user_id
        at_x = await self._store.collector.account(account, user)
        posts = await self._store.collector.posts(account)
        kept = self._clock() - timedelta(days=self._config.keep_days)
        if any(post.posted_at < kept for post in posts):
            self.report.forgotten = await self._store.collector.forget_before(account, kept)
            posts = tuple(post for post in posts if post.posted_at >= kept)
        self._known = {post.post_id: post for post in posts}
        known_until = at_x.known_until or self._clock() - timedelta(days=self._config.first_days)
        self._newest = collecting.last_id_of(known_until)
        ages_h, now = self._config.snapshots_h, self._clock()
        snapshots = await asyncio.to_thread(collecting.due_snapshots, posts, ages_h, now)
        self._due = {snapshot.post_id: snapshot for snapshot in snapshots}
        plan = await asyncio.to_thread(collecting.make_plan, posts, snapshots, self._newest, self._price, now)
        timeout = aiohttp.ClientTimeout(total=self._config.timeout_s)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session:
                self._client = XClient(
                    session,
                    self._access,
                    at_x,
                    lambda tokens: self._insist(lambda: self._store.collector.save_tokens(account, user, tokens)),
                    base_url=self._config.base_url,
                    clock=self._clock,
                    sleep=self._sleep,
                )
                await self._read_timeline(plan.since)
                await self._look_up([post_id for post_id in plan.wanted if post_id not in self._met])
                await self._read_trends()
        except XError as error:
            self.report.problem, self.report.retry_at = error.problem, error.retry_at
        except BudgetSpent:
            self.report.problem = "budget_spent"
        if self.report.rejected:
            logger.warning(
                "%d posts of X cannot be stored", self.report.rejected.total(), extra={"action": "x_posts_rejected"}
            )
        return self.report

    async def _read_timeline(self, since: int) -> None:
        """Read all posts after an id, and write down how far they are known."""
        private = self._access.refresh_token is not None
        for span in collecting.timeline_spans(since, self._clock(), private=private):
            newest = await self._read_pages(span)
            known = newest if span.last is None else span.last
            if known > self._newest and (moment := moment_of_id(str(known))):
                account, user = self._config.account, self._access.user_id
                await self._store.collector.save_known_until(account, user, moment)

    async def _read_pages(self, span: Span) -> int:
        """Read the posts of a span, return the newest id."""
        fields = collecting.PRIVATE_FIELDS if span.private else collecting.PUBLIC_FIELDS
        # Reposts are left out: their counts are those of somebody else's post.
        asked: dict[str, Any] = {"since_id": span.since, "tweet_fields": list(fields), "exclude": ["retweets"]}
        if span.last is not None:
            asked["until_id"] = span.last + 1
        newest = 0
        for _ in range(MAX_PAGES):
            size = await self._reserve(collecting.BATCH, self._price.timeline, least=collecting.LEAST_PAGE)
            call = self._client.get_users_tweets(self._access.user_id, max_results=size, **asked)
            page = await self._answer(call, size, self._price.timeline)
            newest = max([newest, *map(int, page.shown)])
            if page.next_token is None:
                break
            asked["pagination_token"] = page.next_token
        return newest

    async def _look_up(self, post_ids: Sequence[str]) -> None:
        border = self._clock() - collecting.PRIVATE_FOR
        private = self._access.refresh_token is not None
        young: list[str] = []
        old: list[str] = []
        for post_id in post_ids:
            (young if private and self._known[post_id].posted_at > border else old).append(post_id)
        for waiting, fields in ((young, collecting.PRIVATE_FIELDS), (old, collecting.PUBLIC_FIELDS)):
            while waiting:
                size = await self._reserve(min(len(waiting), collecting.BATCH), self._price.lookup)
                batch, waiting[:size] = waiting[:size], []
                call = self._client.get_tweets(batch, tweet_fields=list(fields))
                await self._answer(call, size, self._price.lookup, asked=batch)

    async def _read_trends(self) -> None:
        """Read what trends on X, where that is on, a day after X was last asked for it, whatever it answered."""
        account, woeid, now = self._config.account, self._config.trends_woeid, self._clock()
        if woeid is None:
            return
        known = await self._store.collector.x_trends(account)
        if known is None or known.woeid != woeid:
            known = XTrendReading(woeid=woeid, asked_at=now)
        elif now - known.asked_at < x_trends.ASK_EVERY:
            return
        try:
            trends = await self._ask_for_trends(woeid)
        except (XError, BudgetSpent) as error:
            self.report.trends_problem = error.problem if isinstance(error, XError) else "budget_spent"
            told = replace(known, asked_at=now, problem=self.report.trends_problem)
        else:
            told = replace(known, asked_at=now, read_at=now, problem=None, trends=trends)
        await self._store.collector.save_x_trends(account, told)

    async def _ask_for_trends(self, woeid: int) -> tuple[XTrend, ...]:
        price = trend_price()
        size = await self._reserve(x_trends.TRENDS_A_DAY, price)
        page = await self._pay(self._client.get_trends(woeid, size), x_trends.read_trend_page, size, price)
        return page.trends[:size]

    async def _reserve(self, wanted: int, price: int, *, least: int = 1) -> int:
        """Count up to `wanted` posts as spent, and return how many that are."""
        self._month = month_of(self._clock())
        spent = (await self._store.collector.month(self._config.account, self._month)).microusd
        size = min(wanted, (self._budget - spent) // price)
        if size < least or not await self._store.collector.reserve(
            self._config.account, self._month, size * price, self._budget
        ):
            raise BudgetSpent
        return size

    async def _answer(self, call: Awaitable[object], size: int, price: int, asked: Collection[str] = ()) -> Page:
        """Read an answer of posts and store what it says."""
        page = await self._pay(call, lambda told: collecting.read_answer(told, asked, self._clock()), size, price)
        await self._take(page)
        return page

    async def _pay(
        self, call: Awaitable[object], read: Callable[[object], Answered], size: int, price: int
    ) -> Answered:
        """Read an answer, and give back what was reserved and not charged."""
        try:
            page = read(await call)
        except XError as error:
            if not error.unsure:
                await self._store.collector.give_back(self._config.account, self._month, size * price)
                raise
            self.report.cost += size * price
            raise
        except ValueError as error:
            self.report.cost += size * price
            raise XError("unavailable") from error
        charged = min(page.returned, size) * price
        self.report.cost += charged
        await self._store.collector.give_back(self._config.account, self._month, size * price - charged)
        return page

    async def _take(self, page: Page) -> None:
        """Store the readings of new posts and of those that are due, delete what is gone."""
        account, now, report = self._config.account, self._clock(), self.report
        report.posts_returned += page.returned
        report.rejected.update(page.rejected)
        # What is not new and not known was deleted here: it stays deleted.
        new = [one for one in page.readings if one.post_id not in self._known and int(one.post_id) > self._newest]
        due = {post_id: self._due.pop(post_id) for post_id in page.shown if post_id in self._due}
        wanted = new + [one for one in page.readings if one.post_id in due]
        if wanted:
            run = Import(id=uuid_utils.compat.uuid7(), account_id=account, source="x_api", captured_at=now)
            await self._insist(lambda: self._store.outcomes.save(run, wanted))
        # One that was due and cannot be stored is not asked for again before its next age.
        await self._store.collector.mark_read(account, [*due, *(one.post_id for one in new)], now)
        await self._store.collector.mark_seen(account, sorted(page.shown & self._known.keys()), now)
        report.posts_new += len(new)
        self._count_snapshots(list(due.values()), now)
        found = [CollectedPost(one.post_id, one.posted_at, one.posted_at, now) for one in new]
        self._count_snapshots(collecting.due_snapshots(found, self._config.snapshots_h, now), now)
        self._known |= {post.post_id: post for post in found}
        self._met |= page.shown
        if page.gone:
            report.deleted += await self._store.collector.forget(account, page.gone)

    async def _insist(self, save: Callable[[], Awaitable[object]]) -> None:
        """Store what X sells or gives once; an import that holds the account's outcomes takes up to a minute."""
        for attempt in range(1, SAVE_ATTEMPTS):
            try:
                await save()
            except StoreUnavailable:
                await self._sleep(backoff(2.0, attempt, 20.0))
            else:
                return
        await save()

    def _count_snapshots(self, taken: Sequence[Snapshot], now: datetime) -> None:
        self.report.snapshots += len(taken)
        self.report.late += sum(collecting.is_late(snapshot, now) for snapshot in taken)
        self.report.missed += sum(len(snapshot.missed) for snapshot in taken)


def budget_of(config: CollectorConfig) -> int:
    """The month's budget in millionths of a USD."""
    return round(config.budget_usd_month * collecting.USD)


def trend_price() -> int:
    """What X asks for each trend that it returns, in millionths of a USD."""
    price: int = collecting.price_list()["microusd"]["trend_read"]
    return price


def trends_month(config: CollectorConfig) -> int:
    """What the trends of X cost in 30 days at most, in millionths of a USD."""
    return 0 if config.trends_woeid is None else 30 * x_trends.TRENDS_A_DAY * trend_price()


def month_of(moment: datetime) -> date:
    """The month (UTC) that a call is paid in, by its first day."""
    return moment.astimezone(UTC).date().replace(day=1)
