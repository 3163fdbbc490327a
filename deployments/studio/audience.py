"""Audience: segments of the account's own posts, and what bursts in them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response

from deployments.http.problems import Problem
from deployments.studio.pages import ask, page
from pipelines.audience.segments import MIN_POSTS
from pipelines.audience.trends import MIN_PAST_POSTS, MIN_RECENT_POSTS

router = APIRouter(include_in_schema=False)


@router.get("/studio/audience")
async def audience_page(request: Request) -> Response:
    """The segments, and what bursts."""
    return await page(request, "audience.html", **await _seen(request))


@router.get("/studio/audience-state")
async def state_part(request: Request) -> Response:
    """What is known now; asked again and again while a refresh runs."""
    return await page(request, "audience/state.html", **await _seen(request))


@router.post("/studio/audience-refresh")
async def refresh_part(request: Request) -> Response:
    """Read the posts anew, and return what was found."""
    answer = await ask(request, "POST", "/audience/refresh")
    # While another one runs, that one is waited for.
    failed = not answer.ok and answer.status != HTTPStatus.CONFLICT
    status = HTTPStatus.UNPROCESSABLE_ENTITY if failed else HTTPStatus.OK
    return await page(request, "audience/state.html", status=status, **(await _seen(request) | {"failed": failed}))


@router.get("/studio/audience/{segment:path}")
async def segment_page(request: Request, segment: str) -> Response:
    """One segment."""
    answer = await ask(request, "GET", f"/audience/{quote(segment, safe='')}")
    if answer.status == HTTPStatus.NOT_FOUND or (answer.ok and "segment" not in answer.body):
        return await page(request, "segment.html", status=HTTPStatus.NOT_FOUND, found=None)
    if not answer.ok:
        raise Problem(answer.status, answer.body["detail"])
    return await page(request, "segment.html", found=answer.body)


async def _seen(request: Request) -> dict[str, Any]:
    found, trends = await asyncio.gather(ask(request, "GET", "/audience"), ask(request, "GET", "/audience/trends"))
    segments = found.body["segments"] if found.ok else []
    return {
        "found": found.body if found.ok else None,
        "segments": [(one, quote(one["segment"], safe="")) for one in segments],
        "trends": trends.body if trends.ok else None,
        "needed": MIN_POSTS,
        "needed_now": (MIN_RECENT_POSTS, MIN_PAST_POSTS),
        "failed": False,
        "now": datetime.now(UTC),
    }
