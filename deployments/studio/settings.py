"""The account's settings, what this installation can do, and taking everything along or deleting it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from zoneinfo import available_timezones

from fastapi import APIRouter, Request, Response

from deployments.http.calls import account_of
from deployments.keys import Caller
from deployments.studio.forms import read_form
from deployments.studio.languages import language_of, translations
from deployments.studio.pages import Answered, ask, page
from deployments.studio.said import setting_in_words
from store.keys import Scope

router = APIRouter(include_in_schema=False)


@router.get("/studio/settings")
async def settings_page(request: Request) -> Response:
    """Everything about the account that can be set, and what is configured around it."""
    caller: Caller = request.scope["caller"]
    account, ready, collector, keys = await asyncio.gather(
        *(ask(request, "GET", path) for path in ("/account", "/readyz", "/collector", "/keys"))
    )
    return await page(
        request,
        "settings.html",
        wanted=account.body if account.ok else None,
        zones=_zones(),
        in_words=_in_words(request),
        answer=None,
        ready=ready.body,
        collector=collector.body if collector.ok else None,
        name=account_of(request),
        deleted=None,
        is_admin=caller.may("admin"),
        keys=keys,
        scopes=_scopes(request),
        made=None,
    )


@router.post("/studio/settings")
async def save_settings(request: Request) -> Response:
    """Save the form; refused with what is wrong beside the field."""
    form = await read_form(request)
    days = form.text("query_retention_days")
    wanted: dict[str, Any] = {
        "length_limit": _whole(form.text("length_limit")),
        "time_zone": form.text("time_zone"),
        "query_retention_days": _whole(days) if days else None,
    }
    answer = await ask(request, "PUT", "/account", wanted)
    status = HTTPStatus.OK if answer.ok else HTTPStatus.UNPROCESSABLE_ENTITY
    shown = {"wanted": wanted, "zones": _zones(), "answer": answer, "in_words": _in_words(request)}
    return await page(request, "settings/form.html", status=status, **shown)


@router.post("/studio/settings/zone")
async def take_zone(request: Request) -> Response:
    """Put the account on the time zone of its browser, and show the page again; where that fails, the settings."""
    form = await read_form(request)
    account = await ask(request, "GET", "/account")
    if account.ok:
        account = await ask(request, "PUT", "/account", account.body | {"time_zone": form.text("time_zone")})
    then = {"hx-refresh": "true"} if account.ok else {"hx-redirect": "/studio/settings"}
    return Response(status_code=HTTPStatus.NO_CONTENT, headers=then)


@router.post("/studio/settings/delete")
async def delete_account(request: Request) -> Response:
    """Delete everything of the account, where its name was typed."""
    form = await read_form(request)
    answer = await ask(request, "DELETE", "/account", parameters={"confirm": form.text("confirm")})
    status = HTTPStatus.OK if answer.ok else HTTPStatus.UNPROCESSABLE_ENTITY
    return await page(request, "settings/deletion.html", status=status, name=account_of(request), deleted=answer)


@router.post("/studio/keys")
async def make_key(request: Request) -> Response:
    """Make a key, and show it this once."""
    form = await read_form(request)
    wanted: dict[str, Any] = {"name": form.text("name"), "scope": form.text("scope")}
    if days := form.text("days"):
        wanted["days"] = _whole(days)
    return await _keys(request, await ask(request, "POST", "/keys", wanted))


@router.delete("/studio/keys/{key_id}")
async def revoke_key(request: Request, key_id: str) -> Response:
    """Revoke a key."""
    answer = await ask(request, "DELETE", f"/keys/{quote(key_id, safe='')}")
    return await _keys(request, None if answer.ok else answer)


async def _keys(request: Request, made: Answered | None) -> Response:
    status = HTTPStatus.OK if made is None or made.ok else HTTPStatus.UNPROCESSABLE_ENTITY
    keys = await ask(request, "GET", "/keys")
    return await page(request, "settings/keys.html", status=status, keys=keys, scopes=_scopes(request), made=made)


def _scopes(request: Request) -> dict[Scope, str]:
    _ = translations(language_of(request)).gettext
    return {"read": _("reads"), "write": _("reads and writes"), "admin": _("administers the account")}


def _whole(text: str) -> int | str:
    """The number that a field holds; what is none is left for the API to refuse."""
    return int(text) if text.strip().isdecimal() else text


def _in_words(request: Request) -> Callable[[str], str]:
    return partial(setting_in_words, language=language_of(request))


def _zones() -> list[str]:
    return sorted(zone for zone in available_timezones() if "/" in zone or zone == "UTC")
