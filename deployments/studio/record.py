"""Your posts: what is stored of them in figures, as a list, and what their links brought."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response

from deployments.studio.forms import read_form
from deployments.studio.pages import ask, page

A_PAGE = 25
SORTS = ("time", "engagement")
NO_POSTS: dict[str, Any] = {"posts": [], "next_cursor": None}
router = APIRouter(include_in_schema=False)


@router.get("/studio/record")
async def record_page(request: Request) -> Response:
    """What is stored of the account's own posts."""
    summed, posts = await asyncio.gather(ask(request, "GET", "/metrics/summary"), _posts(request))
    return await page(
        request, "record.html", summary=summed.body if summed.ok else None, tagged=None, visits=None, **posts
    )


@router.get("/studio/record/posts")
async def posts_part(request: Request) -> Response:
    """A page of the posts."""
    return await page(request, "record/posts.html", **await _posts(request))


@router.delete("/studio/record/posts/{post_id}")
async def delete_post(request: Request, post_id: str) -> Response:
    """Delete a post with all that was told of it."""
    deleted = await ask(request, "DELETE", f"/metrics/posts/{quote(post_id, safe='')}")
    status = HTTPStatus.OK if deleted.ok else HTTPStatus.UNPROCESSABLE_ENTITY
    return await page(request, "record/posts.html", status=status, **(await _posts(request) | {"deleted": deleted.ok}))


@router.post("/studio/record/tag")
async def tag_links(request: Request) -> Response:
    """Put tags on the links of a text; nothing is stored."""
    form = await read_form(request)
    body = {name: form.text(name) for name in ("text", "campaign", "content")}
    tagged = await ask(request, "POST", "/links/tag", body)
    status = HTTPStatus.OK if tagged.ok else HTTPStatus.UNPROCESSABLE_ENTITY
    return await page(request, "record/tagged.html", status=status, tagged=tagged)


@router.get("/studio/record/visits")
async def visits_part(request: Request) -> Response:
    """What Google Analytics counted of the links of one content."""
    content = request.query_params.get("content", "").strip()
    found = await ask(request, "GET", f"/links/{quote(content, safe='')}/performance") if content else None
    return await page(request, "record/visits.html", visits=found)


async def _posts(request: Request) -> dict[str, Any]:
    sort = request.query_params.get("sort")
    sort = sort if sort in SORTS else SORTS[0]
    cursor = request.query_params.get("cursor")
    found = await ask(request, "GET", "/metrics/posts", parameters={"sort": sort, "limit": A_PAGE, "cursor": cursor})
    return {
        "found": found.body if found.ok else NO_POSTS,
        "answered": found.ok,
        "sort": sort,
        "later": bool(cursor),
        "deleted": None,
    }
