"""What an account did and does, as counts that cost the same however much is stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from store.table import Table

MAX_RUNNING = 50


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are since midnight UTC, and in all."""

    today: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class VariantEvents:
    """The events that a variant of a running experiment was told."""

    name: str
    impressions: int
    engagements: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningExperiment:
    """A running experiment; `design` as in its plan, `posts` those of a switchback."""

    id: UUID
    name: str
    design: str
    started_at: datetime
    last_event_at: datetime | None
    posts: int
    variants: tuple[VariantEvents, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What an account did: its queries, what they hold, and its experiments.

    `predictions` are the scores that are stored with queries: their own and their candidates'. `running` holds the
    newest MAX_RUNNING of `experiments["running"]`.
    """

    queries: Count = field(default_factory=Count)
    candidates: Count = field(default_factory=Count)
    predictions: Count = field(default_factory=Count)
    events: Count = field(default_factory=Count)
    imports: Count = field(default_factory=Count)
    experiments: dict[str, int]
    running: tuple[RunningExperiment, ...]


class FigureTable(Table):
    """Reads the figures of one account at a time. Raises what Store's methods raise."""

    async def of(self, account_id: str, now: datetime) -> Figures:
        """Return the account's figures; `now` says which day today is."""
        midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        async with self._connect() as connection:
            counted = await connection.fetchrow(self._queries["live_counts"], account_id, midnight.date())
            imports = await connection.fetchrow(self._queries["live_imports"], account_id, _first_id(midnight))
            states = await connection.fetch(self._queries["live_experiments"], account_id)
            running = await connection.fetch(self._queries["live_running"], account_id, MAX_RUNNING)
        nouns = ("queries", "candidates", "predictions", "events")
        counts = {noun: Count(counted[f"{noun}_today"], counted[noun]) for noun in nouns} if counted else {}
        return Figures(
            **counts,
            imports=Count(imports["today"], imports["total"]) if imports else Count(),
            experiments=dict.fromkeys(("draft", "running", "stopped", "concluded"), 0)
            | {row["state"]: row["n"] for row in states},
            running=tuple(_running(dict(row)) for row in running),
        )


def _running(row: dict[str, Any]) -> RunningExperiment:
    variants = tuple(VariantEvents(**variant) for variant in orjson.loads(row.pop("variants")))
    # The driver's ids are of a class of its own, which JSON does not take.
    return RunningExperiment(**row | {"id": UUID(bytes=row["id"].bytes), "variants": variants})


def _first_id(moment: datetime) -> UUID:
    """The least UUIDv7 of a moment: RFC 9562, section 5.7, its first 48 bits are Unix milliseconds."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)
