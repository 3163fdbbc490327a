"""The routes under /audience: segments of the account's posts, what bursts in them, and the work that finds both.

Its last route takes any name: what else begins with /audience/ is registered before this router.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from ray.exceptions import RayError

from deployments.http.bodies import PROBLEMS
from deployments.http.calls import account_of, as_json, front_of, stored
from deployments.http.collector import NO_TOKEN, OTHER_ACCOUNT
from deployments.http.problems import Problem, unavailable
from pipelines.audience.segments import MAX_POSTS, RESERVED
from pipelines.audience.x_trends import XTrends, tell_x_trends
from store.audience import AudienceTable, Refresh, StoredSegment
from store.errors import StoreError

NEVER = "Nothing was computed yet: POST /audience/refresh."
NO_PLACE = "Reading the trends of X is switched off: trends_woeid of the collector is null."
SegmentName = Annotated[str, Path(description="The name of a segment, as GET /audience lists it.")]
router = APIRouter(responses=PROBLEMS)
logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class AudienceView:
    """The segments of the account's posts; not `supported`: `note` says why there are none.

    `n_other` of the `n_posts` that were read belong to no stable segment. `computed_at` is null before the first
    refresh; `refreshing` says that one runs.
    """

    supported: bool
    note: str | None
    n_posts: int
    n_other: int
    first_posted_at: datetime | None
    last_posted_at: datetime | None
    computed_at: datetime | None
    refreshing: bool
    segments: tuple[StoredSegment, ...]


@dataclass(frozen=True, kw_only=True)
class TrendsView:
    """What bursts in the account's posts, as pipelines.audience.trends tells it; null before the first refresh.

    `x` is what trends on X, whatever the account posts about.
    """

    supported: bool
    note: str | None
    until: datetime | None
    recent_posts: int | None
    past_posts: int | None
    tested: int | None
    bursts: tuple[dict[str, Any], ...]
    x: XTrends
    computed_at: datetime | None


@router.get("/audience", response_model=AudienceView)
async def get_audience(request: Request) -> Response:
    """Return the segments as the last refresh found them."""
    return as_json(await _view(request))


@router.get("/audience/trends", response_model=TrendsView)
async def get_trends(request: Request) -> Response:
    """Return what bursts in the account's posts, as of the last refresh, and what the collector read of X's trends."""
    found, x = await asyncio.gather(
        stored(_table(request).find_refresh(account_of(request), datetime.now(UTC))), stored(_trends_of_x(request))
    )
    if found is None or found.trends is None:
        nothing = dict.fromkeys(("until", "recent_posts", "past_posts", "tested", "computed_at"))
        return as_json({"supported": False, "note": NEVER, "bursts": (), "x": x, **nothing})
    return as_json(found.trends | {"x": x, "computed_at": found.computed_at})


@router.post("/audience/refresh", response_model=AudienceView)
async def refresh_audience(request: Request) -> Response:
    """Compute segments and trends from the latest posts now, and return the segments; while one runs another is 409."""
    account, table = account_of(request), _table(request)
    now = datetime.now(UTC)
    claim = await stored(table.claim(account, now))
    if claim is None:
        raise Problem(HTTPStatus.CONFLICT, "A refresh of this audience runs.", headers={"Retry-After": "5"})
    saved = False
    try:
        posts = await stored(
            front_of(request).answers.store.outcomes.posts(account, limit=MAX_POSTS, until=now, kinds=("post",))
        )
        audience, trends = await front_of(request).read_audience(posts, now)
        saved = await stored(table.save(account, claim, audience, trends, now))
    except (TimeoutError, RayError) as error:
        logger.warning("audience not computed: %s", type(error).__name__, extra={"action": "audience_not_computed"})
        raise unavailable("The audience could not be computed in time.") from error
    finally:
        if not saved:
            await _release(table, account, claim)
    if not saved:
        raise Problem(HTTPStatus.CONFLICT, "Another refresh took over.", headers={"Retry-After": "5"})
    return as_json(await _view(request))


@router.get("/audience/{segment}", response_model=StoredSegment)
async def get_segment(request: Request, segment: SegmentName) -> Response:
    """Return one segment."""
    known = segment not in RESERVED and "\0" not in segment
    found = await stored(_table(request).segments(account_of(request), segment)) if known else ()
    if not found:
        raise Problem(HTTPStatus.NOT_FOUND, "There is no such segment.")
    return as_json(found[0])


async def _view(request: Request) -> AudienceView:
    account, table = account_of(request), _table(request)
    refresh: Refresh | None
    refresh, segments = await asyncio.gather(
        stored(table.find_refresh(account, datetime.now(UTC))), stored(table.segments(account))
    )
    result = refresh.result if refresh and refresh.result else {"supported": False, "note": NEVER}
    empty = {"n_posts": 0, "n_other": 0, "first_posted_at": None, "last_posted_at": None}
    return AudienceView(
        **(empty | result),
        computed_at=refresh.computed_at if refresh else None,
        refreshing=bool(refresh and refresh.refreshing),
        segments=segments,
    )


async def _trends_of_x(request: Request) -> XTrends:
    upkeep, account = front_of(request).upkeep, account_of(request)
    off = None
    if upkeep.access is None:
        off = NO_TOKEN
    elif upkeep.config.account != account:
        off = OTHER_ACCOUNT
    elif upkeep.config.trends_woeid is None:
        off = NO_PLACE
    return tell_x_trends(await upkeep.store.collector.x_trends(account), upkeep.clock(), off=off)


async def _release(table: AudienceTable, account: str, claim: datetime) -> None:
    try:
        await table.release(account, claim)
    except StoreError as error:
        # It lapses by itself.
        logger.warning("refresh not released: %s", error, extra={"action": "refresh_not_released"})


def _table(request: Request) -> AudienceTable:
    return front_of(request).answers.store.audience
