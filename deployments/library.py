"""What each account writes with: a snapshot of its templates that requests read without waiting for Postgres."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass

from pipelines.generator.templates import load_templates, parse_templates
from pipelines.records import Template
from store.errors import StoreError, StoreUnavailable
from store.postgres import Store
from store.templates import StoredTemplate

FRESH_S = 5.0
FIRST_LOAD_S = 0.5
SEED_PAUSE_S = 5.0
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Snapshot:
    templates: tuple[Template, ...]
    load: int
    loaded_at: float


class Library:
    """What each account writes with, as it was a few seconds ago at most while Postgres answers."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._snapshots: dict[str, _Snapshot] = {}
        self._refreshing: dict[str, asyncio.Task[None]] = {}
        self._loads = 0

    async def templates(self, account: str) -> tuple[Template, ...]:
        """Return the account's active templates with what they achieved.

        Empty where they are exactly the bundled ones, none with an outcome, and where none were ever loaded. Only the
        first call of an account waits for Postgres, for FIRST_LOAD_S at most; the others get the last snapshot, and an
        older one than FRESH_S is replaced behind them.
        """
        snapshot = self._snapshots.get(account)
        now = asyncio.get_running_loop().time()
        if snapshot is not None and now - snapshot.loaded_at < FRESH_S:
            return snapshot.templates
        if account not in self._refreshing:
            task = self._refreshing[account] = asyncio.create_task(self.refresh(account))
            task.add_done_callback(lambda _: self._refreshing.pop(account, None))
        if snapshot is None:
            await asyncio.wait([self._refreshing[account]], timeout=FIRST_LOAD_S)
            snapshot = self._snapshots.setdefault(account, _Snapshot((), 0, now))
        return snapshot.templates

    async def refresh(self, account: str) -> None:
        """Load the account's templates now; while the store is down the last ones stay."""
        self._loads += 1
        load = self._loads
        try:
            templates = _written_with(await self.store.templates.active(account))
        except StoreError as error:
            logger.warning("templates not loaded: %s", error, extra={"action": "templates_not_loaded"})
            templates = None
        last = self._snapshots.get(account, _Snapshot((), 0, 0.0))
        # A load that began before a write may end after the write's own.
        if load > last.load:
            kept = last.templates if templates is None else templates
            self._snapshots[account] = _Snapshot(kept, load, asyncio.get_running_loop().time())

    async def seed(self, accounts: Iterable[str]) -> None:
        """Bring the bundled templates of the accounts up to date, as often as it takes for the store to do it."""
        for account in accounts:
            while True:
                try:
                    await self.store.seed_templates(load_templates(), account)
                    break
                except StoreUnavailable as error:
                    logger.warning("templates not seeded: %s", error, extra={"action": "templates_not_seeded"})
                    await asyncio.sleep(SEED_PAUSE_S)
                except StoreError:
                    logger.exception("templates refused", extra={"action": "templates_refused"})
                    break
            await self.refresh(account)


def _written_with(stored: tuple[StoredTemplate, ...]) -> tuple[Template, ...]:
    """Return the records of the templates that this release can read; empty for the bundled ones, untried."""
    templates: list[Template] = []
    for row in stored:
        try:
            (template,) = parse_templates([_frame(row)])
        except ValueError:
            logger.warning("template %d cannot be read", row.id, extra={"action": "template_unreadable"})
            continue
        templates.append(template)
    untried = not any(row.usage_count for row in stored)
    return () if untried and set(templates) == set(load_templates()) else tuple(templates)


def _frame(row: StoredTemplate) -> dict[str, object]:
    return {
        "name": row.name,
        "type": row.type,
        "language": row.language,
        "objective": row.objective,
        "tone": row.tone,
        "intent": row.intent,
        "content": row.content,
        "success_lower_bound": row.success_lower_bound,
    }
