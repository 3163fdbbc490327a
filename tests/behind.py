"""Run a module behind everything else on the machine: `python -m tests.behind 5 pytest ...`.

Where the kernel shares the processors among sessions (sched_autogroup), niceness counts only within one: the module
gets a session of its own, as nice as its process.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

AUTOGROUP = Path("/proc/self/autogroup")


def main() -> None:
    """Become the module, as the same process."""
    niceness, *module = sys.argv[1:]
    os.nice(int(niceness))
    with suppress(OSError):
        os.setsid()
        AUTOGROUP.write_text(niceness)
    os.execv(sys.executable, [sys.executable, "-m", *module])


if __name__ == "__main__":
    main()
