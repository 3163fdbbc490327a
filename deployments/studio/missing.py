"""What a person sees at an address of the studio where there is no page."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from deployments.http.problems import Problem
from deployments.studio.pages import page

router = APIRouter(include_in_schema=False)


@router.get("/studio{path:path}")
async def missing_page(request: Request, path: str) -> Response:
    """A page that leads back; whoever asks for no page gets a problem."""
    if "text/html" not in request.headers.get("accept", ""):
        raise Problem(HTTPStatus.NOT_FOUND, f"There is no page at /studio{path}.")
    return await page(request, "missing.html", status=HTTPStatus.NOT_FOUND)
