"""What the routes share: the replica, the caller's account, parameters, answers, and refusals as problems."""

from __future__ import annotations

from collections.abc import Awaitable
from http import HTTPStatus
from typing import Any, Protocol, TypeVar

import orjson
from fastapi import Request, Response
from pydantic import TypeAdapter, ValidationError

from deployments.answers import Answers
from deployments.http.problems import Problem, invalid, unavailable
from pipelines.records import Model
from store.errors import StoreUnavailable

Kind = TypeVar("Kind")


class Front(Protocol):
    """What the routes need of the replica: answers, and which models have not answered a warm-up yet."""

    answers: Answers
    not_ready: list[Model]


def front_of(request: Request) -> Front:
    """The replica that the request came to."""
    front: Front = request.app.state.front
    return front


def account_of(request: Request) -> str:
    """The account whose key the request came with."""
    account: str = request.scope["account"]
    return account


def read_parameters(adapter: TypeAdapter[Kind], request: Request) -> Kind:
    """Return the validated parameters of the query.

    Raises:
        Problem: 422 that names the fields.
    """
    try:
        return adapter.validate_python(dict(request.query_params))
    except ValidationError as error:
        raise invalid(error) from error


def describe_parameters(adapter: TypeAdapter[Any]) -> dict[str, Any]:
    """Describe parameters of the query for /openapi.json."""
    schema = adapter.json_schema()
    required = schema.get("required", ())
    return {
        "parameters": [
            {"name": name, "in": "query", "required": name in required, "schema": field}
            for name, field in schema["properties"].items()
        ]
    }


async def stored(call: Awaitable[Kind]) -> Kind:
    """Return what the store says.

    Raises:
        Problem: 503 where it does not answer.
    """
    try:
        return await call
    except StoreUnavailable as error:
        raise unavailable("The database does not answer.") from error


def refused(field: str, message: str) -> Problem:
    """422 for one field."""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"Invalid: {field}.", errors=[{"field": field, "message": message}])


def as_json(content: Any, status: int = HTTPStatus.OK, headers: dict[str, str] | None = None) -> Response:
    """The content, or bytes that are JSON already, as a response."""
    body = content if isinstance(content, bytes) else orjson.dumps(content)
    return Response(body, status, headers, "application/json")
