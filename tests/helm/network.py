"""Whether traffic passes rendered NetworkPolicies, by Kubernetes' semantics.

A pod that no policy selects is open; one that a policy selects is closed but for the union of what
its policies allow. Egress of the source and ingress of the target must both allow the traffic. An
`ipBlock` matches addresses outside of the Kubernetes cluster alone: whether it matches pods and
services depends on the network plugin.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.helm.chart import Document
from tests.helm.pods import selects

NAMESPACE_LABEL = "kubernetes.io/metadata.name"
"""The only label that every namespace has."""


@dataclass(frozen=True)
class Endpoint:
    """A pod in a namespace, or an address outside of the Kubernetes cluster."""

    name: str
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    address: str = ""


@dataclass(frozen=True)
class Port:
    """A port number with its protocol."""

    number: int
    protocol: str = "TCP"


def sides(
    policies: Sequence[Document], source: Endpoint, target: Endpoint, port: Port
) -> tuple[bool, bool]:
    """Whether the source's egress and the target's ingress allow the traffic, which needs both."""
    return (
        _passes(policies, "Egress", source, target, port),
        _passes(policies, "Ingress", target, source, port),
    )


def _passes(
    policies: Sequence[Document], direction: str, subject: Endpoint, peer: Endpoint, port: Port
) -> bool:
    if not subject.namespace:
        return True
    own = [one for one in policies if applies(one, direction, subject)]
    key = direction.lower()
    rules = [rule for one in own for rule in one["spec"].get(key) or ()]
    return not own or any(_matches(rule, direction, subject, peer, port) for rule in rules)


def applies(policy: Document, direction: str, pod: Endpoint) -> bool:
    """Whether a policy restricts a pod in one direction, Ingress or Egress."""
    spec = policy["spec"]
    implied = ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    return (
        direction in spec.get("policyTypes", implied)
        and policy["metadata"].get("namespace") == pod.namespace
        and selects(spec["podSelector"], pod.labels)
    )


def _matches(rule: Document, direction: str, subject: Endpoint, peer: Endpoint, port: Port) -> bool:
    peers = rule.get("to" if direction == "Egress" else "from")
    ports = rule.get("ports")
    return (not peers or any(_is_peer(one, subject.namespace, peer) for one in peers)) and (
        not ports or any(_is_port(one, port) for one in ports)
    )


def _is_peer(peer: Document, namespace: str, endpoint: Endpoint) -> bool:
    if block := peer.get("ipBlock"):
        return bool(endpoint.address) and in_block(endpoint.address, block)
    if not endpoint.namespace:
        return False
    if "namespaceSelector" in peer:
        if not selects(peer["namespaceSelector"], {NAMESPACE_LABEL: endpoint.namespace}):
            return False
    elif endpoint.namespace != namespace:
        return False
    return selects(peer.get("podSelector"), endpoint.labels)


def in_block(address: str, block: Mapping[str, Any]) -> bool:
    """Whether an address is in `cidr` but in none of `except`."""
    ip = ipaddress.ip_address(address)
    within = [ip in ipaddress.ip_network(one) for one in (block["cidr"], *block.get("except", ()))]
    return within[0] and not any(within[1:])


def _is_port(one: Document, port: Port) -> bool:
    if one.get("protocol", "TCP") != port.protocol:
        return False
    first = one.get("port")
    return first is None or first <= port.number <= one.get("endPort", first)
