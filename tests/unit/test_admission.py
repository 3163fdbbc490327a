"""More callers get no fewer answers: what cannot be answered soon is refused before it costs anything."""

from __future__ import annotations

import heapq
from collections import deque
from contextlib import AbstractContextManager, ExitStack

import pytest

from deployments.admission import FALL, FORGET_S, LEAST, Admission, Place
from deployments.http.problems import Problem

DEADLINE_S = 5.0


class Server:
    """Answers `per_s` requests a second, one by one, to callers who come again at once, or .2 s after a 503."""

    def __init__(self, per_s: float, *, bounded: bool) -> None:
        self.now = 0.0
        self.admission = Admission(512, DEADLINE_S, lambda: self.now)
        self.bounded = bounded
        self.service_s = 1 / per_s
        self.in_time = self.late = self.refused = 0
        self.queue: deque[tuple[float, AbstractContextManager[Place], Place | None, int]] = deque()
        self.coming: list[tuple[float, int]] = []
        self.free_at = 0.0

    def serve(self, callers: int, seconds: float) -> None:
        """Let so many more callers come, and go on for so long."""
        end = self.now + seconds
        for n in range(callers):
            heapq.heappush(self.coming, (self.now + n / 1000, n))
        coming = self.coming
        while self.now < end:
            if coming and (not self.queue or coming[0][0] <= self.free_at):
                self.now, caller = heapq.heappop(coming)
                held = self.admission.admitted()
                try:
                    place = held.__enter__() if self.bounded else None
                except Problem:
                    self.refused += 1
                    heapq.heappush(coming, (self.now + 0.2, caller))
                    continue
                if not self.queue:
                    self.free_at = self.now + self.service_s
                self.queue.append((self.now, held, place, caller))
                continue
            self.now = self.free_at
            came, held, place, caller = self.queue.popleft()
            self.free_at = self.now + self.service_s
            late = self.now - came > DEADLINE_S
            self.late += late
            self.in_time += not late
            if place is not None:
                place.outcome = "late" if late else "whole"
                held.__exit__(None, None, None)
            heapq.heappush(coming, (self.now, caller))


@pytest.mark.parametrize("callers", [800, 2_000])
def test_a_crowd_gets_as_many_answers_as_the_models_can_give(callers: int) -> None:
    unbounded, bounded = Server(100, bounded=False), Server(100, bounded=True)
    unbounded.serve(callers, 60)
    assert unbounded.late > 5 * unbounded.in_time, "the server of the test is crowded"
    bounded.serve(callers, 30)
    bounded.in_time = bounded.late = 0
    bounded.serve(0, 60)
    assert bounded.in_time > 0.95 * 60 * 100
    assert bounded.late < 0.01 * bounded.in_time


def test_who_is_answered_in_time_is_never_refused() -> None:
    server = Server(100, bounded=True)
    server.serve(390, 60)
    assert (server.refused, server.late) == (0, 0)


def test_expensive_texts_lower_the_bound_and_cheap_ones_raise_it_again() -> None:
    server = Server(10, bounded=True)
    server.serve(200, 60)
    assert LEAST <= server.admission.limit <= 1.5 * 10 * DEADLINE_S
    late = server.late
    server.service_s = 1 / 200
    server.serve(200, 60)
    assert server.admission.limit > 200
    assert server.late <= late + LEAST


def test_a_moment_in_which_all_are_slow_refuses_nobody() -> None:
    server = Server(100, bounded=True)
    server.serve(60, 10)
    server.service_s = 1 / 20
    server.serve(0, 4)
    server.service_s = 1 / 100
    server.serve(0, 10)
    assert server.refused == 0


class Clocked:
    """An admission whose clock stands until it is moved."""

    def __init__(self, most: int) -> None:
        self.now = 0.0
        self.admission = Admission(most, DEADLINE_S, lambda: self.now)

    def together(self, n: int, outcome: str, took_s: float = 3.0) -> None:
        """So many requests come together and leave together; then one more, so that a deadline has passed."""
        with ExitStack() as inside:
            for place in [inside.enter_context(self.admission.admitted()) for _ in range(n)]:
                place.outcome = outcome  # type: ignore[assignment]
            self.now += took_s
        self.now += DEADLINE_S
        with self.admission.admitted() as last:
            last.outcome = "whole"

    @property
    def limit(self) -> float:
        return self.admission.limit


@pytest.mark.parametrize(("outcome", "took_s", "limit"), [("late", 3, 60), ("whole", 4.5, 60), ("unknown", 4.5, 100)])
def test_the_bound_falls_where_answers_were_late(outcome: str, took_s: float, limit: float) -> None:
    clocked = Clocked(100)
    clocked.together(100, outcome, took_s)
    assert clocked.limit == limit


def test_whole_answers_in_time_leave_the_most_as_it_is() -> None:
    clocked = Clocked(100)
    clocked.together(100, "whole")
    assert clocked.limit == 100


def test_a_few_slow_answers_are_no_crowd() -> None:
    clocked = Clocked(512)
    for _ in range(20):
        clocked.together(1, "late")
    clocked.together(LEAST, "late")
    assert clocked.limit == 512


def test_who_came_before_the_bound_fell_does_not_make_it_fall_again() -> None:
    clocked = Clocked(100)
    with ExitStack() as slow:
        for place in [slow.enter_context(clocked.admission.admitted()) for _ in range(40)]:
            place.outcome = "late"
        clocked.together(60, "late")
        assert clocked.limit == 60
    clocked.together(1, "late")
    assert clocked.limit == 60


def test_a_bound_that_fell_rises_with_whole_answers_and_never_above_the_most() -> None:
    clocked = Clocked(100)
    clocked.together(100, "late")
    assert clocked.limit == FALL * 100
    for _ in range(50):
        clocked.together(int(clocked.limit), "whole", 0.1)
    assert clocked.limit == 100


def test_what_one_crowd_taught_is_forgotten_when_none_has_come_for_a_minute() -> None:
    clocked = Clocked(100)
    clocked.together(100, "late")
    for _ in range(int(FORGET_S / DEADLINE_S / 2)):
        clocked.together(1, "whole", 0.1)
    assert clocked.limit == FALL * 100, "not yet"
    for _ in range(int(FORGET_S / DEADLINE_S)):
        clocked.together(1, "whole", 0.1)
    assert clocked.limit == 100


def test_a_crowd_of_less_than_half_of_the_most_is_bounded_after_a_quiet_minute_too() -> None:
    clocked = Clocked(100)
    clocked.now = 2 * FORGET_S
    clocked.together(40, "late")
    limit = clocked.limit
    assert 20 < limit < 40
    with ExitStack() as inside:
        for _ in range(int(limit)):
            inside.enter_context(clocked.admission.admitted())
        with pytest.raises(Problem):
            clocked.admission.refuse_a_crowd()


def test_a_crowd_that_is_refused_is_one_that_lasts() -> None:
    clocked = Clocked(100)
    clocked.together(100, "late")
    with ExitStack() as inside:
        for _ in range(60):
            inside.enter_context(clocked.admission.admitted())
        for _ in range(5):
            clocked.now += FORGET_S / 2
            with pytest.raises(Problem):
                clocked.admission.refuse_a_crowd()


def test_a_bound_below_the_least_stays_where_it_is() -> None:
    clocked = Clocked(4)
    clocked.together(4, "late")
    assert clocked.limit == 4


def test_new_bounds_count_at_once_and_equal_ones_forget_nothing() -> None:
    clocked = Clocked(100)
    clocked.together(100, "late")
    clocked.admission.reconfigure(100, DEADLINE_S)
    assert clocked.limit == FALL * 100
    clocked.admission.reconfigure(4, DEADLINE_S)
    assert clocked.limit == 4


def test_a_request_that_fails_gives_its_place_back() -> None:
    admission = Admission(1, DEADLINE_S)
    for _ in range(3):
        with pytest.raises(ValueError, match="broken"), admission.admitted():
            raise ValueError("broken")
    with admission.admitted(), pytest.raises(Problem) as refused:
        admission.admitted().__enter__()
    assert refused.value.status == 503
    assert refused.value.headers == {"Retry-After": "1"}
