"""Tells the audit which weights are served: whenever this replica sees others than those that it told last.

It looks at what the models answered with, so that it needs no call of its own; a model's version says what it was made
of, weights of the sentiment ensemble included. A change is told within LOOK_S of the first answer with it.
"""

from __future__ import annotations

import asyncio
import logging

from deployments.stages import Stages
from pipelines.outcomes.x_weights import load_snapshots
from store.errors import StoreError
from store.postgres import Store

LOOK_S = 10.0
logger = logging.getLogger(__name__)


class Weights:
    """What one replica sees served, and what it told of that."""

    def __init__(self, store: Store, stages: Stages) -> None:
        self._store = store
        self._stages = stages
        self._told: dict[str, str] = {}

    def served(self) -> dict[str, str]:
        """The version of each model that has answered, and the day of X's weights."""
        wording = {"wording": self._stages.wording_version} if self._stages.wording_version else {}
        return self._stages.model_versions | wording | {"x_weights": load_snapshots()[-1].date.isoformat()}

    async def tell(self) -> bool:
        """Write down what is served where this replica sees a change; return whether the database had not known."""
        served = self.served()
        # Nothing before the first answer of a model: a replica that is about to end tells nothing.
        if served == self._told or not self._stages.model_versions:
            return False
        news = await self._store.audit.record_weights(served)
        self._told = served
        if news:
            logger.info("other weights are served", extra={"action": "weights_changed"})
        return news

    async def run_forever(self) -> None:
        """Look every few seconds, until cancelled; where the database does not answer, again later."""
        while True:
            try:
                await self.tell()
            except StoreError as error:
                logger.warning("weights not told: %s", error, extra={"action": "weights_not_told"})
            except Exception:
                logger.exception("weights not told", extra={"action": "weights_not_told"})
            await asyncio.sleep(LOOK_S)
