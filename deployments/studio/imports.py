"""Imports: files of X and of Google Analytics come in, with what became of each, and go out again."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from deployments.studio.forms import read_form
from deployments.studio.languages import language_of
from deployments.studio.pages import ask, page
from deployments.studio.said import file_in_words, row_in_words

SHOWN_ROWS = 100
router = APIRouter(include_in_schema=False)


@router.get("/studio/imports")
async def imports_page(request: Request) -> Response:
    """The place to send files to, and what was sent."""
    return await page(request, "imports.html", **await _list(request))


@router.get("/studio/imports/list")
async def imports_part(request: Request) -> Response:
    """What was sent, a page of it."""
    return await page(request, "imports/list.html", **await _list(request))


@router.post("/studio/imports/report")
async def report_part(request: Request) -> Response:
    """Say in words what the API answered to a file; it stores nothing."""
    try:
        answer: Any = orjson.loads((await read_form(request)).text("answer"))
    except orjson.JSONDecodeError:
        answer = None
    if not isinstance(answer, dict):
        return await page(request, "imports/report.html", report=None, refused=None, rows=())
    language = language_of(request)
    if "rows" not in answer:
        errors = _objects(answer.get("errors"))
        message = str(errors[0].get("message") if errors else answer.get("detail"))
        refused = file_in_words(message, language)
        return await page(request, "imports/report.html", report=None, refused=refused, rows=())
    told = _objects(answer.get("rejected"))[:SHOWN_ROWS]
    rows = [(one.get("line"), row_in_words(str(one.get("reason")), language)) for one in told]
    return await page(request, "imports/report.html", report=_counts(answer), refused=None, rows=rows)


@router.delete("/studio/imports/{import_id}")
async def delete_import(request: Request, import_id: str) -> Response:
    """Take a file and what it told out again."""
    deleted = await ask(request, "DELETE", f"/metrics/imports/{import_id}")
    told = {"deleted": deleted.body["deleted"] if deleted.ok else None, "failed": not deleted.ok}
    status = HTTPStatus.OK if deleted.ok else HTTPStatus.UNPROCESSABLE_ENTITY
    return await page(request, "imports/list.html", status=status, **(await _list(request) | told))


async def _list(request: Request) -> dict[str, Any]:
    cursor = request.query_params.get("cursor")
    answer = await ask(request, "GET", "/metrics/imports", parameters={"limit": 20, "cursor": cursor})
    found = answer.body if answer.ok else {"imports": [], "next_cursor": None}
    return {"found": found, "later": bool(cursor), "answered": answer.ok, "deleted": None, "failed": False}


def _objects(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _counts(answer: dict[str, Any]) -> dict[str, Any]:
    """The counts of either report; that of Google Analytics calls what it left out otherwise."""
    names = ("rows", "imported", "updated", "unchanged", "untagged")
    counts = {name: answer.get(name) if isinstance(answer.get(name), int) else None for name in names}
    left_out = answer.get("rejected_rows", answer.get("n_rejected"))
    return counts | {
        "rejected_rows": left_out if isinstance(left_out, int) else None,
        "source": str(answer.get("source", "ga4")),
        "captured_at": _moment(answer.get("captured_at")),
    }


def _moment(value: object) -> str | None:
    """A moment as the API writes it; a form may hold anything."""
    try:
        return datetime.fromisoformat(str(value)).isoformat()
    except ValueError:
        return None
