"""Run a module behind everything else on the machine: `python -m tests.behind 5 pytest ...`.

Where the kernel shares the processors among sessions (sched_autogroup), niceness counts only within one: the module
gets a session of its own, as nice as its process. It computes on one thread: a second one of BLAS waits by
spinning, and took as much of the processors as the first.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

AUTOGROUP = Path("/proc/self/autogroup")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def main() -> None:
    """Become the module, as the same process."""
    niceness, *module = sys.argv[1:]
    os.nice(int(niceness))
    with suppress(OSError):
        os.setsid()
        AUTOGROUP.write_text(niceness)
    for name in THREADS:
        os.environ.setdefault(name, "1")
    os.execv(sys.executable, [sys.executable, "-m", *module])


if __name__ == "__main__":
    main()
