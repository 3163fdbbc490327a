"""The rows of audiences: the segments of an account, and what its last refresh found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson

from pipelines.audience.segments import Audience, Segment
from pipelines.audience.trends import Trends
from store.table import Table

if TYPE_CHECKING:
    pass

# A refresh that has not ended by then never will: its process is gone.
ABANDONED = timedelta(minutes=3)


@dataclass(frozen=True, kw_only=True)
class Refresh:
    """The last refresh of an account; `result` and `trends` are JSON objects, None before the first has ended."""

    result: dict[str, Any] | None
    trends: dict[str, Any] | None
    computed_at: datetime | None
    refreshing: bool


@dataclass(frozen=True, kw_only=True)
class StoredSegment:
    """A segment as it is stored; the fields of `pipelines.audience.segments.Segment` as JSON."""

    segment: str
    n: int
    share: float
    stability: float
    outcome: dict[str, Any]
    interests: list[dict[str, Any]]
    behavior_patterns: dict[str, Any]
    content_preferences: dict[str, Any]
    demographics: dict[str, Any] | None
    optimal_timing: dict[str, Any] | None
    computed_at: datetime


class AudienceTable(Table):
    """Reads and changes the audience of one account at a time. Raises what Store's methods raise."""

    async def claim(self, account_id: str, now: datetime) -> datetime | None:
        """Take the refresh of an account: return the claim to end it with, or None while another one runs."""
        async with self._connect() as connection:
            claimed: datetime | None = await connection.fetchval(
                self._queries["claim_refresh"], account_id, now - ABANDONED
            )
        return claimed

    async def release(self, account_id: str, claim: datetime) -> None:
        """Give back a refresh that came to nothing."""
        async with self._connect() as connection:
            await connection.execute(self._queries["release_refresh"], account_id, claim)

    async def save(
        self, account_id: str, claim: datetime, audience: Audience, trends: Trends, computed_at: datetime
    ) -> bool:
        """Store what a refresh found in place of the one before; False, and nothing stored, where its claim is lost."""
        result = asdict(audience)
        del result["segments"]
        names = [segment.name for segment in audience.segments]
        async with self._transaction() as connection:
            held = await connection.fetchval(
                self._queries["finish_refresh"], account_id, claim, _json(result), _json(asdict(trends)), computed_at
            )
            if held is None:
                return False
            await connection.execute(self._queries["forget_segments"], account_id, names)
            await connection.execute(self._queries["delete_segments"], account_id, names)
            if audience.segments:
                columns = zip(*map(_columns, audience.segments), strict=True)
                await connection.execute(self._queries["save_segments"], account_id, *map(list, columns), computed_at)
        return True

    async def find_refresh(self, account_id: str, now: datetime) -> Refresh | None:
        """Return what the last refresh found; None before the first."""
        async with self._connect() as connection:
            row = await connection.fetchrow(self._queries["find_refresh"], account_id, now - ABANDONED)
        if row is None:
            return None
        return Refresh(
            result=_object(row["result"]),
            trends=_object(row["trends"]),
            computed_at=row["computed_at"],
            refreshing=row["refreshing"],
        )

    async def segments(self, account_id: str, name: str | None = None) -> tuple[StoredSegment, ...]:
        """Return the segments of an account, the largest first, or the one that is called `name`."""
        async with self._connect() as connection:
            rows = await connection.fetch(self._queries["list_segments"], account_id, name)
        plain = ("n", "share", "stability", "computed_at")
        texts = (
            "outcome", "interests", "behavior_patterns", "content_preferences", "demographics", "optimal_timing",
        )  # fmt: skip
        return tuple(
            StoredSegment(
                segment=row["audience_segment"],
                **{name: row[name] for name in plain},
                **{name: _object(row[name]) for name in texts},
            )
            for row in rows
        )


def _columns(segment: Segment) -> tuple[object, ...]:
    return (
        segment.name,
        segment.n,
        segment.share,
        segment.stability,
        _json(asdict(segment.outcome)),
        _json([asdict(interest) for interest in segment.interests]),
        _json({"actions": [asdict(row) for row in segment.behavior]}),
        _json(
            {
                "marked_by": segment.marked_by,
                "preferences": [asdict(row) for row in segment.preferences],
                "without_evidence": [asdict(row) for row in segment.without_evidence],
            }
        ),
    )


def _json(content: object) -> str:
    return orjson.dumps(content).decode()


def _object(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)
