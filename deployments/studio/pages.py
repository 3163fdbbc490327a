"""How a page is made: what the API answers, in a template, in the user's language, under a strict policy."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import httpx2
import orjson
from fastapi import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from deployments.http.calls import account_of, front_of
from deployments.http.gate import Gate
from deployments.studio.languages import INTERFACES, Formats, Interface, language_of, translations
from store.errors import StoreUnavailable

HERE = Path(__file__).parent
STATIC = HERE / "static"
HEADERS = {
    # Scripts, styles and pictures of this server alone, none of them inside a page.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
    "vary": "Accept-Language, Cookie",
}


@dataclass(frozen=True)
class Answered:
    """What the API said: `body` is its JSON, of a refusal the problem details."""

    status: int
    body: Any

    @property
    def ok(self) -> bool:
        """Whether the call did what it was asked for."""
        return self.status < HTTPStatus.BAD_REQUEST

    def error(self, field: str) -> str | None:
        """What is said about a field, or about anything within it; None where nothing is."""
        errors = () if self.ok else self.body.get("errors", ())
        return next((one["message"] for one in errors if one["field"].partition(".")[0] == field), None)


async def ask(
    request: Request, method: str, path: str, body: Any = None, parameters: Mapping[str, Any] | None = None
) -> Answered:
    """Call the product's own API, in this process and as the caller's account.

    A page thus shows what the API says, validated and refused in the same places.
    """
    app = request.app
    who = {name: request.scope[name] for name in ("caller", "account", "request_id")}

    async def as_caller(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, **who}, receive, send)

    given = {name: value for name, value in (parameters or {}).items() if value not in {None, ""}}
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(as_caller), base_url="http://studio", timeout=None
    ) as client:
        content = None if body is None else orjson.dumps(body)
        headers: dict[str, str] = {"accept-language": language_of(request)}
        if body is not None:
            headers["content-type"] = "application/json"
        response = await client.request(method, path, content=content, headers=headers, params=given)
    is_json = "json" in response.headers.get("content-type", "")
    return Answered(response.status_code, orjson.loads(response.content) if is_json else response.text)


@cache
def _environment_in(language: Interface) -> Environment:
    # One a language and no overlays: those share the words of the language that was asked for last.
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["static"] = static_url
    environment.install_gettext_translations(  # type: ignore[attr-defined]  # of the i18n extension
        translations(language),
        newstyle=True,
    )
    counted = cast("Callable[..., str]", environment.globals["ngettext"])
    show = Formats(language, UTC)

    @pass_context
    def ngettext(context: Context, one: str, several: str, n: int, /, **places: Any) -> str:
        """A count is written as the language writes numbers."""
        return counted(context, one, several, n, **{"num": show.number(n)} | places)

    environment.globals["ngettext"] = ngettext
    return environment


@cache
def static_url(name: str) -> str:
    """The address of a file of static/, which changes with its content so that browsers may keep it.

    Raises:
        FileNotFoundError: there is no such file.
    """
    return f"/studio/static/{name}?v={hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


async def page(request: Request, template: str, *, status: int = HTTPStatus.OK, **context: Any) -> Response:
    """Render a template of templates/ with what every page knows.

    These are `language`, `languages`, `path`, `csrf`, `signed_in`, `account`, `settings` and `show` (numbers and times
    as the language writes them). The words of a template are marked for translation (`_` or `{% trans %}`).
    """
    account = request.scope.get("account")
    language = language_of(request)
    settings = await _settings(request) if account else None
    gate: Gate | None = request.scope.get("gate")
    request_headers = Headers(scope=request.scope)
    text = (
        _environment_in(language)
        .get_template(template)
        .render(
            language=language,
            languages=INTERFACES,
            path=request.url.path,
            csrf=gate.sessions.csrf_token(account, request_headers) if gate and account else "",
            signed_in=bool(gate and account and not gate.open_to_all()),
            account=account,
            settings=settings,
            show=Formats(language, ZoneInfo(settings.time_zone if settings else "UTC")),
            **context,
        )
    )
    return Response(text, status, HEADERS, "text/html; charset=utf-8")


async def _settings(request: Request) -> Any:
    """The account's settings, from what the replica has read of it; None where the database does not answer."""
    try:
        return (await front_of(request).answers.own_posts.record(account_of(request))).settings
    except StoreUnavailable:
        return None
