"""The API keys of the accounts and the sessions of browsers that signed in with one; hashes alone are stored."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

import asyncpg

from store.errors import DRIVER_ERRORS, translate
from store.table import Table

Scope = Literal["read", "write", "admin"]
KEY = re.compile(r"mm_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")
SESSION = re.compile(r"mms_[A-Za-z0-9_-]{43}")
MAX_LIVE_KEYS, MAX_LISTED = 100, 1_000
MAX_SESSIONS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveKey:
    """A key that counts; `seconds_left` is None where it never runs out, `used_today` where that is written down."""

    id: str
    account_id: str
    scope: Scope
    hash: bytes
    seconds_left: float | None
    used_today: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSession:
    """A session of a key, which need not count any more."""

    token_hash: bytes
    key_id: str
    seconds_left: float


@dataclass(frozen=True, slots=True)
class Live:
    """What counts now; `any_key` says whether there ever was a key."""

    keys: tuple[LiveKey, ...] = ()
    sessions: tuple[LiveSession, ...] = ()
    any_key: bool = False


@dataclass(frozen=True, kw_only=True)
class StoredKey:
    """What is told of a key: never the key. `created_by` is the key that made it, an account, or `command`."""

    id: str
    account_id: str
    name: str
    scope: Scope
    created_at: datetime
    created_by: str
    last_used_on: date | None
    expires_at: datetime | None
    revoked_at: datetime | None


def digest(secret: str) -> bytes:
    """SHA-256 of a key or of the token of a session."""
    return hashlib.sha256(secret.encode(errors="replace")).digest()


class KeyTable(Table):
    """Makes, lists, revokes and reads keys. Raises what Store's methods raise."""

    async def live(self) -> Live:
        """Return every key and session that counts now."""
        async with self._connect() as connection:
            if not await connection.fetchval(self._queries["any_key"]):
                return Live()
            keys = await connection.fetch(self._queries["live_keys"])
            sessions = await connection.fetch(self._queries["live_sessions"])
        return Live(
            tuple(LiveKey(**dict(row)) for row in keys),
            tuple(LiveSession(**dict(row)) for row in sessions),
            any_key=True,
        )

    async def create(
        self, account_id: str, name: str, scope: Scope, *, days: int | None, created_by: str, actor: str | None = None
    ) -> tuple[StoredKey, str] | None:
        """Make a key that counts for `days`, without them for good; return it with its only copy in plain text.

        None where the account has MAX_LIVE_KEYS that count.
        """
        identity = secrets.token_hex(6)
        key = f"mm_{identity}_{secrets.token_urlsafe(32)}"
        async with self._audited(actor) as connection:
            row = await connection.fetchrow(
                self._queries["create_key"],
                *(identity, account_id, name, digest(key), scope, created_by, MAX_LIVE_KEYS, days),
            )
        return None if row is None else (StoredKey(**dict(row)), key)

    async def list(self, account_id: str | None) -> tuple[StoredKey, ...]:
        """Return the keys of an account, or of all where it is None, the newest first, MAX_LISTED at most."""
        async with self._connect() as connection:
            rows = await connection.fetch(self._queries["list_keys"], account_id, MAX_LISTED)
        return tuple(StoredKey(**dict(row)) for row in rows)

    async def revoke(self, key_id: str, account_id: str | None, *, actor: str | None = None) -> StoredKey | None:
        """Revoke a key and end its sessions; None where the account, or any where it is None, has no such live key."""
        async with self._audited(actor) as connection:
            row = await connection.fetchrow(self._queries["revoke_key"], key_id, account_id)
        return None if row is None else StoredKey(**dict(row))

    async def note_use(self, key_ids: Sequence[str]) -> None:
        """Write down that the keys were used today."""
        async with self._connect() as connection:
            await connection.execute(self._queries["note_use"], key_ids)

    async def open_session(self, key_id: str, seconds: float) -> str | None:
        """Return the token of a new session; None where the key does not count any more.

        A key has MAX_SESSIONS at most: one more ends the oldest.
        """
        token = f"mms_{secrets.token_urlsafe(32)}"
        async with self._connect() as connection:
            opened = await connection.fetchval(
                self._queries["open_session"], digest(token), key_id, seconds, MAX_SESSIONS
            )
        return token if opened else None

    async def close_session(self, token: str) -> None:
        """End a session, if there is such a one."""
        async with self._connect() as connection:
            await connection.execute(self._queries["close_session"], digest(token))


async def any_live_key(dsn: str, queries: dict[str, str], timeout_s: float) -> bool:
    """Whether some account has a key that counts, asked without a pool.

    Raises:
        StoreError: the database cannot tell.
    """
    try:
        connection = await asyncpg.connect(dsn, timeout=timeout_s, command_timeout=timeout_s)
        try:
            found: bool = await connection.fetchval(queries["any_live_key"])
        finally:
            await connection.close(timeout=timeout_s)
    except DRIVER_ERRORS as error:
        raise translate(error) from error
    return found
