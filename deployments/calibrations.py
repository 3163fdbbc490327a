"""What each account's own outcomes correct its scores by: read by requests without waiting for Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from deployments.snapshots import Snapshots
from pipelines.outcomes.calibration import Calibration, personal
from pipelines.outcomes.matching import SLACK, WINDOW, StoredPrediction, matched
from pipelines.outcomes.posts import StoredPost
from store.postgres import Store

# How soon a new import is seen, and how soon anything else that changed.
FRESH_S = 5.0
REFIT_S = 600.0
MAX_POSTS, MAX_QUERIES = 2_000, 2_000


@dataclass(frozen=True, slots=True)
class _Fit:
    calibration: Calibration | None
    last_import: UUID | None
    fitted_at: float


class Calibrations:
    """The calibration of each account that has one; an account without imports costs one lookup every few seconds."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._fits: dict[str, _Fit] = {}
        self._snapshots: Snapshots[Calibration | None] = Snapshots(
            "calibration", self._load, empty=None, fresh_s=FRESH_S
        )

    async def of(self, account: str) -> Calibration | None:
        """Return the account's calibration; None where its outcomes ask for none, and where none was ever loaded."""
        return await self._snapshots.get(account)

    async def refresh(self, account: str) -> None:
        """Look for a new import now, and fit anew where there is one; the last calibration stays else."""
        await self._snapshots.refresh(account)

    async def _load(self, account: str) -> Calibration | None:
        """Fit where there is a new import or the last fit is old."""
        now = asyncio.get_running_loop().time()
        last = self._fits.get(account, _Fit(None, None, now))
        newest = await self.store.predictions.last_import(account)
        if newest == last.last_import and not (newest and now - last.fitted_at >= REFIT_S):
            return last.calibration
        posts, predictions = await read_record(self.store, account, learnable_only=True)
        calibration = await asyncio.to_thread(_fitted, posts, predictions)
        self._fits[account] = _Fit(calibration, newest, now)
        return calibration


async def read_record(
    store: Store, account: str, *, learnable_only: bool = False
) -> tuple[tuple[StoredPost, ...], tuple[StoredPrediction, ...]]:
    """Return the account's newest own posts, and what was predicted for its newest queries from a month before them."""
    posts = await store.outcomes.posts(account, limit=MAX_POSTS, kinds=("post",), learnable_only=learnable_only)
    if not posts:
        return (), ()
    since, until = posts[-1].posted_at - WINDOW, posts[0].posted_at + SLACK
    return posts, await store.predictions.said(account, since=since, until=until, queries=MAX_QUERIES)


def _fitted(posts: Sequence[StoredPost], predictions: tuple[StoredPrediction, ...]) -> Calibration | None:
    return personal(matched(posts, predictions))[0]
