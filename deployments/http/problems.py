"""Errors as RFC 9457 problem details; nothing of an exception, a path or SQL ever leaves in one."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from pipelines.records import HISTORY_TAGS

OF_PYTHON = re.compile(r"^(?:Tuple|List|String|Data) should have at (least|most) (\d+ \w+)(?: after validation)?.*$")
# What Serve and HAProxy count for it as well; HTTP has no name for it.
CLIENT_LEFT = 499
logger = logging.getLogger(__name__)


class Problem(Exception):
    """A request that cannot be answered: HTTP status, what happened, and for bad input the fields."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[dict[str, str]] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = headers or {}


def unavailable(detail: str) -> Problem:
    """503 that asks the client to come back in a second."""
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": "1"})


def refuse_compressed(request: Request) -> None:
    """Refuse a body with a content-encoding: a small one may hold a very large one.

    Raises:
        Problem: 415.
    """
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "Send the body as it is: with a content-encoding, such as gzip, it is not read.",
            headers={"Accept-Encoding": "identity"},
        )


def invalid(error: ValidationError) -> Problem:
    """422 that names each field at fault."""
    errors = field_errors(error)
    fields = ", ".join(dict.fromkeys(entry["field"] for entry in errors))
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"Invalid: {fields}.", errors=errors)


def field_errors(error: ValidationError) -> list[dict[str, str]]:
    """List {"field", "message"} for each thing pydantic found; the input itself is not repeated."""
    return [{"field": field_path(entry["loc"]), "message": _message(entry)} for entry in found(error)]


def found(error: ValidationError) -> list[Any]:
    """Pydantic's own entries, less a list that is too short only because its items were refused."""
    entries: list[Any] = error.errors(include_url=False, include_context=False, include_input=False)
    for entry in entries:
        entry["loc"] = tuple(part for part in entry["loc"] if part not in HISTORY_TAGS)
    parents = {entry["loc"][:1] for entry in entries if len(entry["loc"]) > 1}
    return [entry for entry in entries if entry["type"] != "too_short" or entry["loc"] not in parents]


def _message(entry: Any) -> str:
    known: dict[str, str] = {
        "unexpected_keyword_argument": "unknown field",
        "extra_forbidden": "unknown field",
        "missing_argument": "required",
        "missing": "required",
    }
    message = known.get(entry["type"], str(entry["msg"]).removeprefix("Value error, "))
    # Pydantic speaks of Python to people who sent JSON.
    message = OF_PYTHON.sub(r"must have at \1 \2", message)
    return message.replace("Input should be", "must be").replace("String should match pattern", "must match")


def field_path(location: Sequence[int | str]) -> str:
    """Write ("drafts", 3, "text") as drafts[3].text; the whole body is called body."""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path or "body"


def render(problem: Problem, request_id: str | None) -> Response:
    """The problem as an application/problem+json response."""
    content = details(problem, request_id)
    return Response(orjson.dumps(content), problem.status, problem.headers, "application/problem+json")


def details(problem: Problem, request_id: str | None) -> dict[str, Any]:
    """The problem as RFC 9457 writes it."""
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
    }
    if problem.errors:
        content["errors"] = list(problem.errors)
    if request_id:
        content["request_id"] = request_id
    return content


def unexpected(error: Exception) -> Problem:
    """500 for what should not happen; only the log says what it was."""
    logger.error("unexpected error", exc_info=error, extra={"action": "unexpected_error"})
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "Something failed here; the log has it under this request id.")


def install(api: FastAPI) -> None:
    """Answer every error of `api` as problem details."""

    def request_id(request: Request) -> str | None:
        identity: str | None = request.scope.get("request_id")
        return identity

    def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)  # noqa: S101  # registered for this class only
        return render(error, request_id(request))

    def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101  # registered for this class only
        return render(
            Problem(error.status_code, str(error.detail), headers=dict(error.headers or {})), request_id(request)
        )

    def on_leaving(_request: Request, _error: Exception) -> Response:
        # Nobody reads it; the metrics count it, and not among the errors of ours.
        return Response(status_code=CLIENT_LEFT)

    def on_anything(request: Request, error: Exception) -> Response:
        return render(unexpected(error), request_id(request))

    api.add_exception_handler(Problem, on_problem)
    api.add_exception_handler(HTTPException, on_http)
    api.add_exception_handler(ClientDisconnect, on_leaving)
    api.add_exception_handler(Exception, on_anything)
