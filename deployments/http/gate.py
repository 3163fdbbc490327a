"""The gate before every route: request id, key or session, limits, body size, headers, the crowd, HEAD as GET."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import logging
import random
import re
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from urllib.parse import quote

import uuid_utils
from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.http.headers import TRANSPORT, secured
from deployments.http.problems import Problem, render, unavailable
from deployments.http.scopes import OPEN_PATHS, STATIC
from deployments.http.sessions import MAX_AGE_S, SAFE_METHODS, Sessions, refuse_foreign_name, refuse_foreign_page
from deployments.keys import Caller, StoredKeys
from store.errors import StoreUnavailable
from store.rate_limits import WINDOW_S, Allowance, RateLimits
from store.table import CURRENT_ACTOR, CURRENT_REQUEST

logger = logging.getLogger(__name__)

DEFAULT_ACCOUNT = "default"
# Who calls where nobody needs a key.
ANYBODY = Caller(DEFAULT_ACCOUNT, "admin")
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
MIB = 1024 * 1024
BODY_LIMIT, LARGE_BODY_LIMIT = MIB, 16 * MIB
LARGE_BODIES = re.compile(r"/predict|/ab-test/[^/]+/events|/links/import-ga4")
# Of a file, and room for the form around it.
UPLOAD_LIMIT, FORM_BYTES = 800 * MIB, 64 * 1024
UPLOADS = frozenset({"/metrics/import"})
# How long a client may send nothing of its body, and beside that how many bytes a second it must send in all:
# it holds a place of `max_requests` meanwhile.
BODY_PAUSE_S, BODY_BYTES_PER_S = 20.0, 8 * 1024
# Strangers may send this one a body: it is a key and a path, and leaves most places to those who have a key.
SIGN_IN, SIGN_IN_LIMIT, SIGN_IN_SHARE = "/sign-in", 8 * 1024, 1 / 16
# Those whose address nobody vouches for.
SOMEBODY = "somebody"


class Gate:
    """ASGI middleware; puts `request_id`, `caller`, `account` and itself into the scope; a crowd inside is a 503.

    HEAD is answered as GET is, status and headers alike, without the body (RFC 9110, section 9.3.2).

    It logs every refused or failed request, and `log_share` of the others.

    Args:
        app: what stands behind the gate.
        keys: API key of each account, each with the scope admin.
        on_response: told path template, status and seconds of every request, for metrics.
        stored: the keys of the database; None where there is none.
        loopback: whether only this machine reaches the server: then, and only where there never was a key, every caller
            is the default account.
    """

    def __init__(
        self,
        app: ASGIApp,
        keys: Mapping[str, str],
        on_response: Callable[[str, int, float], None],
        *,
        stored: StoredKeys | None = None,
        loopback: bool = True,
    ) -> None:
        self.app = app
        self.keys = {account: key.encode() for account, key in keys.items()}
        self.stored = stored
        self.loopback = loopback
        self.sessions = Sessions(keys)
        self.limits: RateLimits | None = None
        self.trusted_proxies = 0
        self.max_requests = 1
        self.log_share = 1.0
        self.upload_limit = UPLOAD_LIMIT
        self.body_pause_s, self.body_bytes_per_s = BODY_PAUSE_S, float(BODY_BYTES_PER_S)
        self.inside = self.signing_in = 0
        self.on_response = on_response

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or answer it here."""
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
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
        allowances: dict[str, Allowance] = {}

        async def noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = secured(message, _more_headers(allowances, headers))
            await send(message)

        CURRENT_REQUEST.set(scope["request_id"])
        scope["gate"] = self
        signs_in = _signs_in(scope)
        counted = signs_in or not _is_open(scope)
        self.inside += counted
        self.signing_in += signs_in
        try:
            await self._admit(scope, headers, allowances)
            await self.app(scope, self._bounded(scope, receive), noting_status)
        except Problem as problem:
            answer = _to_sign_in(scope, problem) or render(problem, scope["request_id"])
            await answer(scope, receive, noting_status)
        finally:
            self.inside -= counted
            self.signing_in -= signs_in
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

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        scope["request_id"] = str(uuid_utils.uuid7())
        try:
            caller = scope["caller"] = await self._caller("WEBSOCKET", headers)
            scope["account"] = caller.account
            if caller is not ANYBODY:
                await self._charge("calls", caller, {})
        except Problem as problem:
            # Before it is accepted a WebSocket can only be closed; servers answer that with 403.
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": problem.detail})
            return

        async def while_it_counts(message: Message) -> None:
            """A key that was revoked is told nothing more."""
            if message["type"] == "websocket.send" and self.stored is not None and not self.stored.counts(caller):
                await send({"type": "websocket.close", "code": 1008, "reason": "The key ended."})
                # What servers raise for a client that left.
                raise BrokenPipeError
            await send(message)

        await self.app(scope, receive, while_it_counts)

    async def _admit(self, scope: Scope, headers: Headers, allowances: dict[str, Allowance]) -> None:
        if scope["path"] == SIGN_IN:
            refuse_foreign_page(scope["method"], headers)
        if _signs_in(scope):
            if self.inside > self.max_requests or self.signing_in > max(1, self.max_requests * SIGN_IN_SHARE):
                raise unavailable("Too many sign in at once.")
            self._refuse_large(scope, headers)
        if _is_open(scope):
            return
        caller = scope["caller"] = await self._caller(scope["method"], headers)
        scope["account"] = caller.account
        CURRENT_ACTOR.set(None if caller.key_id is None else caller.name)
        if self.inside > self.max_requests:
            raise unavailable("Too many requests at once.")
        if self.limits is not None and caller is not ANYBODY:
            await self._charge("calls", caller, allowances)

            async def charge(kind: str) -> None:
                await self._charge(kind, caller, allowances)

            scope["charge"] = charge
        self._refuse_large(scope, headers)

    def _refuse_large(self, scope: Scope, headers: Headers) -> None:
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._body_limit(scope):
            raise self._too_large(scope)

    async def _caller(self, method: str, headers: Headers) -> Caller:
        """Who calls: by its key, or by the session of a browser; without keys it is the default account.

        Raises:
            Problem: 401, 403 for what a page elsewhere made a browser send, 429 after too many wrong keys, 503 where a
                key cannot be looked up.
        """
        if self.open_to_all():
            refuse_foreign_name(headers)
            refuse_foreign_page(method, headers)
            return ANYBODY
        given = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        caller = await (self.caller_of_key(given, headers) if given else self._signed_in(method, headers))
        if caller is not None:
            return caller
        problem = Problem(
            HTTPStatus.UNAUTHORIZED,
            "Send a valid API key as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'.",
            headers={"WWW-Authenticate": "Bearer"},
        )
        raise await self.after_failure(problem, headers) if given else problem

    async def _signed_in(self, method: str, headers: Headers) -> Caller | None:
        if account := self.sessions.account(headers):
            caller: Caller | None = Caller(account, "admin")
        elif self.stored is not None and (token := self.sessions.stored_token(headers)):
            try:
                caller = await self.stored.caller_of_session(token)
            except StoreUnavailable as error:
                raise _unknowable() from error
        else:
            return None
        if caller is not None:
            refuse_foreign_page(method, headers)
            if method != "WEBSOCKET":
                self.sessions.refuse_forged(caller.account, method, headers)
        return caller

    def open_to_all(self) -> bool:
        """Whether nobody needs a key.

        Raises:
            Problem: 503 where nobody can say.
        """
        if self.keys or not self.loopback:
            return False
        try:
            return self.stored is None or not self.stored.any_key
        except StoreUnavailable as error:
            raise _unknowable() from error

    async def caller_of_key(self, given: str, headers: Headers) -> Caller | None:
        """Return whose key it is; None where it is nobody's.

        Raises:
            Problem: 503 where it may be one that cannot be looked up now.
        """
        # Every key is compared, in constant time, so that the time tells nothing about which one is near.
        encoded = given.encode(errors="replace")
        matches = [account for account, key in self.keys.items() if hmac.compare_digest(key, encoded)]
        if matches:
            return Caller(matches[0], "admin")
        if self.stored is None:
            return None
        try:
            return await self.stored.caller(given, look=not self.is_blocked(headers))
        except StoreUnavailable as error:
            raise _unknowable() from error

    async def open_session(self, caller: Caller) -> str | None:
        """Return the cookie of a new session of a caller's key; None where the key ended meanwhile.

        Raises:
            Problem: 503 where it cannot be stored.
        """
        if caller.key_id is None or self.stored is None:
            return self.sessions.open(caller.account)
        try:
            return await self.stored.open_session(caller, MAX_AGE_S)
        except StoreUnavailable as error:
            raise unavailable("The database does not answer, so that nobody can sign in with this key.") from error

    async def close_session(self, headers: Headers) -> None:
        """End the session that a request carries, if it is one that is stored.

        Raises:
            Problem: 503 where the database does not answer.
        """
        if self.stored is not None and (token := self.sessions.stored_token(headers)):
            try:
                await self.stored.close_session(token)
            except StoreUnavailable as error:
                raise unavailable("The database does not answer, so that the session goes on.") from error

    async def after_failure(self, problem: Problem, headers: Headers) -> Problem:
        """Count a wrong key against its address; the problem, or 429 where there were too many."""
        if self.limits is None:
            return problem
        allowance = await self.limits.take("failures", self._address(headers) or SOMEBODY)
        return problem if allowance is None or allowance.allowed else _too_many("failures", allowance)

    def is_blocked(self, headers: Headers) -> bool:
        """Whether the address sent too many wrong keys a moment ago; those whose address is unknown share one count."""
        return self.limits is not None and self.limits.refused("failures", self._address(headers) or SOMEBODY)

    def refuse_blocked(self, headers: Headers) -> None:
        """Refuse to try keys for an address that sent too many wrong ones; one that nobody vouches for is not known.

        Raises:
            Problem: 429.
        """
        address = self._address(headers)
        if address and self.limits is not None and self.limits.refused("failures", address):
            raise _too_many("failures", Allowance(False, 0, 0, 1))

    def _address(self, headers: Headers) -> str | None:
        """Who the outermost of our proxies says it was asked by; of IPv6 the network of 64 bits that one client has."""
        if not self.trusted_proxies:
            return None
        said = [each.strip() for line in headers.getlist("x-forwarded-for") for each in line.split(",")]
        try:
            address = ipaddress.ip_address(said[-self.trusted_proxies])
        except (IndexError, ValueError):
            return None
        return str(ipaddress.ip_network((address, 64 if address.version == 6 else 32), strict=False))

    async def _charge(self, kind: str, caller: Caller, allowances: dict[str, Allowance]) -> None:
        """Count a call against the limit of its key and that of its account; the latter is told where it refuses.

        Raises:
            Problem: 429.
        """
        if self.limits is None:
            return
        of_account = f"account-{kind}"
        for counted, who in ((kind, caller.name), (of_account, caller.account)):
            allowance = await self.limits.take(counted, who)
            if allowance is None:
                continue
            if counted == kind or not allowance.allowed:
                allowances[counted] = allowance
            if not allowance.allowed:
                raise _too_many(counted, allowance)

    async def charge_sign_in(self, caller: Caller) -> None:
        """Count a sign-in as a call of its key: it comes without one.

        Raises:
            Problem: 429.
        """
        await self._charge("calls", caller, {})

    def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        seen, waited, whole = 0, 0.0, False

        async def bounded() -> Message:
            nonlocal seen, waited, whole
            # Only what is waited for the client counts, not what is done with its bytes.
            left = self.body_pause_s + seen / self.body_bytes_per_s - waited
            started = time.monotonic()
            try:
                # Behind the end of the body somebody waits for the client to leave, for as long as an answer takes.
                async with asyncio.timeout(None if whole else min(self.body_pause_s, left)):
                    message = await receive()
            except TimeoutError as error:
                detail = (
                    f"Nothing of the body came for {self.body_pause_s:g} seconds."
                    if left >= self.body_pause_s
                    else f"The body came slower than {self.body_bytes_per_s / 1024:g} KiB a second."
                )
                raise Problem(HTTPStatus.REQUEST_TIMEOUT, detail, headers={"Connection": "close"}) from error
            waited += time.monotonic() - started
            whole = not message.get("more_body", False)
            seen += len(message.get("body", b""))
            if seen > self._body_limit(scope):
                raise self._too_large(scope)
            return message

        return bounded

    def _body_limit(self, scope: Scope) -> int:
        if scope["path"] in UPLOADS:
            return self.upload_limit + FORM_BYTES
        if scope["path"] == SIGN_IN:
            return SIGN_IN_LIMIT
        return LARGE_BODY_LIMIT if LARGE_BODIES.fullmatch(scope["path"]) else BODY_LIMIT

    def _too_large(self, scope: Scope) -> Problem:
        limit = self._body_limit(scope)
        if scope["path"] in UPLOADS:
            what = f"The file exceeds {self.upload_limit / MIB:,.0f} MiB."
        else:
            what = f"The body exceeds {f'{limit // MIB} MiB' if limit >= MIB else f'{limit // 1024} KiB'}."
        return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, what)


def _unknowable() -> Problem:
    return unavailable("The database does not answer, so that nobody can say whose key that is.")


def _too_many(kind: str, allowance: Allowance) -> Problem:
    if kind == "failures":
        detail = "Too many wrong keys."
    else:
        whose = "this account" if kind.startswith("account-") else "this key"
        which = " for which the language model writes" if kind.endswith("generation") else ""
        detail = f"More than {allowance.limit:,} calls a minute of {whose}{which}."
    return Problem(HTTPStatus.TOO_MANY_REQUESTS, detail, headers={"Retry-After": str(allowance.reset_s)})


def _more_headers(allowances: Mapping[str, Allowance], headers: Headers) -> tuple[tuple[bytes, bytes], ...]:
    """The limits as draft-ietf-httpapi-ratelimit-headers-10 has them; what only counts over TLS."""
    more: tuple[tuple[bytes, bytes], ...] = ()
    if allowances:
        policy = ", ".join(f'"{kind}";q={each.limit};w={WINDOW_S}' for kind, each in allowances.items())
        left = ", ".join(f'"{kind}";r={each.remaining};t={each.reset_s}' for kind, each in allowances.items())
        more = ((b"ratelimit-policy", policy.encode()), (b"ratelimit", left.encode()))
    return (*more, TRANSPORT) if headers.get("x-forwarded-proto") == "https" else more


def _is_open(scope: Scope) -> bool:
    path = scope["path"]
    # A file of that folder and nothing below or above it: every other path is routed elsewhere.
    return path in OPEN_PATHS or (path.startswith(STATIC) and "/" not in path[len(STATIC) :])


def _signs_in(scope: Scope) -> bool:
    return bool(scope["path"] == SIGN_IN and scope["method"] == "POST")


def _to_sign_in(scope: Scope, problem: Problem) -> Response | None:
    """Who opens a page of the studio without a session is led to the place to sign in, not to a problem in JSON."""
    page = scope["path"] == "/" or scope["path"].startswith("/studio/")
    if problem.status != HTTPStatus.UNAUTHORIZED or not page:
        return None
    there = f"/sign-in?next={quote(scope['path'] if scope['method'] in SAFE_METHODS else '/')}"
    if Headers(scope=scope).get("hx-request"):
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"hx-redirect": there})
    return RedirectResponse(there, HTTPStatus.SEE_OTHER)


def _without_body(send: Send) -> Send:
    async def head(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return head
