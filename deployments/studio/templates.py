"""The pages of the library of templates: the list, one with what it achieved, and the form of one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Any, get_args
from urllib.parse import quote

from fastapi import APIRouter, Request, Response

from deployments.studio.forms import Form, read_form
from deployments.studio.languages import language_of
from deployments.studio.pages import Answered, ask, page
from deployments.studio.said import template_in_words
from pipelines.generator.templates import SLOTS
from pipelines.records import Intent, Objective, Tone

PAGE = 50
FILTERS = ("language", "objective", "origin", "archived", "cursor")
FIELDS = ("name", "type", "language", "objective", "tone", "intent", "content")
CHOICES = {"objective": get_args(Objective), "tone": get_args(Tone), "intent": get_args(Intent)}
SPANS = (30, 90, 365)
router = APIRouter(include_in_schema=False)


@router.get("/studio/templates")
async def templates_page(request: Request) -> Response:
    """The library."""
    wanted = {name: request.query_params.get(name) for name in FILTERS} | {"limit": PAGE}
    found = await ask(request, "GET", "/templates", parameters=wanted)
    if not found.ok:
        return await _refusal(request, found)
    return await page(
        request,
        "templates.html",
        templates=found.body["templates"],
        cursor=found.body["next_cursor"],
        wanted=wanted,
        choices=CHOICES,
    )


@router.get("/studio/templates/new")
async def new_template_page(request: Request) -> Response:
    """The form of a new template, filled with another one where `from` names it."""
    given = request.query_params.get("from")
    source = await ask(request, "GET", _path(given)) if given else None
    fields = source.body | {"name": ""} if source and source.ok else {}
    return await _form_page(request, _filled(fields), None, None)


@router.get("/studio/templates/{template_id}")
async def template_page(request: Request, template_id: str) -> Response:
    """One template with what it achieved."""
    one = await ask(request, "GET", _path(template_id))
    if not one.ok:
        return await _refusal(request, one)
    asked = request.query_params.get("days", "")
    days = int(asked) if asked.isdecimal() and int(asked) in SPANS else SPANS[0]
    until = datetime.now(UTC)
    span = {"from": (until - timedelta(days=days)).isoformat(), "to": until.isoformat()}
    bucket = {"bucket": "day" if days == SPANS[0] else "week"}
    achieved = await ask(request, "GET", f"{_path(template_id)}/performance", parameters=span | bucket)
    if not achieved.ok:
        return await _refusal(request, achieved)
    return await page(
        request, "templates/one.html", one=one.body, achieved=achieved.body, days=days, spans=SPANS, choices=CHOICES
    )


@router.get("/studio/templates/{template_id}/edit")
async def edit_template_page(request: Request, template_id: str) -> Response:
    """The form of a template that is there."""
    one = await ask(request, "GET", _path(template_id))
    if not one.ok:
        return await _refusal(request, one)
    return await _form_page(request, _filled(one.body), one.body, None)


@router.post("/studio/templates")
async def create_template(request: Request) -> Response:
    """Add a template, or the form again with what is wrong."""
    form = await read_form(request)
    answer = await ask(request, "POST", "/templates", {name: form.text(name) for name in FIELDS})
    return await _stored(request, form, None, answer)


@router.post("/studio/templates/{template_id}")
async def replace_template(request: Request, template_id: str) -> Response:
    """Replace a template at the version that the form showed."""
    form = await read_form(request)
    fields = {name: form.text(name) for name in FIELDS} | {"version": form.number("version")}
    answer = await ask(request, "PUT", _path(template_id), fields)
    one = {"id": template_id, "version": form.text("version"), "origin": form.text("origin")}
    return await _stored(request, form, one, answer)


@router.post("/studio/templates/{template_id}/archive")
async def archive_template(request: Request, template_id: str) -> Response:
    """Take a template out of use."""
    answer = await ask(request, "DELETE", _path(template_id))
    if not answer.ok:
        return await _refusal(request, answer)
    there = f"/studio/templates/{quote(template_id, safe='')}"
    return Response(status_code=HTTPStatus.NO_CONTENT, headers={"hx-redirect": there})


async def _stored(request: Request, form: Form, one: dict[str, Any] | None, answer: Answered) -> Response:
    if answer.ok:
        there = f"/studio/templates/{answer.body['id']}"
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"hx-redirect": there})
    if answer.status == HTTPStatus.NOT_FOUND:
        return await _refusal(request, answer)
    return await page(
        request,
        "templates/form.html",
        status=HTTPStatus.UNPROCESSABLE_ENTITY,
        **_context(request, form, one, answer),
    )


async def _form_page(request: Request, form: Form, one: dict[str, Any] | None, refused: Answered | None) -> Response:
    return await page(request, "templates/edit.html", **_context(request, form, one, refused))


def _context(request: Request, form: Form, one: dict[str, Any] | None, refused: Answered | None) -> dict[str, Any]:
    in_words = partial(template_in_words, language=language_of(request))
    return {
        "form": form,
        "one": one,
        "refused": refused,
        "choices": CHOICES,
        "slots": tuple(SLOTS),
        "in_words": in_words,
    }


def _filled(fields: dict[str, Any]) -> Form:
    return Form({name: [str(fields[name])] for name in FIELDS if fields.get(name)})


async def _refusal(request: Request, answer: Answered) -> Response:
    return await page(request, "templates/refusal.html", status=answer.status, problem=answer.body)


def _path(template_id: str) -> str:
    return f"/templates/{quote(template_id, safe='')}"
