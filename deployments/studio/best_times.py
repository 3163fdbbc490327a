"""Best times: the heat map of the account's week, and what it says in words."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from deployments.studio.languages import language_of
from deployments.studio.pages import ask, page
from pipelines.audience.timing import MIN_POSTS

router = APIRouter(include_in_schema=False)


@router.get("/studio/best-times")
async def best_times_page(request: Request) -> Response:
    """When the account's posts do well."""
    answer = await ask(request, "GET", "/audience/best-times", parameters={"language": language_of(request)})
    found = answer.body if answer.ok else None
    rows = [found["cells"][24 * day : 24 * day + 24] for day in range(7)] if found and found["cells"] else []
    return await page(
        request,
        "best_times.html",
        found=found,
        rows=rows,
        needed=MIN_POSTS,
    )
