"""Ports for servers that start later: free, and never one that a connection may take meanwhile."""

import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from supervisor import ports
from supervisor.cluster import haproxy_environment


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


def test_clusters_of_one_host_never_share_the_ports_of_their_ingresses() -> None:
    mine, my_claim = ports.claim_ingress_ports()
    with my_claim:
        others, their_claim = ports.claim_ingress_ports()
        their_claim.close()
    again, my_claim = ports.claim_ingress_ports()
    my_claim.close()
    assert again == mine
    for kind in ports.INGRESS_PORTS:
        ranges = [
            range(
                int(one[f"RAY_SERVE_DIRECT_INGRESS_MIN_{kind}_PORT"]),
                int(one[f"RAY_SERVE_DIRECT_INGRESS_MAX_{kind}_PORT"]) + 1,
            )
            for one in (mine, others)
        ]
        assert len(set().union(*ranges)) == 2 * (ports.PORTS - 1)


def test_nothing_that_stands_before_the_ingresses_of_one_cluster_listens_where_that_of_another_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in haproxy_environment(tmp_path):
        monkeypatch.delenv(name, raising=False)

    def drawn() -> dict[str, int]:
        return {k: int(v) for k, v in haproxy_environment(tmp_path).items() if k.endswith("_PORT")}

    one = drawn()
    with ExitStack() as listening:
        for port in one.values():
            listening.enter_context(socket.create_server(("127.0.0.1", port)))
        other = drawn()
    assert {"RAY_SERVE_FALLBACK_PROXY_HTTP_PORT", "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT"} < one.keys()
    assert len({*one.values(), *other.values()}) == len(one) + len(other)


def test_no_two_servers_of_one_cluster_are_given_the_same_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in haproxy_environment(tmp_path):
        monkeypatch.delenv(name, raising=False)
    free = ports.free_ports(7)
    # Whoever draws anew finds these in this order again.
    monkeypatch.setattr("random.sample", lambda *_: free)
    found = haproxy_environment(tmp_path, *free[:2])
    assert [int(port) for name, port in found.items() if name.endswith("_PORT")] == free[2:6]
