"""What the rows of all accounts say of the product's health."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from pipelines.viral_predictor.drift import Scored
from store.table import Table


class VitalTable(Table):
    """Reads over all accounts. Raises what Store's methods raise."""

    async def experiments(self) -> dict[str, int]:
        """Return state -> experiments; a state that none is in is missing."""
        async with self._connect() as connection:
            return {row["state"]: row["n"] for row in await connection.fetch(self._queries["count_experiments"])}

    async def splits(self) -> Sequence[tuple[list[int], list[float]]]:
        """Return of each running split test the units and the share of each variant; bandits are left out.

        The cost grows with the units.
        """
        async with self._connect() as connection:
            rows = await connection.fetch(self._queries["count_split"])
        found: dict[UUID, tuple[list[int], list[float]]] = defaultdict(lambda: ([], []))
        for row in rows:
            units, shares = found[row["experiment_id"]]
            units.append(row["units"])
            shares.append(row["weight"])
        return list(found.values())

    async def scored(self, queries: int) -> list[Scored]:
        """Return those of the newest `queries` whose wording was scored."""
        async with self._connect() as connection:
            return [Scored(**row) for row in await connection.fetch(self._queries["list_scored"], queries)]
