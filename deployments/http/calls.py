"""What the routes share: the replica, the caller's account, parameters, answers, and refusals as problems."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Protocol, TypeVar

import orjson
from fastapi import Request, Response
from pydantic import TypeAdapter, ValidationError

from deployments.answers import Answers
from deployments.audience import Reader
from deployments.http.problems import Problem, invalid, unavailable
from deployments.imports import Imports
from deployments.keys import StoredKeys
from deployments.live import Live
from deployments.upkeep import Upkeep
from pipelines.records import Model
from store.errors import RowRefused, StoreUnavailable

Kind = TypeVar("Kind")
logger = logging.getLogger(__name__)


class Front(Protocol):
    """What the routes need of the replica: answers, what runs beside them, and models that answered no warm-up yet."""

    answers: Answers
    imports: Imports
    upkeep: Upkeep
    live: Live
    keys: StoredKeys
    not_ready: list[Model]
    read_audience: Reader

    async def close(self) -> None:
        """End what runs beside the requests, then the connections."""


def front_of(request: Request) -> Front:
    """The replica that the request came to."""
    front: Front = request.app.state.front
    return front


def account_of(request: Request) -> str:
    """The account whose key the request came with."""
    account: str = request.scope["account"]
    return account


async def charge_generation(request: Request) -> None:
    """Count a call for which the language model works, where calls are counted.

    Raises:
        Problem: 429.
    """
    if charge := request.scope.get("charge"):
        await charge("generation")


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


async def stored(call: Awaitable[Kind], refusal: Callable[[RowRefused], Problem | None] = lambda _: None) -> Kind:
    """Return what the store says; `refusal` is what a value means that it does not take, None where it is not known.

    Raises:
        Problem: 503 where it does not answer; the refusal, else 422.
    """
    try:
        return await call
    except StoreUnavailable as error:
        raise unavailable("The database does not answer.") from error
    except RowRefused as error:
        if (known := refusal(error)) is not None:
            raise known from error
        # What a route checks never comes here.
        logger.warning("the database refused a value", extra={"action": "value_refused", "error": type(error).__name__})
        raise refused("request", "holds a value that the database does not take") from error


def refused(field: str, message: str) -> Problem:
    """422 for one field."""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"Invalid: {field}.", errors=[{"field": field, "message": message}])


def as_json(content: Any, status: int = HTTPStatus.OK, headers: dict[str, str] | None = None) -> Response:
    """The content, or bytes that are JSON already, as a response."""
    body = content if isinstance(content, bytes) else orjson.dumps(content)
    return Response(body, status, headers, "application/json")
