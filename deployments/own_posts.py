"""What is known of each account: the record that its drafts are scored against, and its settings."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeVar

from deployments.snapshots import Snapshots
from pipelines.audience.trends import Trends, trends_from
from pipelines.outcomes.history import history_of
from pipelines.outcomes.posts import StoredPost
from pipelines.outcomes.voice import Voice, voice_of
from pipelines.records import AccountSettings, DraftToOptimize, Post, Query, WithHistory
from store.postgres import Store

FRESH_S = 30.0
# Enough that a hundred are left where some were read too early.
READ_POSTS = 300
Asked = TypeVar("Asked", bound=WithHistory)


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """The account's last posts with their counts, oldest first; its settings, voice and trends; a digest of these."""

    posts: tuple[Post, ...] = ()
    settings: AccountSettings = field(default_factory=AccountSettings)
    voice: Voice | None = None
    trends: Trends | None = None
    version: str = ""


class OwnPosts:
    """The record of each account, as it was half a minute ago at most while Postgres answers."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._snapshots: Snapshots[StoredRecord] = Snapshots(
            "own_posts", self._load, empty=StoredRecord(), fresh_s=FRESH_S
        )

    async def record(self, account: str) -> StoredRecord:
        """Return the account's record; empty where nothing was imported, and where it was never loaded."""
        return await self._snapshots.get(account)

    async def refresh(self, account: str) -> None:
        """Load the account's record now, as after an import."""
        await self._snapshots.refresh(account)

    async def fill(self, asked: Sequence[Asked], account: str) -> list[Asked]:
        """Put what is known of the account where a request leaves it open: its posts, and how long a post may be."""
        record = await self.record(account)
        return [_filled(one, record) for one in asked]

    async def _load(self, account: str) -> StoredRecord:
        settings = await self._store.accounts.settings(account)
        found = await self._store.outcomes.posts(account, limit=READ_POSTS, kinds=("post",), learnable_only=True)
        now = datetime.now(UTC)
        refresh = await self._store.audience.find_refresh(account, now)
        trends = trends_from(refresh.trends if refresh else None, now)
        return await asyncio.to_thread(_record, found, settings, trends)


def _filled(asked: Asked, record: StoredRecord) -> Asked:
    if isinstance(asked.history, str):
        asked = replace(asked, history=record.posts if asked.history == "stored" else ())
    if isinstance(asked, Query | DraftToOptimize) and asked.length_limit is None:
        asked = replace(asked, length_limit=record.settings.length_limit)
    return asked


def _record(found: Sequence[StoredPost], settings: AccountSettings, trends: Trends | None) -> StoredRecord:
    posts = history_of(found)
    known = repr((posts, settings, trends)).encode("utf-8", "surrogatepass")
    voice = voice_of([stored.text for stored in found if stored.text])
    return StoredRecord(posts, settings, voice, trends, hashlib.blake2b(known, digest_size=8).hexdigest())
