"""What stands around the pages: signing in and out, the choice of a language, and the files that pages are made of."""

from __future__ import annotations

import gzip
import mimetypes
from functools import cache
from http import HTTPStatus
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from deployments.http import sessions
from deployments.http.gate import Gate
from deployments.http.problems import Problem
from deployments.studio.forms import read_form
from deployments.studio.languages import COOKIE, INTERFACES
from deployments.studio.pages import STATIC, page

YEAR_S = 365 * 24 * 3600
SMALL_BYTES = 1024
router = APIRouter(include_in_schema=False)


@router.get("/sign-in")
async def sign_in_page(request: Request) -> Response:
    """The place to enter an API key."""
    return await page(request, "sign_in.html", next=_local(request.query_params.get("next")), wrong=False)


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Open a session for the account of the key."""
    gate: Gate = request.scope["gate"]
    gate.refuse_blocked(request.headers)
    form = await read_form(request)
    there = _local(form.text("next"))
    caller = await gate.caller_of_key(form.text("key"), request.headers)
    if caller is not None:
        await gate.charge_sign_in(caller)
    cookie = None if caller is None else await gate.open_session(caller)
    if cookie is None:
        wrong = not gate.open_to_all()
        if wrong:
            refused = Problem(HTTPStatus.UNAUTHORIZED, "That is no valid API key.")
            if (answer := await gate.after_failure(refused, request.headers)) is not refused:
                raise answer
        return await page(request, "sign_in.html", status=HTTPStatus.UNAUTHORIZED, next=there, wrong=wrong)
    response = RedirectResponse(there, HTTPStatus.SEE_OTHER)
    response.set_cookie(
        sessions.COOKIE,
        cookie,
        max_age=sessions.MAX_AGE_S,
        httponly=True,
        samesite="lax",
        secure=_is_secure(request),
    )
    return response


@router.post("/studio/sign-out")
async def sign_out(request: Request) -> Response:
    """End the session of this browser."""
    gate: Gate = request.scope["gate"]
    await gate.close_session(request.headers)
    response = Response(status_code=HTTPStatus.NO_CONTENT, headers={"hx-redirect": "/sign-in"})
    response.delete_cookie(sessions.COOKIE)
    return response


@router.post("/studio/language/{language}")
async def choose_language(request: Request, language: str) -> Response:
    """Remember in which language this browser wants the studio."""
    if language not in INTERFACES:
        raise Problem(HTTPStatus.NOT_FOUND, "There is no such language here.")
    response = Response(status_code=HTTPStatus.NO_CONTENT, headers={"hx-refresh": "true"})
    response.set_cookie(COOKIE, language, max_age=YEAR_S, httponly=True, samesite="lax", secure=_is_secure(request))
    return response


@router.get("/studio/static/{name}")
async def static_file(request: Request, name: str) -> Response:
    """A file that pages are made of."""
    if (found := _static(name)) is None:
        raise Problem(HTTPStatus.NOT_FOUND, "There is no such file.")
    plain, packed, media_type = found
    headers = {
        "cache-control": f"public, max-age={YEAR_S}, immutable",
        "vary": "Accept-Encoding",
        "x-content-type-options": "nosniff",
    }
    if packed and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(packed, headers=headers | {"content-encoding": "gzip"}, media_type=media_type)
    return Response(plain, headers=headers, media_type=media_type)


@cache
def _static(name: str) -> tuple[bytes, bytes | None, str] | None:
    """The bytes of a file, the same packed where that is worth it, and its media type."""
    path = STATIC / name
    # Only what the folder itself lists: a name is what a stranger sends.
    if name not in {each.name for each in STATIC.iterdir()}:
        return None
    plain = path.read_bytes()
    packed = gzip.compress(plain, 9, mtime=0) if len(plain) > SMALL_BYTES else None
    return plain, packed, mimetypes.guess_type(name)[0] or "application/octet-stream"


def _local(address: str | None) -> str:
    """A path of this server; an address elsewhere becomes the first page."""
    parts = urlsplit(address or "/")
    is_local = not parts.scheme and not parts.netloc and parts.path.startswith("/") and "\\" not in parts.path
    return parts.path if is_local and not parts.path.startswith("//") else "/"


def _is_secure(request: Request) -> bool:
    return "https" in {request.url.scheme, request.headers.get("x-forwarded-proto", "")}
