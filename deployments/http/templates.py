"""The routes under /templates: the library of frames, and what each of them achieved."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Annotated, ClassVar, TypeVar

from annotated_types import Ge, Le, MaxLen, MinLen
from fastapi import APIRouter, Path, Request, Response
from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter

from deployments.http.bodies import PROBLEMS, JsonBody
from deployments.http.calls import account_of, as_json, describe_parameters, front_of, read_parameters, refused, stored
from deployments.http.problems import Problem
from deployments.library import Library
from pipelines.generator.templates import parse_templates
from pipelines.records import STRICT, Intent, Language, Moment, Objective, ShortText, Template, Text, Tone, clean_up_to
from store.errors import RowRefused
from store.templates import UNIQUE_NAME, Bucket, Filter, Origin, Performance, StoredTemplate, TemplateTable

MAX_PAGE = 200
ID = re.compile(r"[1-9][0-9]{0,17}")
# Braces around one thing that is no name: meant as a slot with an attribute or a format, which no slot has.
NO_SLOT = re.compile(r"\{(?!\?)(?:[^{}|]*[^\w{}|][^{}|]*)?\}")
Kind = Annotated[str, MinLen(1), MaxLen(100), AfterValidator(clean_up_to(100))]
Row = TypeVar("Row")


@dataclass(frozen=True, kw_only=True)
class NewTemplate:
    """A frame of the account's own; `content` as in pipelines.generator.templates."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    name: ShortText
    type: Kind
    language: Language
    objective: Objective
    tone: Tone
    intent: Intent
    content: Text


@dataclass(frozen=True, kw_only=True)
class ReplacedTemplate(NewTemplate):
    """All of a template anew, and the `version` that it replaces: another one by now is 409."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    version: Annotated[int, Ge(1), Le(2**31 - 1)]


@dataclass(frozen=True, kw_only=True)
class ListParameters:
    """Which templates to list; `cursor` is the `next_cursor` of the page before."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    language: Language | None = None
    objective: Objective | None = None
    tone: Tone | None = None
    intent: Intent | None = None
    origin: Origin | None = None
    archived: bool = False
    limit: Annotated[int, Ge(1), Le(MAX_PAGE)] = 50
    cursor: Annotated[int, Ge(0), Le(2**63 - 1)] = 0


@dataclass(frozen=True, kw_only=True)
class PerformanceParameters:
    """The span of the readings, `from` on and before `to`, and how it is divided; days and weeks are UTC."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    since: Annotated[Moment | None, Field(alias="from")] = None
    until: Annotated[Moment | None, Field(alias="to")] = None
    bucket: Bucket = "day"


@dataclass(frozen=True, kw_only=True)
class TemplatePage:
    """Templates in the order in which they were made; `next_cursor` is null on the last page."""

    templates: tuple[StoredTemplate, ...]
    next_cursor: str | None


@dataclass(frozen=True, kw_only=True)
class TemplatePerformance(Performance):
    """What a template achieved, by day or week."""

    template_id: int
    bucket: Bucket


EXAMPLE_TEMPLATE = {
    "name": "our own launch",
    "type": "announcement",
    "language": "en",
    "objective": "awareness",
    "tone": "friendly",
    "intent": "announce",
    "content": "{It is here|It has arrived}: {topic}.{? More: {url}}",
}
NEW_BODY = JsonBody(NewTemplate, EXAMPLE_TEMPLATE)
REPLACED_BODY = JsonBody(ReplacedTemplate, EXAMPLE_TEMPLATE | {"version": 1})
BODIES = (NEW_BODY, REPLACED_BODY)
LIST_PARAMETERS = TypeAdapter(ListParameters)
PERFORMANCE_PARAMETERS = TypeAdapter(PerformanceParameters)
TemplateId = Annotated[str, Path(description="The id of a template.", json_schema_extra={"pattern": ID.pattern})]
router = APIRouter(responses=PROBLEMS)


@router.get("/templates", response_model=TemplatePage, openapi_extra=describe_parameters(LIST_PARAMETERS))
async def list_templates(request: Request) -> Response:
    """List the account's templates."""
    wanted = read_parameters(LIST_PARAMETERS, request)
    filters = asdict(wanted) | {"limit": wanted.limit + 1}
    found = await _stored(_table(request).page(account_of(request), Filter(after=filters.pop("cursor"), **filters)))
    page = found[: wanted.limit]
    return as_json(TemplatePage(templates=page, next_cursor=str(page[-1].id) if len(found) > len(page) else None))


@router.get("/templates/{template_id}", response_model=StoredTemplate)
async def get_template(request: Request, template_id: TemplateId) -> Response:
    """Return one template, archived or not."""
    found = await _stored(_table(request).find(account_of(request), _number(template_id)))
    if found is None:
        raise _unknown()
    return as_json(found)


@router.get(
    "/templates/{template_id}/performance",
    response_model=TemplatePerformance,
    openapi_extra=describe_parameters(PERFORMANCE_PARAMETERS),
)
async def template_performance(request: Request, template_id: TemplateId) -> Response:
    """Tell what the posts of a template achieved, each counted once, at its latest reading."""
    number = _number(template_id)
    span = read_parameters(PERFORMANCE_PARAMETERS, request)
    if span.since and span.until and span.since >= span.until:
        raise refused("to", "must be later than from")
    achieved = await _stored(
        _table(request).performance(account_of(request), number, span.since, span.until, span.bucket)
    )
    if achieved is None:
        raise _unknown()
    return as_json({"template_id": number, "bucket": span.bucket} | asdict(achieved))


@router.post("/templates", response_model=StoredTemplate, status_code=201, openapi_extra=NEW_BODY.openapi)
async def create_template(request: Request) -> Response:
    """Add a template of the account's own."""
    template = _checked(await NEW_BODY.read(request))
    created = await _stored(_table(request).create(account_of(request), template))
    await _library(request).refresh(account_of(request))
    return as_json(created, HTTPStatus.CREATED, {"Location": f"/templates/{created.id}"})


@router.put("/templates/{template_id}", response_model=StoredTemplate, openapi_extra=REPLACED_BODY.openapi)
async def replace_template(request: Request, template_id: TemplateId) -> Response:
    """Replace a template; a bundled one becomes the account's own, which no release changes."""
    account, number = account_of(request), _number(template_id)
    body = await REPLACED_BODY.read(request)
    templates = _table(request)
    replaced = await _stored(templates.replace(account, number, _checked(body), body.version))
    if replaced is None:
        current = await _stored(templates.find(account, number))
        raise _unknown() if current is None else _outdated(current)
    await _library(request).refresh(account)
    return as_json(replaced)


@router.delete("/templates/{template_id}", status_code=204)
async def archive_template(request: Request, template_id: TemplateId) -> Response:
    """Archive a template: nothing is written with it any more, what it achieved stays."""
    if not await _stored(_table(request).archive(account_of(request), _number(template_id))):
        raise _unknown()
    await _library(request).refresh(account_of(request))
    return Response(status_code=HTTPStatus.NO_CONTENT)


def _library(request: Request) -> Library:
    return front_of(request).answers.library


def _table(request: Request) -> TemplateTable:
    return front_of(request).answers.store.templates


def _number(template_id: str) -> int:
    if not ID.fullmatch(template_id):
        raise _unknown()
    return int(template_id)


def _checked(body: NewTemplate) -> Template:
    fields = asdict(body)
    fields.pop("version", None)
    if odd := NO_SLOT.search(body.content):
        raise refused("content", f"character {odd.start()} opens braces that hold neither a slot nor alternatives")
    try:
        (template,) = parse_templates([fields])
    except ValueError as error:
        raise refused("content", str(error)) from error
    return template


async def _stored(call: Awaitable[Row]) -> Row:
    """Return what the store says, or its refusal as a problem."""
    return await stored(call, _refusal)


def _refusal(error: RowRefused) -> Problem | None:
    if error.constraint != UNIQUE_NAME:
        return None
    taken = [{"field": "name", "message": "another template of this language has it, archived ones included"}]
    return Problem(HTTPStatus.CONFLICT, "The name is taken.", errors=taken)


def _unknown() -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, "There is no such template.")


def _outdated(current: StoredTemplate) -> Problem:
    if current.archived_at:
        return Problem(HTTPStatus.CONFLICT, "The template is archived.")
    now = [{"field": "version", "message": f"the template is at version {current.version}"}]
    return Problem(HTTPStatus.CONFLICT, "The template was changed in between.", errors=now)
