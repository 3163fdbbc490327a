"""Who is signed in, by a cookie that any replica can read.

A key of the environment signs it, and a new key ends it. With a key of the database it is random, its hash is stored,
and the end of the key ends it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.datastructures import Headers
from starlette.requests import cookie_parser

from deployments.http.problems import Problem
from store.keys import SESSION

COOKIE = "murmuration_session"
CSRF_HEADER = "x-csrf-token"
MAX_AGE_S = 14 * 24 * 3600
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Sessions:
    """Opens and reads the sessions of the accounts in `keys`; it stores nothing."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._secrets = {account: hashlib.sha256(b"session\0" + key.encode()).digest() for account, key in keys.items()}

    def open(self, account: str) -> str:
        """Return the value of the cookie for an account."""
        return self._serializer(account).dumps(account)

    def account(self, headers: Headers) -> str | None:
        """Return whose session the request carries; None where it carries none that is valid."""
        value = self.cookie(headers)
        for account in self._secrets if value and not SESSION.fullmatch(value) else ():
            try:
                if self._serializer(account).loads(value, max_age=MAX_AGE_S) == account:
                    return account
            except BadSignature:
                continue
        return None

    def cookie(self, headers: Headers) -> str:
        """The value of the cookie as it came; empty without one."""
        return cookie_parser(headers.get("cookie", "")).get(COOKIE, "")

    def stored_token(self, headers: Headers) -> str:
        """The cookie, where it has the form of one whose hash is stored; else empty."""
        value = self.cookie(headers)
        return value if SESSION.fullmatch(value) else ""

    def csrf_token(self, account: str, headers: Headers) -> str:
        """Return what a page of this session sends with everything that changes something; empty without a session."""
        if token := self.stored_token(headers):
            # 256 random bits, which no script of the page can read.
            return hmac.digest(token.encode(), b"csrf", "sha256").hex()
        if account not in self._secrets or not self.cookie(headers):
            return ""
        return hmac.digest(self._secrets[account], b"csrf\0" + self.cookie(headers).encode(), "sha256").hex()

    def refuse_forged(self, account: str, method: str, headers: Headers) -> None:
        """Refuse what another page made the browser send.

        Raises:
            Problem: 403.
        """
        if method in SAFE_METHODS:
            return
        expected, given = self.csrf_token(account, headers), headers.get(CSRF_HEADER, "")
        if not expected or not hmac.compare_digest(expected.encode(), given.encode()):
            raise Problem(HTTPStatus.FORBIDDEN, "This page is from an older session: load it again.")

    def _serializer(self, account: str) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self._secrets[account], salt="session")


def refuse_foreign_page(method: str, headers: Headers) -> None:
    """Refuse what a browser sends for a page of another origin, where nothing but the browser says who asks.

    Browsers name the origin of every request that may change something, and of every WebSocket (method "WEBSOCKET").

    Raises:
        Problem: 403.
    """
    if method in SAFE_METHODS:
        return
    origin = headers.get("origin")
    foreign = origin is not None and urlsplit(origin).netloc != headers.get("host")
    if foreign or headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise Problem(HTTPStatus.FORBIDDEN, "Only pages of this server may ask for that.")


def refuse_foreign_name(headers: Headers) -> None:
    """Without keys, answer under this machine's own names alone: a page elsewhere can point its name here.

    Raises:
        Problem: 403.
    """
    host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
    if host not in LOOPBACK_NAMES and not host.startswith("127.") and not host.endswith(".localhost"):
        raise Problem(
            HTTPStatus.FORBIDDEN, "Without API keys only localhost is served: make one (`make key`) for other names."
        )
