"""The routes under /collector: what is read from X's API, what that costs, and whether it may be learned from."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict

from deployments.collector import budget_of, month_of, trends_month
from deployments.http.bodies import JsonBody
from deployments.http.calls import account_of, as_json, front_of, stored
from deployments.x_client import XProblem
from pipelines.outcomes import collecting
from pipelines.records import STRICT
from store.postgres import Store

NO_TOKEN = "The environment holds neither X_REFRESH_TOKEN nor X_BEARER_TOKEN."  # noqa: S105  # names of variables  # nosec B105
OTHER_ACCOUNT = "The collector reads the posts of another account."


@dataclass(frozen=True, kw_only=True)
class CollectorSettings:
    """What an account says about rows of the API; X's terms forbid to train on them without X's leave."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    learn_from_api: bool


@dataclass(frozen=True, kw_only=True)
class CollectorRun:
    """What the last run did; `rejected` counts posts by what was wrong with them. Money in USD.

    `late` of the `snapshots` were taken too late for their age, `missed` are ages whose reading was never taken.
    `forgotten` posts are older than the API's rows are kept, `deleted` ones are no longer at X.
    """

    started_at: datetime
    finished_at: datetime
    posts_returned: int
    posts_new: int
    snapshots: int
    late: int
    missed: int
    deleted: int
    forgotten: int
    rejected: dict[str, int]
    spent_usd: float
    problem: XProblem | Literal["budget_spent"] | None


@dataclass(frozen=True, kw_only=True)
class CollectorCosts:
    """What was spent this month, at most, and what is to come, at most. USD.

    `next_run_usd` is for known posts alone. `month_usd` is for 30 days in which as much is posted as in the last 30.
    `prices_as_of` is the date of the price list.
    """

    spent_usd: float
    budget_usd: float
    next_run_usd: float
    month_usd: float
    post_usd: float
    lookup_usd: float
    prices_as_of: str
    prices_source: str


@dataclass(frozen=True, kw_only=True)
class CollectorMonth:
    """What the runs of a month (UTC) did, as in CollectorRun."""

    month: str
    posts_new: int
    snapshots: int
    late: int
    missed: int
    deleted: int


@dataclass(frozen=True, kw_only=True)
class Collector:
    """The state of the collector.

    `access` is what X tells the token: private counts (of posts younger than 30 days) or public ones alone.
    `unseen_posts` were not returned by X within 24 hours, and may be deleted there.
    """

    state: Literal["on", "off"]
    reason: str | None
    access: Literal["private", "public"] | None
    learn_from_api: bool
    posts: int
    snapshots_due: int
    unseen_posts: int
    next_snapshot_at: datetime | None
    next_run_at: datetime | None
    last_run: CollectorRun | None
    this_month: CollectorMonth | None
    costs: CollectorCosts | None


SETTINGS_BODY = JsonBody(CollectorSettings, {"learn_from_api": False})
BODIES = (SETTINGS_BODY,)
router = APIRouter()


@router.get("/collector", response_model=Collector)
async def collector(request: Request) -> Response:
    """Tell what the collector of X's API does for the account, and what it costs."""
    return as_json(await stored(_state(request)))


@router.put("/collector", response_model=Collector, openapi_extra=SETTINGS_BODY.openapi)
async def change_collector(request: Request) -> Response:
    """Say whether what came by X's API may be learned from."""
    body = await SETTINGS_BODY.read(request)
    await stored(_store(request).collector.learn_from_api(account_of(request), body.learn_from_api))
    return as_json(await stored(_state(request)))


async def _state(request: Request) -> dict[str, Any]:
    upkeep, account, table = front_of(request).upkeep, account_of(request), _store(request).collector
    config, access = upkeep.config, upkeep.access
    learns = await table.learns_from_api(account)
    reason = NO_TOKEN if access is None else OTHER_ACCOUNT if config.account != account else None
    off = dict.fromkeys(Collector.__dataclass_fields__) | {"posts": 0, "snapshots_due": 0, "unseen_posts": 0}
    if access is None or reason is not None:
        return off | {"state": "off", "reason": reason, "learn_from_api": learns}
    now = upkeep.clock()
    posts = await table.posts(account)
    job, at_x = await table.find("collect"), await table.account(account, access.user_id)
    due = await asyncio.to_thread(collecting.due_snapshots, posts, config.snapshots_h, now)
    price = collecting.prices(owned=config.owned_reads and access.refresh_token is not None)
    newest = collecting.last_id_of(at_x.known_until) if at_x.known_until else 0
    plan = await asyncio.to_thread(collecting.make_plan, posts, due, newest, price, now)
    listed, month = collecting.price_list(), month_of(now)
    estimate = collecting.estimate_month(posts, config.snapshots_h, price, now) + trends_month(config)
    did = asdict(await table.month(account, month))
    return off | {
        "state": "on",
        "access": "public" if access.refresh_token is None else "private",
        "learn_from_api": learns,
        "posts": len(posts),
        "snapshots_due": len(due),
        "unseen_posts": len(collecting.unseen(posts, now, collecting.SEEN_WITHIN)),
        "next_snapshot_at": collecting.next_due(posts, config.snapshots_h),
        "next_run_at": job and job.due_at,
        "last_run": job and job.last_run,
        "costs": {
            "spent_usd": did.pop("microusd") / collecting.USD,
            "budget_usd": budget_of(config) / collecting.USD,
            "next_run_usd": plan.cost / collecting.USD,
            "month_usd": estimate / collecting.USD,
            "post_usd": price.timeline / collecting.USD,
            "lookup_usd": price.lookup / collecting.USD,
            "prices_as_of": listed["as_of"],
            "prices_source": listed["source"],
        },
        "this_month": {"month": f"{month:%Y-%m}"} | did,
    }


def _store(request: Request) -> Store:
    return front_of(request).answers.store
