"""What a key must be allowed for each route, and what a call of it counts as: held at the route itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Final, Literal

from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as AsgiScope

from deployments.http.problems import Problem
from deployments.keys import Caller
from store.keys import Scope

# What counts apart from other calls: the language model works for seconds, or is paid for.
Kind = Literal["generation"]
Charge = Callable[[Kind], Awaitable[None]]
STATIC = "/studio/static/"
# Answered without a key.
OPEN_PATHS: Final = frozenset({"/healthz", "/readyz", "/openapi.json", "/sign-in"})
# Of /analyze-query and /optimize the body or the configuration says whether it writes: they count by themselves.
GENERATION: Final = frozenset({"/generate", "/generate/stream", "/studio/write/stream"})
# Nothing is stored: what is asked is too long for a GET.
READ: Final = frozenset(
    {
        *("/analyze", "/predict", "/compare", "/optimize", "/ab-test/size", "/links/tag"),
        *("/studio/write/findings", "/studio/compare", "/studio/experiments/form", "/studio/experiments/size"),
        *("/studio/record/tag", "/studio/sign-out", "/studio/language/{language}"),
    }
)
# What the whole account obeys, who may call for it, who did what, and its end.
ADMIN: Final = frozenset(
    {
        *("/audit", "/audit.csv", "/keys", "/keys/{key_id}"),
        *("/studio/audit", "/studio/keys", "/studio/keys/{key_id}"),
        *("/studio/settings", "/studio/settings/zone", "/studio/settings/delete"),
    }
)
ADMIN_TO_CHANGE: Final = frozenset({"/account", "/collector"})
# Every page of settings shows what is set; what only an administrator may see is left out of it.
SHOWN: Final = frozenset({"/studio/settings"})


def needed_scope(path: str, method: str) -> Scope | None:
    """The scope that a route needs, by path template and method (or `WEBSOCKET`); None where it needs no key."""
    if path in OPEN_PATHS or path.startswith(STATIC):
        return None
    reads = method in {"GET", "WEBSOCKET"}
    if path in ADMIN and not (reads and path in SHOWN):
        return "admin"
    if reads or path in READ:
        return "read"
    return "admin" if path in ADMIN_TO_CHANGE else "write"


def guarded(routes: Iterable[BaseRoute]) -> list[BaseRoute]:
    """The same routes, each refusing whoever may not call it; to be done once to a route.

    The router has decided by then, so that no spelling of a path gets around it, and pages that call the API in this
    process are held to what the API says.

    Raises:
        TypeError: a route of another kind, which could not be guarded.
    """
    found = list(routes)
    for route in found:
        if isinstance(route, APIRoute):
            method, *more = route.methods or set()
            if more:
                raise TypeError(route)
        elif isinstance(route, APIWebSocketRoute):
            method = "WEBSOCKET"
        else:
            raise TypeError(route)
        if needed := needed_scope(route.path, method):
            route.app = _Guard(route.app, needed, "generation" if route.path in GENERATION else None)
    return found


class _Guard:
    """A route behind the scope that it needs; the gate says in the ASGI scope who calls, and how calls are counted."""

    def __init__(self, app: ASGIApp, needed: Scope, kind: Kind | None) -> None:
        self.app = app
        self.needed = needed
        self.kind = kind

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        caller: Caller = scope["caller"]
        if not caller.may(self.needed):
            problem = _insufficient(caller, self.needed)
            if scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1008, "reason": problem.detail})
                return
            raise problem
        if self.kind is not None and (charge := scope.get("charge")):
            await charge(self.kind)
        await self.app(scope, receive, send)


def _insufficient(caller: Caller, needed: Scope) -> Problem:
    return Problem(
        HTTPStatus.FORBIDDEN,
        f"This call needs a key with the scope {needed}; yours has {caller.scope}.",
        # RFC 6750, section 3.1.
        headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{needed}"'},
    )
