"""Ports for servers that start later: free, and never one that a connection may take meanwhile."""

import socket
from pathlib import Path

import pytest

from supervisor import ports


def test_a_port_is_none_that_the_system_gives_to_outgoing_connections() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    if lowest <= ports.LAST:
        pytest.skip(f"this machine gives connections ports from {lowest} on")
    assert {ports.free_port() for _ in range(50)} <= set(range(ports.FIRST, lowest))


def test_a_port_that_something_listens_on_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", ports.free_port())) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(ports, "FIRST", port)
        monkeypatch.setattr(ports, "LAST", port)
        with pytest.raises(OSError, match="no port"):
            ports.free_port()
