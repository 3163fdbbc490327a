"""X's API v2 over HTTP: tweepy's calls with our own patience, for retries, rate limits and a token that has ended.

Knows no database; what X gave as new tokens is handed to `keep` before it is used.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Literal

import aiohttp
from tweepy.asynchronous import AsyncClient

from deployments.settings import XAccess
from store.collector import XAccount

XProblem = Literal["rate_limited", "unavailable", "no_answer", "token_refused", "no_credits", "forbidden", "refused"]
ATTEMPTS = 4
FIRST_PAUSE_S = 1.0
RATE_WINDOW = timedelta(minutes=15)
LONGEST_WAIT = timedelta(hours=24)
# An access token is replaced a little before it ends; X says how long it lasts, two hours so far.
BEFORE_ITS_END = timedelta(minutes=5)
LIFE_S = 7200
MAX_ANSWER_BYTES = 32 * 1024 * 1024
PROBLEMS: Mapping[int, XProblem] = {
    HTTPStatus.UNAUTHORIZED: "token_refused",
    HTTPStatus.PAYMENT_REQUIRED: "no_credits",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limited",
}
logger = logging.getLogger(__name__)


class XError(Exception):
    """X did not answer as asked: `problem` says why, `retry_at` when X takes calls again, where it said so.

    `unsure` says that X may have answered, and charged, without our having read it.
    """

    def __init__(self, problem: XProblem, *, retry_at: datetime | None = None, unsure: bool = False) -> None:
        super().__init__(problem)
        self.problem = problem
        self.retry_at = retry_at
        self.unsure = unsure


@dataclass(frozen=True, slots=True)
class _Answer:
    """What tweepy reads an answer from."""

    content: Any

    async def json(self) -> Any:
        return self.content


class XClient(AsyncClient):  # type: ignore[misc]  # untyped
    """tweepy's client for one account at X; its calls return the JSON of X's answers and raise XError."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        access: XAccess,
        known: XAccount,
        keep: Callable[[XAccount], Awaitable[None]],
        *,
        base_url: str,
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        """Start with the tokens that are `known`, unless they come from another one than the environment holds."""
        super().__init__(return_type=dict)
        self.session = session
        self._access = access
        self._keep = keep
        self._base_url = base_url
        self._clock = clock
        self._sleep = sleep
        seed = access.refresh_token.get_secret_value() if access.refresh_token else None
        seed_hash = hashlib.sha256(seed.encode()).digest() if seed else None
        fresh = XAccount(
            known_until=None, seed_hash=seed_hash, refresh_token=seed, access_token=None, access_until=None
        )
        self._tokens = known if known.seed_hash == seed_hash and known.refresh_token else fresh

    async def get_trends(self, woeid: int, max_trends: int) -> Any:
        """Return what trends at a place, which tweepy has no call for."""
        asked = {"max_trends": max_trends, "trend.fields": "trend_name,tweet_count"}
        return await (await self.request("GET", f"/2/trends/by/woeid/{woeid}", params=asked)).json()

    async def request(
        self,
        method: str,
        route: str,
        params: Mapping[str, Any] | None = None,
        json: Any = None,  # noqa: ARG002  # tweepy's signature; we only read
        user_auth: bool = False,  # noqa: ARG002
    ) -> _Answer:
        """Send what tweepy asks for; in place of its own, which has one host, and waits in place of saying so."""
        refreshed = False
        token = await self._token()
        failures = 0
        while True:
            headers = {"Authorization": f"Bearer {token}", "User-Agent": self.user_agent}
            status, answered, content = await self._send(method, route, params=params, headers=headers)
            if status == HTTPStatus.OK:
                return _Answer(content)
            if status == HTTPStatus.UNAUTHORIZED and self._tokens.refresh_token and not refreshed:
                refreshed, token = True, await self._refresh()
            elif status >= HTTPStatus.INTERNAL_SERVER_ERROR and (failures := failures + 1) < ATTEMPTS:
                await self._sleep(backoff(FIRST_PAUSE_S, failures))
            else:
                raise self._error(status, answered)

    async def _token(self) -> str:
        if self._access.bearer_token is not None:
            return self._access.bearer_token.get_secret_value()
        tokens = self._tokens
        if tokens.access_token and tokens.access_until and self._clock() < tokens.access_until - BEFORE_ITS_END:
            return tokens.access_token
        return await self._refresh()

    async def _refresh(self) -> str:
        """Change the tokens, and be cancelled only when that is done: what X gave for the old one, it gives once."""
        changing = asyncio.create_task(self._change_tokens())
        try:
            return await asyncio.shield(changing)
        except asyncio.CancelledError:
            # Whoever cancelled closes the session, and the database, as soon as this ends.
            await asyncio.wait([changing])
            if not changing.cancelled() and (error := changing.exception()) is not None:
                logger.warning("no new token of X is kept: %s", error, extra={"action": "x_token_not_kept"})
            raise

    async def _change_tokens(self) -> str:
        """Change the refresh token for new ones, and keep these before use: X takes each refresh token once."""
        client, secret = self._access.client_id or "", self._access.client_secret
        form = {"grant_type": "refresh_token", "refresh_token": self._tokens.refresh_token, "client_id": client}
        auth = aiohttp.BasicAuth(client, secret.get_secret_value()) if secret else None
        status, answered, given = await self._send("POST", "/2/oauth2/token", data=form, auth=auth)
        if status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED}:
            raise XError("token_refused")
        if status != HTTPStatus.OK:
            raise self._error(status, answered)
        token = given.get("access_token") if isinstance(given, dict) else None
        if not isinstance(token, str) or not token:
            raise XError("unavailable")
        life, rotated = given.get("expires_in"), given.get("refresh_token")
        life_s = life if type(life) is int and 0 < life < 10**7 else LIFE_S
        self._tokens = replace(
            self._tokens,
            access_token=token,
            access_until=self._clock() + timedelta(seconds=life_s),
            refresh_token=rotated if isinstance(rotated, str) and rotated else self._tokens.refresh_token,
        )
        await self._keep(self._tokens)
        logger.info("X gave a new token", extra={"action": "x_token_refreshed"})
        return token

    async def _send(self, method: str, route: str, **asked: Any) -> tuple[int, Mapping[str, str], Any]:
        """Return status, headers and the JSON of an answer; 502 in place of a success that cannot be read.

        Raises:
            XError: no_answer; nothing was repeated, for X may have answered and charged.
        """
        try:
            async with self.session.request(method, self._base_url + route, allow_redirects=False, **asked) as response:
                body = bytearray()
                async for part in response.content.iter_any():
                    body += part
                    if len(body) > MAX_ANSWER_BYTES:
                        return HTTPStatus.BAD_GATEWAY, {}, None
                status, headers = response.status, response.headers
        except aiohttp.ClientConnectorError:
            return HTTPStatus.BAD_GATEWAY, {}, None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise XError("no_answer", unsure=True) from error
        if status != HTTPStatus.OK:
            return status, headers, None
        try:
            # Not orjson: it refuses a whole answer for one lone surrogate in it.
            return status, headers, await asyncio.to_thread(json.loads, body)
        except (ValueError, RecursionError):
            return HTTPStatus.BAD_GATEWAY, headers, None

    def _error(self, status: int, headers: Mapping[str, str]) -> XError:
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return XError("rate_limited", retry_at=self._reset(headers.get("x-rate-limit-reset", "")))
        return XError(PROBLEMS.get(status, "unavailable" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "refused"))

    def _reset(self, told: str) -> datetime:
        """When X takes calls again: Unix seconds in x-rate-limit-reset, a whole window from now where it says none."""
        now = self._clock()
        seconds = int(told) if told.isascii() and told.isdecimal() and len(told) <= 11 else 0
        return min(datetime.fromtimestamp(seconds, UTC), now + LONGEST_WAIT) if seconds else now + RATE_WINDOW


def backoff(first_s: float, failures: int, longest_s: float = 3600.0) -> float:
    """Return how long to wait after so many failures in a row: twice as long each time, less a random half of it."""
    return min(first_s * 2.0 ** min(failures - 1, 30), longest_s) * random.uniform(0.5, 1.0)
