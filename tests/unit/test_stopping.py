"""How a process is told to stop, by more signals than one."""

import subprocess
import sys

import pytest

from supervisor.stopping import Stop

# A thread sends them, so that they come at every step of what the main thread does.
CHILD = """
import os, signal, threading
from supervisor.stopping import Stop

stop = Stop()
stop.listen()
sending = threading.Thread(target=lambda: [os.kill(os.getpid(), signal.SIGTERM) for _ in range(5_000)])
sending.start()
while sending.is_alive():
    stop.set()
    stop.wait(0.001)
print(stop.wait(60))
"""


def test_who_was_not_told_waits_and_who_was_told_waits_no_more() -> None:
    stop = Stop()
    assert (stop.wait(0.01), stop.is_set()) == (False, False)
    stop.set()
    assert (stop.wait(60), stop.wait(60), stop.is_set()) == (True, True, True)


@pytest.mark.timeout(600)
def test_signals_that_come_while_others_are_handled_stop_it_all_the_same() -> None:
    child = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, timeout=300, check=True)
    assert child.stdout == "True\n"
