"""How many requests the models work for at once: as many as they answer in time, learned from those that were late.

Beyond that a request is refused before anything is computed for it. One that waited past its deadline has cost as much
as one that was answered, so without a bound more callers get fewer answers.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from deployments.http.problems import unavailable

# What the bound falls to where more than this share of the answers of a deadline's length were late, and what it rises
# by with each answer that was not, while at least half of the places are taken.
FALL, LATE_SHARE, RISE = 0.6, 0.02, 0.05
# An answer that took more than this share of its deadline counts as late: the next one would be.
NEARLY = 0.8
# So many are always let in, and so many late ones are no crowd.
LEAST = 8
# What was learned of a crowd is forgotten when half of the places have not been taken for so long: the next may differ.
FORGET_S = 60.0


@dataclass(slots=True)
class Place:
    """What one request inside notes of its answer: late because others were before it, whole, or neither."""

    outcome: Literal["unknown", "late", "whole"] = "unknown"


class Admission:
    """Lets in as many requests as are answered in time: additive increase, multiplicative decrease, as TCP does it.

    The bound falls at most once in `deadline_s`, and not for who came before it fell.

    Args:
        most: how many may be inside in any case.
        deadline_s: how long an answer may take.
        clock: seconds that only grow.
    """

    def __init__(self, most: int, deadline_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = float(most)
        self.most = most
        self.deadline_s = deadline_s
        self.inside = self._most_inside = 0
        self._clock = clock
        self._fell_at, self._crowded_at = -math.inf, clock()
        self._begin()

    def reconfigure(self, most: int, deadline_s: float) -> None:
        """Apply new bounds; what was learned is forgotten where they differ."""
        if (most, deadline_s) != (self.most, self.deadline_s):
            self.limit, self.most, self.deadline_s = float(most), most, deadline_s

    def refuse_a_crowd(self) -> None:
        """Pass where a place is free, and take none.

        Raises:
            Problem: 503, all places are taken.
        """
        now = self._clock()
        if now - self._crowded_at > FORGET_S:
            self.limit = float(self.most)
        if 2 * (self.inside + 1) >= self.limit:
            self._crowded_at = now
        if self.inside >= int(self.limit):
            raise unavailable("More is asked at once than is answered in time.")

    @contextmanager
    def admitted(self) -> Iterator[Place]:
        """Hold one place; whoever left, or failed, says nothing about how crowded it is.

        Raises:
            Problem: 503, all places are taken.
        """
        self.refuse_a_crowd()
        self.inside += 1
        self._most_inside = max(self._most_inside, self.inside)
        together, came_at, place = self.inside, self._clock(), Place()
        try:
            yield place
        finally:
            self.inside -= 1
            if place.outcome != "unknown":
                self._learn(together, came_at, late=place.outcome == "late")

    def _begin(self) -> None:
        self._began = self._clock()
        self._answered = self._late = 0
        self._most_inside = self.inside

    def _learn(self, together: int, came_at: float, *, late: bool) -> None:
        now = self._clock()
        self._answered += 1
        if late or now - came_at > NEARLY * self.deadline_s:
            self._late += came_at >= self._fell_at
        elif 2 * together >= self.limit:
            self.limit = min(self.limit + RISE, float(self.most))
        if now - self._began >= self.deadline_s:
            if self._most_inside > LEAST and self._late > max(LEAST, LATE_SHARE * self._answered):
                self.limit = min(max(float(LEAST), FALL * min(self.limit, self._most_inside)), float(self.most))
                self._fell_at = self._crowded_at = now
            self._begin()
