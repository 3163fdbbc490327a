"""The routes that bring outcomes in as files, take everything along, and delete it."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, ClassVar
from uuid import UUID

import uuid_utils.compat
from annotated_types import Ge, Le
from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import ConfigDict, TypeAdapter, ValidationError

from deployments.http import uploads
from deployments.http.bodies import PROBLEMS
from deployments.http.calls import (
    Front,
    account_of,
    as_json,
    describe_parameters,
    front_of,
    read_parameters,
    refused,
    stored,
)
from deployments.http.problems import Problem, invalid
from deployments.http.streams import ClosedStream
from deployments.imports import Imports, waiting_file
from pipelines.outcomes.exports import end_of_range
from pipelines.outcomes.tables import SCHEMAS, TABLES, TableContent, TableFormat
from pipelines.records import Moment
from store.errors import RowRefused, StoreError
from store.imports import AccountDay, Report, StoredImport, Upload

MAX_PAGE, MAX_DAYS = 200, 4_000
logger = logging.getLogger(__name__)
POST_ID = re.compile(r"[^\x00-\x1f]{1,128}")
# Clocks differ.
SOON = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True)
class ImportForm:
    """What a form says beside its file: the moment of its readings."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    captured_at: Moment | None = None


@dataclass(frozen=True, kw_only=True)
class ImportParameters:
    """Which imports to list; `cursor` is the `next_cursor` of the page before."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    limit: Annotated[int, Ge(1), Le(MAX_PAGE)] = 50
    cursor: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class DayParameters:
    """How many rows of days to list, from the day before `before` on; the last day comes whole."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    limit: Annotated[int, Ge(1), Le(MAX_DAYS)] = 366
    before: date | None = None


@dataclass(frozen=True, kw_only=True)
class DayPage:
    """Days of the account as overviews told them, the newest first."""

    days: tuple[AccountDay, ...]


@dataclass(frozen=True, kw_only=True)
class ExportParameters:
    """What to write, and how: every reading of each post, or the days of the account."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    format: TableFormat = "csv"
    of: TableContent = "posts"


@dataclass(frozen=True, kw_only=True)
class DeletionParameters:
    """The name of the caller's own account, so that nobody deletes it by a slip."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    confirm: str


@dataclass(frozen=True, kw_only=True)
class ImportPage:
    """Imports, the newest first; `next_cursor` is null on the last page."""

    imports: tuple[StoredImport, ...]
    next_cursor: str | None


@dataclass(frozen=True, kw_only=True)
class Deleted:
    """How many rows of each table were deleted; `cache` is false where its entries go only when their time is up."""

    deleted: dict[str, int]
    cache: bool


FORM = TypeAdapter(ImportForm)
IMPORT_PARAMETERS = TypeAdapter(ImportParameters)
DAY_PARAMETERS = TypeAdapter(DayParameters)
EXPORT_PARAMETERS = TypeAdapter(ExportParameters)
DELETION_PARAMETERS = TypeAdapter(DeletionParameters)
FORM_SCHEMA = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "captured_at": {"type": "string", "format": "date-time"},
    },
}
BODY = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": FORM_SCHEMA}}}}
ImportId = Annotated[str, Path(description="The id of an import.", json_schema_extra={"format": "uuid"})]
PostId = Annotated[str, Path(description="The id of a post.")]
router = APIRouter(responses=PROBLEMS)


@router.post("/metrics/import", response_model=Report, openapi_extra=BODY)
async def import_file(request: Request) -> Response:
    """Store what one of X's exports, or tweets.js of its archive, says: all of it or nothing."""
    now = datetime.now(UTC)
    account, front = account_of(request), front_of(request)
    with front.imports.turn(account), waiting_file() as file:
        form = await uploads.receive(request, file, {"captured_at": "when its counts were taken"})
        captured_at = _captured_at(form.fields, now)
        ended = end_of_range(form.file_name or "")
        upload = Upload(
            id=uuid_utils.compat.uuid7(),
            account_id=account,
            path=uploads.path_of(file),
            file_name=form.file_name,
            file_hash=form.digest,
            captured_at=captured_at,
            sent_at=now,
            end_of_range=ended if ended and ended < now else None,
            request_id=request.scope["request_id"],
        )
        try:
            report = await front.imports.run(upload)
        except RowRefused as error:
            raise refused("file", "holds a value that the database does not take") from error
    try:
        await front.answers.store.authorship.link(account)
    except StoreError as error:
        logger.warning("posts not linked to templates: %s", error, extra={"action": "posts_not_linked"})
    await _refresh(front, account)
    return as_json(report)


@router.get("/metrics/imports", response_model=ImportPage, openapi_extra=describe_parameters(IMPORT_PARAMETERS))
async def list_imports(request: Request) -> Response:
    """List what brought outcomes in, the newest first."""
    wanted = read_parameters(IMPORT_PARAMETERS, request)
    table = front_of(request).answers.store.imports
    found = await stored(table.page(account_of(request), before=wanted.cursor, limit=wanted.limit + 1))
    page = found[: wanted.limit]
    return as_json(ImportPage(imports=page, next_cursor=str(page[-1].id) if len(found) > len(page) else None))


@router.get("/metrics/days", response_model=DayPage, openapi_extra=describe_parameters(DAY_PARAMETERS))
async def list_days(request: Request) -> Response:
    """List what X told of whole days of the account: overviews and videos."""
    wanted = read_parameters(DAY_PARAMETERS, request)
    table = front_of(request).answers.store.imports
    found = await stored(table.days(account_of(request), before=wanted.before, limit=wanted.limit))
    return as_json(DayPage(days=found))


@router.get(
    "/metrics/export",
    response_class=StreamingResponse,
    responses={200: {"content": {table.media_type: {} for table in TABLES.values()}}},
    openapi_extra=describe_parameters(EXPORT_PARAMETERS),
)
async def export_everything(request: Request) -> Response:
    """Every post with every reading, as they stand now, as CSV or Parquet."""
    wanted = read_parameters(EXPORT_PARAMETERS, request)
    imports = front_of(request).imports
    table = TABLES[wanted.format]
    parts = _table(imports, account_of(request), wanted)
    # What cannot be read at all is a 503 and no broken file.
    first = await stored(anext(parts))
    name = {"Content-Disposition": f'attachment; filename="{wanted.of}.{wanted.format}"'}
    return ClosedStream(_joined(first, parts), source=parts, media_type=table.media_type, headers=name)


@router.delete("/metrics/imports/{import_id}", response_model=Deleted)
async def delete_import(request: Request, import_id: ImportId) -> Response:
    """Delete a file: what it alone told goes, a post that others tell too loses the text that it brought."""
    try:
        identity = UUID(import_id)
    except ValueError:
        raise _unknown("import") from None
    account = account_of(request)
    return await _deleted(request, front_of(request).imports.delete_import(account, identity), "import")


@router.delete("/metrics/posts/{post_id}", response_model=Deleted)
async def delete_post(request: Request, post_id: PostId) -> Response:
    """Delete a post with everything that was told of it."""
    if not POST_ID.fullmatch(post_id):
        raise _unknown("post")
    account = account_of(request)
    return await _deleted(request, front_of(request).imports.delete_post(account, post_id), "post")


@router.delete("/account", response_model=Deleted, openapi_extra=describe_parameters(DELETION_PARAMETERS))
async def delete_account(request: Request) -> Response:
    """Delete everything that is stored of the caller's account: outcomes, queries, experiments, templates, settings."""
    account = account_of(request)
    if read_parameters(DELETION_PARAMETERS, request).confirm != account:
        raise refused("confirm", f"must be the name of the account, {account}, to delete all of it")
    return await _deleted(request, front_of(request).imports.delete_account(account), "account")


async def _deleted(request: Request, call: Awaitable[dict[str, int] | None], what: str) -> Response:
    front = front_of(request)
    deleted = await stored(call)
    if deleted is None:
        raise _unknown(what)
    account = account_of(request)
    forgotten = await front.answers.cache.forget(account)
    await _refresh(front, account)
    return as_json(Deleted(deleted=deleted, cache=forgotten))


async def _refresh(front: Front, account: str) -> None:
    """What this replica knows of an account is read anew; the others do so within half a minute."""
    await front.answers.library.refresh(account)
    await front.answers.own_posts.refresh(account)


async def _table(imports: Imports, account: str, wanted: ExportParameters) -> AsyncGenerator[bytes, None]:
    """The table in parts, none of them empty; the first comes once the database answered."""
    table = TABLES[wanted.format](SCHEMAS[wanted.of])
    with imports.turn(account):
        async with aclosing(imports.rows(account, wanted.of)) as stored_rows:
            async for rows in stored_rows:
                if part := await asyncio.to_thread(table.write, rows):
                    yield part
        yield await asyncio.to_thread(table.close)


async def _joined(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    yield first
    async for part in rest:
        yield part


def _captured_at(fields: dict[str, str], now: datetime) -> datetime | None:
    try:
        told = FORM.validate_python(fields).captured_at
    except ValidationError as error:
        raise invalid(error) from error
    if told and told > now + SOON:
        raise refused("captured_at", "must not lie in the future")
    return told


def _unknown(what: str) -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, f"There is no such {what}.")
