"""Who can speak to whom: the NetworkPolicies, asked about every pair of pods and every port that is listened on."""

from __future__ import annotations

import ipaddress
from itertools import product
from typing import Any

import pytest

from supervisor.render import K8S
from tests.kustomize import ALL_OVERLAYS, built, documents, groups, selects

PORTS = {53, 80, 443, 2379, 5432, 6379, 8000, 8080, 8265, 8404, 9101, 9187, 10001, 15012, 44217, 44227, 52365}
HOME = "murmuration"
OURS = {"app.kubernetes.io/part-of": "murmuration"}
RAY = OURS | {"app.kubernetes.io/component": "ray"}
# A namespace and labels, or an address and None.
Peer = tuple[str, dict[str, str] | None]
PEERS: dict[str, Peer] = {
    "head": (HOME, RAY | {"ray.io/node-type": "head"}),
    "worker": (HOME, RAY | {"ray.io/node-type": "worker"}),
    "cleanup": (HOME, RAY | {"ray.io/node-type": "redis-cleanup"}),
    "migrate": (HOME, OURS | {"app.kubernetes.io/component": "migration"}),
    "cache": (HOME, OURS | {"app.kubernetes.io/component": "cache"}),
    "gcs-redis": (HOME, OURS | {"app.kubernetes.io/component": "gcs-redis"}),
    "postgres": (HOME, {"cnpg.io/cluster": "murmuration-postgres"}),
    "our-gateway": (HOME, {"gateway.networking.k8s.io/gateway-name": "murmuration-gateway"}),
    "stranger": (HOME, {}),
    "gateway": ("gateway", {}),
    "operator": ("kuberay-system", {"app.kubernetes.io/component": "kuberay-operator"}),
    "impostor": (
        "default",
        {"app.kubernetes.io/component": "kuberay-operator", "app.kubernetes.io/name": "prometheus"},
    ),
    "cnpg": ("cnpg-system", {"app.kubernetes.io/name": "cloudnative-pg"}),
    "prometheus": ("monitoring", {"app.kubernetes.io/name": "prometheus"}),
    "grafana": ("monitoring", {"app.kubernetes.io/name": "grafana"}),
    "istiod": ("istio-system", {}),
    "dns": ("kube-system", {"k8s-app": "kube-dns"}),
    "elsewhere": ("default", RAY),
    "apiserver": ("10.96.0.1", None),
    "internet": ("93.184.215.14", None),
}


def is_peer(rule: dict[str, Any], peer: Peer) -> bool:
    where, labels = peer
    if labels is None or "ipBlock" in rule:
        if labels is not None or "ipBlock" not in rule:
            return False
        address, block = ipaddress.ip_address(where), rule["ipBlock"]
        within = address in ipaddress.ip_network(block["cidr"])
        return within and not any(address in ipaddress.ip_network(one) for one in block.get("except", ()))
    namespaces = rule.get("namespaceSelector")
    here = where == HOME if namespaces is None else selects(namespaces, {"kubernetes.io/metadata.name": where})
    return here and selects(rule.get("podSelector", {}), labels)


def lets(policies: list[Any], direction: str, pod: Peer, other: Peer, port: int) -> bool:
    """Whether the policies of `pod` let it be spoken to by `other`, or speak to it; who is elsewhere has none here."""
    where, labels = pod
    if where != HOME or labels is None:
        return True
    key, side = ("ingress", "from") if direction == "Ingress" else ("egress", "to")
    chosen = [one for one in policies if direction in one["policyTypes"] and selects(one["podSelector"], labels)]
    assert chosen, "no policy denies by default"
    return any(
        (side not in rule or any(is_peer(one, other) for one in rule[side]))
        and ("ports" not in rule or port in {one["port"] for one in rule["ports"]})
        for policy in chosen
        for rule in policy.get(key, ())
    )


def open_ways(policies: list[Any]) -> dict[tuple[str, str], set[int]]:
    """(who, to whom) -> ports, for all ways that begin or end in our namespace."""
    ways: dict[tuple[str, str], set[int]] = {}
    for (source, a), (target, b), port in product(PEERS.items(), PEERS.items(), PORTS):
        if source == target or HOME not in (a[0], b[0]):
            continue
        if lets(policies, "Egress", a, b, port) and lets(policies, "Ingress", b, a, port):
            ways.setdefault((source, target), set()).add(port)
    return ways


@pytest.mark.parametrize("overlay", ALL_OVERLAYS)
def test_who_needs_a_port_reaches_it_and_nobody_else(overlay: str) -> None:
    policies = [item["spec"] for (kind, _), item in built(f"overlays/{overlay}").items() if kind == "NetworkPolicy"]
    ours = [name for name, peer in PEERS.items() if peer[0] == HOME]
    expected = {(name, "dns"): {53} for name in ours}
    ray = ("head", "worker", "cleanup")
    for name in ray:
        expected |= {(name, other): PORTS for other in ray if other != name}
        expected |= {
            ("gateway", name): {8000},
            ("our-gateway", name): {8000},
            ("operator", name): {8265, 8000},
            ("prometheus", name): {8080, 44217, 44227, 9101, 8000},
            (name, "cache"): {6379},
            (name, "postgres"): {5432},
        }
    expected |= {
        ("head", "gcs-redis"): {6379},
        ("cleanup", "gcs-redis"): {6379},
        ("head", "apiserver"): {443},
        ("migrate", "postgres"): {5432},
        ("cnpg", "postgres"): {8000, 5432},
        ("prometheus", "postgres"): {9187},
        ("our-gateway", "istiod"): {15012},
    }
    # It speaks HTTP: behind the one that ended TLS.
    expected["gateway", "our-gateway"] = {80}
    # Its backups go to an object store that may stand anywhere.
    expected |= {("postgres", other): {443} for other, peer in PEERS.items() if peer[0] != HOME and other != "dns"}
    expected["postgres", "dns"] = {53, 443}
    assert open_ways(policies) == expected


def test_servers_of_ones_own_and_the_internet_are_reached_where_a_component_says_so_alone() -> None:
    base = [item["spec"] for item in documents(K8S / "base" / "network.yaml")]
    external, internet = (documents(K8S / "components" / name / "network.yaml") for name in ("external", "internet"))
    server, redis, metadata, inside = [
        (address, None) for address in ("192.0.2.10", "192.0.2.20", "169.254.169.254", "10.1.2.3")
    ]
    for whom, port in ((server, 5432), (redis, 6379), (PEERS["internet"], 443)):
        for name in ("worker", "migrate"):
            assert not lets(base, "Egress", PEERS[name], whom, port)
    wider = [*base, *(item["spec"] for item in (*external, *internet))]
    assert lets(wider, "Egress", PEERS["migrate"], server, 5432)
    assert lets(wider, "Egress", PEERS["worker"], redis, 6379)
    assert lets(wider, "Egress", PEERS["worker"], PEERS["internet"], 443)
    assert not lets(wider, "Egress", PEERS["migrate"], PEERS["internet"], 443)
    # The metadata service of a cloud hands out credentials.
    assert not lets(wider, "Egress", PEERS["worker"], metadata, 443)
    assert not lets(wider, "Egress", PEERS["worker"], inside, 443)


@pytest.mark.parametrize("overlay", ALL_OVERLAYS)
def test_the_pods_of_ray_carry_the_labels_that_policies_ask_for(overlay: str) -> None:
    for group in groups(overlay):
        assert group["template"]["metadata"]["labels"] == RAY
