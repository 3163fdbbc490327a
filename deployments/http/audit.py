"""The routes of the audit: who changed what, and when, as JSON and for a spreadsheet."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Annotated, ClassVar

import orjson
from annotated_types import Ge, Le
from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, TypeAdapter

from deployments.http.bodies import PROBLEMS
from deployments.http.calls import account_of, as_json, describe_parameters, front_of, read_parameters, stored
from pipelines.outcomes.cells import neutralized
from store.audit import Action, AuditEntry, Kind

MAX_PAGE = 1_000
COLUMNS = ("id", "at", "actor", "action", "kind", "object_id", "name", "detail", "request_id")


@dataclass(frozen=True, kw_only=True)
class AuditParameters:
    """Which entries to list: those with an id below `before`, of one `action`, of one `kind` of thing."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    limit: Annotated[int, Ge(1), Le(MAX_PAGE)] = 50
    before: Annotated[int, Ge(1), Le(2**63 - 1)] | None = None
    action: Action | None = None
    kind: Kind | None = None


@dataclass(frozen=True, kw_only=True)
class AuditPage:
    """Entries, the newest first; `next_before` is null on the last page."""

    entries: tuple[AuditEntry, ...]
    next_before: int | None


PARAMETERS = TypeAdapter(AuditParameters)
router = APIRouter(responses=PROBLEMS)


@router.get("/audit", response_model=AuditPage, openapi_extra=describe_parameters(PARAMETERS))
async def list_audit(request: Request) -> Response:
    """List who changed what, the newest first."""
    return as_json(await _page(request))


@router.get("/audit.csv", response_class=Response, openapi_extra=describe_parameters(PARAMETERS))
async def audit_as_csv(request: Request) -> Response:
    """List the same for a spreadsheet, which runs nothing of it: such a cell has a ' in front."""
    written = io.StringIO(newline="")
    writer = csv.writer(written)
    writer.writerow(COLUMNS)
    for entry in (await _page(request)).entries:
        cells = {column: getattr(entry, column) for column in COLUMNS} | {"detail": orjson.dumps(entry.detail).decode()}
        writer.writerow(neutralized(str(cell)) if (cell := cells[column]) is not None else "" for column in COLUMNS)
    name = {"Content-Disposition": 'attachment; filename="audit.csv"'}
    return Response(written.getvalue(), headers=name, media_type="text/csv; charset=utf-8")


async def _page(request: Request) -> AuditPage:
    wanted = read_parameters(PARAMETERS, request)
    found = await stored(
        front_of(request).answers.store.audit.page(
            account_of(request), before=wanted.before, action=wanted.action, kind=wanted.kind, limit=wanted.limit + 1
        )
    )
    page = found[: wanted.limit]
    return AuditPage(entries=page, next_before=page[-1].id if len(found) > len(page) else None)
