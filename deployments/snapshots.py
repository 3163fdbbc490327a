"""What is known of each account, as it was a few seconds ago: read by requests without waiting for Postgres."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from store.errors import StoreError

FIRST_LOAD_S = 0.5
Kind = TypeVar("Kind")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Snapshot(Generic[Kind]):
    value: Kind
    load: int
    loaded_at: float


class Snapshots(Generic[Kind]):
    """One value an account, loaded from the store and never older than `fresh_s` while Postgres answers.

    Args:
        what: named in the log where a load fails.
        load: reads the value of an account; raises StoreError.
        empty: the value of an account that was never loaded.
        fresh_s: seconds after which a value is loaded anew, behind the request that saw it.
    """

    def __init__(self, what: str, load: Callable[[str], Awaitable[Kind]], *, empty: Kind, fresh_s: float) -> None:
        self._what = what
        self._load = load
        self._empty = empty
        self._fresh_s = fresh_s
        self._snapshots: dict[str, _Snapshot[Kind]] = {}
        self._refreshing: dict[str, asyncio.Task[None]] = {}
        self._loads = 0

    async def get(self, account: str) -> Kind:
        """Return the value of an account.

        Only the first call of an account waits for Postgres, for FIRST_LOAD_S at most; the others get the last
        snapshot, and an older one than `fresh_s` is replaced behind them.
        """
        snapshot = self._snapshots.get(account)
        now = asyncio.get_running_loop().time()
        if snapshot is not None and now - snapshot.loaded_at < self._fresh_s:
            return snapshot.value
        if account not in self._refreshing:
            task = self._refreshing[account] = asyncio.create_task(self.refresh(account))
            task.add_done_callback(lambda _: self._refreshing.pop(account, None))
        if snapshot is None:
            await asyncio.wait([self._refreshing[account]], timeout=FIRST_LOAD_S)
            snapshot = self._snapshots.setdefault(account, _Snapshot(self._empty, 0, now))
        return snapshot.value

    async def refresh(self, account: str) -> None:
        """Load the account's value now; while the store is down the last one stays."""
        self._loads += 1
        load = self._loads
        loaded: list[Kind] = []
        try:
            loaded.append(await self._load(account))
        except StoreError as error:
            logger.warning("%s not loaded: %s", self._what, error, extra={"action": f"{self._what}_not_loaded"})
        last = self._snapshots.get(account, _Snapshot(self._empty, 0, 0.0))
        # A load that began before a write may end after the write's own.
        if load > last.load:
            value = loaded[0] if loaded else last.value
            self._snapshots[account] = _Snapshot(value, load, asyncio.get_running_loop().time())
