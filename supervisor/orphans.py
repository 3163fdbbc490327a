"""No process of ours outlives us: adopt what loses its parent, end what is left.

The cluster does it when it stops; the supervisor does it again, for a cluster that could not (killed, or ended by Ray).
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Collection
from contextlib import suppress

import psutil

GRACE_S = 3.0
KILL_ROUNDS = 5
PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>


def adopt_orphans() -> None:
    """Become the parent of descendants that lose theirs, so that `end_children` sees them (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_children(spared: Collection[int] = ()) -> None:
    """Wait for all descendants but those of the processes `spared`, then terminate, then kill, until none is left.

    More than one round of killing: a raylet that was just starting brings up its agents after it was told to stop, and
    they become ours when it is gone.
    """
    ways: list[Callable[[psutil.Process], None]] = [psutil.Process.terminate, *[psutil.Process.kill] * KILL_ROUNDS]
    for end in ways:
        _, left = psutil.wait_procs(_descendants(spared), timeout=GRACE_S)
        for process in left:
            with suppress(psutil.NoSuchProcess):
                end(process)
        if not _descendants(spared):
            return


def _descendants(spared: Collection[int]) -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children():
        if child.pid not in spared:
            found.append(child)
            with suppress(psutil.NoSuchProcess):
                found += child.children(recursive=True)
    return found
