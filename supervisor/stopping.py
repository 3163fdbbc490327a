"""How a process is told to stop by a signal."""

from __future__ import annotations

import signal
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import FrameType


class Stop:
    """Whether to stop; set by SIGTERM and SIGINT once `listen` was called.

    Not threading.Event: a handler runs between two steps of the main thread, and where that stands inside wait(), or
    inside the set() of a signal before, Event.set() waits for ever for the lock that the same thread holds.
    SimpleQueue.put() may be entered again (bpo-14976).
    """

    def __init__(self) -> None:
        self._told = False
        self._calls: SimpleQueue[None] = SimpleQueue()

    def listen(self) -> None:
        """Put its handlers in place, of which other libraries bring their own."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def is_set(self) -> bool:
        """Whether it was told to stop."""
        return self._told

    def set(self) -> None:
        """Tell to stop."""
        self._told = True
        self._calls.put(None)

    def wait(self, timeout_s: float) -> bool:
        """Wait until told to stop, `timeout_s` seconds at most; returns whether it was told."""
        if not self._told:
            with suppress(Empty):
                self._calls.get(timeout=timeout_s)
        return self._told

    def _on_signal(self, _signal: int, _frame: FrameType | None) -> None:
        self.set()
