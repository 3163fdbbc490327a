"""Who may call, and with which scope: the keys of the environment, and those of the database as they were seconds ago.

A replica reads every live key and session in one go, every few seconds, so that no request waits for a query: what is
revoked ends within `every_s` on every replica. While Postgres does not answer, what was read counts for `grace_s`;
whoever is not in it is told to come back, never let in.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from store.errors import StoreError, StoreUnavailable
from store.keys import KEY, SESSION, KeyTable, LiveKey, Scope, digest

# A key that a replica does not know yet is looked for at once, but not more often than this: a flood of made-up keys
# costs about ten readings a second.
LOOK_S = 0.1
# How long a stranger may wait for that.
LOOK_TIMEOUT_S = 1.0
RANKS: Final[Mapping[Scope, int]] = {"read": 0, "write": 1, "admin": 2}
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the account, what the key may do, and which key it is; `key_id` is None for one of the environment."""

    account: str
    scope: Scope
    key_id: str | None = None

    @property
    def name(self) -> str:
        """What this caller is counted and told as."""
        return self.account if self.key_id is None else f"key {self.key_id}"

    def may(self, needed: Scope) -> bool:
        """Whether a call that needs a scope is this caller's to make."""
        return RANKS[self.scope] >= RANKS[needed]


class StoredKeys:
    """What the database said last. Raises StoreUnavailable where that is not known, or was said too long ago.

    Args:
        every_s: how often it is read.
        grace_s: how long it counts while Postgres does not answer.
    """

    def __init__(self, *, every_s: float, grace_s: float) -> None:
        self.every_s = every_s
        self.grace_s = grace_s
        self.table: KeyTable | None = None
        self._keys: dict[str, LiveKey] = {}
        self._sessions: dict[bytes, tuple[str, float]] = {}
        self._any_key = False
        self._read_at = float("-inf")
        self._out = False
        self._looked_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self._used: set[str] = set()

    @property
    def accounts(self) -> set[str]:
        """The accounts that have a live key."""
        return {key.account_id for key in self._keys.values()}

    @property
    def any_key(self) -> bool:
        """Whether there ever was a key."""
        if not self._is_known():
            raise StoreUnavailable("keys")
        return self._any_key

    async def caller(self, given: str, *, look: bool = True) -> Caller | None:
        """Return whose key it is; None where it is no key that counts.

        Without `look` the database is not asked for a key that is not known here.
        """
        if (match := KEY.fullmatch(given)) is None:
            return None
        key = self._key(match[1]) or await self._look(lambda: self._key(match[1]), ask=look)
        if key is None or not hmac.compare_digest(key.hash, digest(given)):
            return None
        return self._as_caller(key)

    async def caller_of_session(self, token: str) -> Caller | None:
        """Return who signed in; None where the session ended."""
        if not SESSION.fullmatch(token):
            return None
        hashed = digest(token)
        key = self._key_of_session(hashed) or await self._look(lambda: self._key_of_session(hashed))
        return None if key is None else self._as_caller(key)

    def counts(self, caller: Caller) -> bool:
        """Whether a caller who was let in still would be, as far as this replica knows."""
        return caller.key_id is None or self._key(caller.key_id) is not None

    async def open_session(self, caller: Caller, seconds: float) -> str | None:
        """Return the token of a new session of the caller's key; None where the key ended meanwhile."""
        if self.table is None or caller.key_id is None:
            return None
        token = await self.table.open_session(caller.key_id, seconds)
        await self.read_anew()
        return token

    async def close_session(self, token: str) -> None:
        """End a session."""
        if self.table is not None and SESSION.fullmatch(token):
            await self.table.close_session(token)
            await self.read_anew()

    async def read(self) -> None:
        """Read the database once; several callers at a time read it once."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        await asyncio.shield(self._reading)

    async def read_anew(self) -> None:
        """Read the database once more, after whatever read is under way: it may have missed what was just written."""
        if self._reading is not None:
            await asyncio.wait([self._reading])
        await self.read()

    async def run_forever(self) -> None:
        """Read the database every `every_s` seconds, until cancelled."""
        while True:
            await asyncio.sleep(self.every_s)
            try:
                await self.read()
            except Exception:
                # Whoever lost a key is let in until this reads again: it outlives a mistake.
                logger.exception("keys not read", extra={"action": "keys_not_read"})

    async def _read(self) -> None:
        if self.table is None:
            return
        # What was revoked after this moment may still be in the answer.
        started = time.monotonic()
        try:
            live = await self.table.live()
        except StoreError as error:
            if not self._out:
                logger.warning("keys not read: %s", error, extra={"action": "keys_not_read"})
            self._out = True
            return
        if self._out:
            logger.info("keys read again", extra={"action": "keys_read"})
        self._out = False
        self._keys = {key.id: key for key in live.keys}
        self._sessions = {each.token_hash: (each.key_id, started + each.seconds_left) for each in live.sessions}
        self._any_key, self._read_at = live.any_key, started
        used, self._used = self._used, set()
        if used:
            with suppress(StoreError):
                await self.table.note_use(sorted(used))

    async def _look(self, find: Callable[[], LiveKey | None], *, ask: bool = True) -> LiveKey | None:
        """Read the database for one who is not known yet; everybody who comes within LOOK_S is looked for at once.

        Raises:
            StoreUnavailable: the database did not answer, so that nobody can say who it is.
        """
        arrived = time.monotonic()
        try:
            async with asyncio.timeout(LOOK_TIMEOUT_S):
                while ask and not self._out and self._read_at < arrived:
                    await asyncio.sleep(self._looked_at + LOOK_S - time.monotonic())
                    self._looked_at = time.monotonic()
                    await self.read()
        except TimeoutError:
            raise StoreUnavailable("keys") from None
        found = find()
        if found is None and (self._out or not self._is_known()):
            raise StoreUnavailable("keys")
        return found

    def _key(self, key_id: str) -> LiveKey | None:
        key = self._keys.get(key_id)
        if key is None or not self._is_known():
            return None
        return None if key.seconds_left is not None and time.monotonic() >= self._read_at + key.seconds_left else key

    def _key_of_session(self, hashed: bytes) -> LiveKey | None:
        key_id, ends_at = self._sessions.get(hashed, ("", 0.0))
        return self._key(key_id) if time.monotonic() < ends_at else None

    def _is_known(self) -> bool:
        return time.monotonic() - self._read_at <= self.grace_s

    def _as_caller(self, key: LiveKey) -> Caller:
        if not key.used_today:
            self._used.add(key.id)
        return Caller(key.account_id, key.scope, key.id)
