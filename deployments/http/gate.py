"""The gate before every route: request id, API key, body size, how many may be inside at once, and HEAD as GET."""

from __future__ import annotations

import hmac
import logging
import random
import re
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus

import uuid_utils
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.http.problems import Problem, render, unavailable

logger = logging.getLogger(__name__)

DEFAULT_ACCOUNT = "default"
OPEN_PATHS = frozenset({"/healthz", "/readyz", "/openapi.json"})
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
MIB = 1024 * 1024
BODY_LIMIT, LARGE_BODY_LIMIT = MIB, 16 * MIB
LARGE_BODIES = re.compile(r"/predict|/ab-test/[^/]+/events")


class Gate:
    """ASGI middleware; puts `request_id` and `account` into the scope and answers 503 above `max_requests` inside.

    HEAD is answered as GET is, status and headers alike, without the body (RFC 9110, section 9.3.2).

    It logs every refused or failed request, and `log_share` of the others.

    Args:
        app: what stands behind the gate.
        keys: API key of each account; without any, every caller is the default account.
        on_response: told path template, status and seconds of every request, for metrics.
    """

    def __init__(
        self,
        app: ASGIApp,
        keys: Mapping[str, str],
        on_response: Callable[[str, int, float], None],
    ) -> None:
        self.app = app
        self.keys = {account: key.encode() for account, key in keys.items()}
        self.max_requests = 1
        self.log_share = 1.0
        self.inside = 0
        self.on_response = on_response

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or answer it here."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            # A scope of its own: from the old one the server knows that no body may follow.
            scope, send = {**scope, "method": "GET"}, _without_body(send)
        started = time.perf_counter()
        headers = Headers(scope=scope)
        # Serve gives every request an id, takes the client's where there is one, and answers with it.
        given = headers.get("x-request-id", "")
        scope["request_id"] = given if REQUEST_ID.fullmatch(given) else str(uuid_utils.uuid7())
        status = HTTPStatus.INTERNAL_SERVER_ERROR

        async def noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        counted = scope["path"] not in OPEN_PATHS
        self.inside += counted
        try:
            self._admit(scope, headers)
            await self.app(scope, self._bounded(scope, receive), noting_status)
        except Problem as problem:
            await render(problem, scope["request_id"])(scope, receive, noting_status)
        finally:
            self.inside -= counted
            self._note(scope, status, time.perf_counter() - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unknown")
        self.on_response(route, status, seconds)
        if status < HTTPStatus.BAD_REQUEST and random.random() >= self.log_share:
            return
        logger.log(
            logging.WARNING if status >= HTTPStatus.INTERNAL_SERVER_ERROR else logging.INFO,
            "request",
            extra={
                "action": "request",
                "request_id": scope["request_id"],
                "endpoint": route,
                "status": status,
                "milliseconds": round(seconds * 1000, 1),
            },
        )

    def _admit(self, scope: Scope, headers: Headers) -> None:
        if scope["path"] in OPEN_PATHS:
            return
        scope["account"] = self._account(headers)
        if self.inside > self.max_requests:
            raise unavailable("Too many requests at once.")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > _body_limit(scope):
            raise _too_large(scope)

    def _account(self, headers: Headers) -> str:
        if not self.keys:
            return DEFAULT_ACCOUNT
        given = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        # Every key is compared, in constant time, so that the time tells nothing about which one is near.
        matches = [account for account, key in self.keys.items() if hmac.compare_digest(key, given.encode())]
        if not matches:
            raise Problem(
                HTTPStatus.UNAUTHORIZED,
                "Send a valid API key as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return matches[0]

    @staticmethod
    def _bounded(scope: Scope, receive: Receive) -> Receive:
        seen = 0

        async def bounded() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > _body_limit(scope):
                raise _too_large(scope)
            return message

        return bounded


def _without_body(send: Send) -> Send:
    async def head(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return head


def _body_limit(scope: Scope) -> int:
    return LARGE_BODY_LIMIT if LARGE_BODIES.fullmatch(scope["path"]) else BODY_LIMIT


def _too_large(scope: Scope) -> Problem:
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body exceeds {_body_limit(scope) // MIB} MiB.")
