"""The routes that show what is stored of an account's posts: as a list, and in a few figures."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le, MaxLen
from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, TypeAdapter

from deployments.http.best_times import TimeZone, zone_of
from deployments.http.bodies import PROBLEMS
from deployments.http.calls import account_of, as_json, describe_parameters, front_of, read_parameters, refused, stored
from pipelines.outcomes.posts import Kind
from pipelines.outcomes.summary import Summary, summary
from store.outcomes import MAX_RANKED, ListedPost, PlaceInList

MAX_PAGE = 200
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CURSOR = re.compile(r"(\d{0,18})\.(\d{1,16})\.([^\x00-\x1f]{1,128})", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class PostParameters:
    """Which posts to list, and in which order; `cursor` is the `next_cursor` of the page before, in the same order."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    sort: Literal["time", "engagement"] = "time"
    kind: Kind | None = None
    limit: Annotated[int, Ge(1), Le(MAX_PAGE)] = 50
    cursor: Annotated[str, MaxLen(200)] | None = None


@dataclass(frozen=True, kw_only=True)
class SummaryParameters:
    """The IANA time zone of the days; without one it is that of the account's settings."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    tz: TimeZone | None = None


@dataclass(frozen=True, kw_only=True)
class PostPage:
    """Posts of the account, each with what is known of it; `next_cursor` is null on the last page."""

    posts: tuple[ListedPost, ...]
    next_cursor: str | None


PARAMETERS = TypeAdapter(PostParameters)
SUMMARY_PARAMETERS = TypeAdapter(SummaryParameters)
router = APIRouter(responses=PROBLEMS)


@router.get("/metrics/posts", response_model=PostPage, openapi_extra=describe_parameters(PARAMETERS))
async def list_posts(request: Request) -> Response:
    """List the stored posts, the newest first or those with most likes and retweets."""
    wanted = read_parameters(PARAMETERS, request)
    table = front_of(request).answers.store.outcomes
    best_first = wanted.sort == "engagement"
    found = await stored(
        table.page(
            account_of(request),
            best_first=best_first,
            kinds=(wanted.kind,) if wanted.kind else None,
            after=_place(wanted.cursor, best_first=best_first),
            limit=wanted.limit + 1,
        )
    )
    page = found[: wanted.limit]
    more = len(found) > len(page)
    return as_json(PostPage(posts=page, next_cursor=_cursor(page[-1], best_first=best_first) if more else None))


@router.get("/metrics/summary", response_model=Summary, openapi_extra=describe_parameters(SUMMARY_PARAMETERS))
async def sum_up(request: Request) -> Response:
    """Sum up the newest own posts: how many, the middle one, rates, and what each day brought."""
    zone = await zone_of(request, read_parameters(SUMMARY_PARAMETERS, request).tz)
    store = front_of(request).answers.store
    posts = await stored(store.outcomes.posts(account_of(request), limit=MAX_RANKED, kinds=("post",)))
    return as_json(await asyncio.to_thread(summary, posts, zone))


def _cursor(post: ListedPost, *, best_first: bool) -> str:
    rank = post.engagement if best_first else ""
    return f"{rank}.{(post.posted_at - EPOCH) // timedelta(microseconds=1)}.{post.post_id}"


def _place(cursor: str | None, *, best_first: bool) -> PlaceInList | None:
    if cursor is None:
        return None
    told = CURSOR.fullmatch(cursor)
    if told is None or bool(told[1]) != best_first:
        raise refused("cursor", "must be the next_cursor of a page in the same order")
    moment = EPOCH + timedelta(microseconds=int(told[2]))
    return PlaceInList(int(told[1]) if told[1] else None, moment, told[3])
