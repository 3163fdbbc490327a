"""Ports for servers that start some time after their port was chosen."""

from __future__ import annotations

import random
import socket

# Above the ports of ingress replicas (supervisor.main) and below those that Linux gives to outgoing connections: of the
# latter one may be taken, on any address, between its choice here and its server's start.
FIRST, LAST = 30_000, 32_767


def free_port() -> int:
    """Return a TCP port that nothing listens on and that the system gives to no connection on its own.

    Raises:
        OSError: every port of the range is taken.
    """
    for port in random.sample(range(FIRST, LAST + 1), LAST + 1 - FIRST):
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    raise OSError(f"no port from {FIRST} to {LAST} is free")
