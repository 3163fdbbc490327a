"""Ports for servers that start some time after their port was chosen."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Collection

# Where the ports of ingress replicas begin, how many a cluster has, and how many clusters of one host differ in them.
INGRESS_PORTS = {"HTTP": 20_000, "GRPC": 25_000}
PORTS, BLOCKS = 40, 125
# Above the ports of ingress replicas and below those that Linux gives to outgoing connections: of the
# latter one may be taken, on any address, between its choice here and its server's start.
FIRST, LAST = 30_000, 32_767


def free_port() -> int:
    """Return a TCP port that nothing listens on and that the system gives to no connection on its own.

    Raises:
        OSError: every port of the range is taken.
    """
    (port,) = free_ports(1)
    return port


def free_ports(n: int, but: Collection[int] = ()) -> list[int]:
    """Return `n` such ports, each another one and none of `but`: nobody holds them before their servers start.

    Raises:
        OSError: not so many of the range are free.
    """
    found: list[int] = []
    for port in random.sample(range(FIRST, LAST + 1), LAST + 1 - FIRST):
        if len(found) == n:
            break
        if port not in but and _is_free(port):
            found.append(port)
    if len(found) < n:
        raise OSError(f"no port from {FIRST} to {LAST} is free")
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def claim_ingress_ports() -> tuple[dict[str, str], socket.socket]:
    """Claim ports for the ingress replicas of one cluster, as Serve's environment, until the socket is closed.

    Replicas share a port with whoever listens there already (SO_REUSEPORT), and a balancer would send requests to
    another cluster's ingress. The claim is the last port of the block, bound by this process alone.

    Raises:
        OSError: every block is taken.
    """
    for turn in range(BLOCKS):
        offset = (os.getpid() + turn) % BLOCKS * PORTS
        claim = socket.socket()
        try:
            claim.bind(("127.0.0.1", INGRESS_PORTS["HTTP"] + offset + PORTS - 1))
        except OSError:
            claim.close()
            continue
        environment = {}
        for kind, lowest in INGRESS_PORTS.items():
            environment[f"RAY_SERVE_DIRECT_INGRESS_MIN_{kind}_PORT"] = str(lowest + offset)
            environment[f"RAY_SERVE_DIRECT_INGRESS_MAX_{kind}_PORT"] = str(lowest + offset + PORTS - 2)
        return environment, claim
    raise OSError("other clusters hold all ports of ingress replicas")
