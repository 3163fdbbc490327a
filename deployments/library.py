"""What each account writes with: a snapshot of its templates that requests read without waiting for Postgres."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from deployments.snapshots import Snapshots
from pipelines.generator.templates import NO_TEMPLATES, load_templates, parse_templates
from pipelines.records import Template
from store.errors import StoreError, StoreUnavailable
from store.postgres import Store
from store.templates import Filter, StoredTemplate

FRESH_S = 5.0
SEED_PAUSE_S = 5.0
logger = logging.getLogger(__name__)


class Library:
    """What each account writes with, as it was a few seconds ago at most while Postgres answers."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._snapshots: Snapshots[tuple[Template, ...]] = Snapshots("templates", self._load, empty=(), fresh_s=FRESH_S)

    async def templates(self, account: str) -> tuple[Template, ...]:
        """Return the account's active templates with what they achieved.

        Empty where they are exactly the bundled ones, none with an outcome, and where none were ever loaded or stored;
        NO_TEMPLATES where all are archived.
        """
        return await self._snapshots.get(account)

    async def refresh(self, account: str) -> None:
        """Load the account's templates now; while the store is down the last ones stay."""
        await self._snapshots.refresh(account)

    async def _load(self, account: str) -> tuple[Template, ...]:
        stored = await self.store.templates.active(account)
        if not stored and await self.store.templates.page(account, Filter(archived=True, limit=1)):
            return NO_TEMPLATES
        return _written_with(stored)

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
    """Return the records of the templates that this release can read; empty for the bundled ones, untried, or none."""
    templates: list[Template] = []
    for row in stored:
        try:
            (template,) = parse_templates([_frame(row)])
        except ValueError:
            logger.warning("template %d cannot be read", row.id, extra={"action": "template_unreadable"})
            continue
        templates.append(template)
    untried = not any(row.usage_count for row in stored)
    if not stored or (untried and set(templates) == set(load_templates())):
        return ()
    return tuple(templates) or NO_TEMPLATES


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
