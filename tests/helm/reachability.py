"""The table of required access: who reaches whom on which port. Everything else is closed.

Each row comes from what a part does, not from the chart's templates; network.py evaluates the rows
over the rendered NetworkPolicies.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.helm.chart import NAMESPACE, RELEASE, Document, Values, of_kind
from tests.helm.network import Endpoint, Port, applies, in_block, sides
from tests.helm.pods import Pod, pods

DASHBOARD, NODE_METRICS, HEAD_METRICS = 8265, 8080, (44217, 44227)
S3 = Endpoint("S3 or the hub", address="198.51.100.7")
API_SERVER = Endpoint("API server", address="203.0.113.1")
METADATA = Endpoint("metadata service", address="169.254.169.254")


def _labels(instance: str, part_of: str, component: str) -> dict[str, str]:
    keys = ("instance", "part-of", "component")
    parts = zip(keys, (instance, part_of, component), strict=True)
    return {f"app.kubernetes.io/{key}": value for key, value in parts if value}


STRANGERS = (
    Endpoint("unlabeled pod", NAMESPACE),
    Endpoint("another pod of this release", NAMESPACE, _labels(RELEASE, "physrl", "other")),
    *(
        Endpoint(name, namespace, _labels(instance, part_of, component))
        for component in ("head", "submitter")
        for name, namespace, instance, part_of in (
            ("pod of another release", NAMESPACE, "other", "physrl"),
            ("pod of another chart", NAMESPACE, RELEASE, ""),
            ("pod of another namespace", "elsewhere", RELEASE, "physrl"),
        )
    ),
)
"""Pods that are no part of the release, with labels as close to it as mistakes would need."""
OTHER_PORTS = (
    Port(22),
    Port(6379),
    Port(10001),
    Port(6006),
    Port(8600),
    Port(31000),
    Port(8265, "UDP"),
)
"""Ports that are tried in addition to those of the table: SSH, GCS, Ray Client, ..."""


@dataclass(frozen=True)
class Access:
    """A row: the source needs a port of the target; `port` None stands for every port."""

    source: str
    target: str
    port: Port | None


def role(pod: Pod) -> str:
    """Return the part that a pod plays, by the object that starts it and not by its labels."""
    kind, _, rest = pod.owner.partition("/")
    if pod.is_ray_node:
        return rest.rpartition(" ")[2]
    if kind == "Deployment":
        return rest.rpartition("-")[2]
    return {"RayJob": "submitter", "Pod": "test"}[kind]


def service(url: str, default: int = 443) -> tuple[Endpoint, Port] | None:
    """Return the server of an address such as http://NAME.NAMESPACE:PORT or HOST:PORT."""
    if not url:
        return None
    parts = urlsplit(url if "://" in url else f"//{url}")
    default = {"http": 80, "https": 443}.get(parts.scheme, default)
    host, port = parts.hostname or "", Port(parts.port or default)
    labels = host.split(".")
    internal = len(labels) == 2 or (len(labels) > 2 and labels[2] == "svc")
    if internal:
        return Endpoint(url, labels[1], {"tier": "data"}), port
    return Endpoint(url, address=S3.address), port


def endpoints(objects: list[Document], values: Values) -> list[Endpoint]:
    """List all parties: pods, operators, DNS, servers, addresses outside and strangers."""
    policy, found = values["networkPolicy"], {}
    owners = {f"{one['kind']}/{one['metadata']['name']}": one for one in objects}
    for pod in pods(objects):
        owner = owners[pod.owner.partition(" ")[0]]
        namespace = owner["metadata"].get("namespace", "default")
        key = (role(pod), namespace, json.dumps(pod.labels, sort_keys=True))
        found[key] = Endpoint(role(pod), namespace, pod.labels)
    heads = [one for one in found.values() if one.name == "head"]
    parts = {*RAY, "submitter", "test"}
    for part in parts - {one.name for one in found.values()}:  # pods of other values
        labels = {**heads[0].labels, "app.kubernetes.io/component": part}
        found[part, "", ""] = Endpoint(part, heads[0].namespace, labels)
    outside = [
        Endpoint("operator", policy["operatorNamespace"]),
        Endpoint("monitoring", policy["monitoringNamespace"]),
        Endpoint("DNS", policy["dns"]["namespace"]),
        *(Endpoint("DNS", address=one.partition("/")[0]) for one in policy["dns"]["cidrs"]),
        *(one[0] for one in _servers(values)),
        *(S3, API_SERVER, METADATA),
    ]
    return [*found.values(), *outside, *STRANGERS]


def _servers(values: Values) -> list[tuple[Endpoint, Port]]:
    """List the servers that the values name, except Grafana and Prometheus."""
    urls = [values["storage"]["endpoint"], values["headFaultTolerance"]["redisAddress"]]
    return [one for one in map(service, urls) if one is not None]


RAY = ("head", "rollout", "inference", "learner")
PAGES = ("tensorboard", "watch")


def table(values: Values) -> list[Access]:
    """Return the rows that a set of values needs."""
    monitoring, dns = values["monitoring"], values["networkPolicy"]["dns"]
    rows = [Access(one, two, None) for one in RAY for two in RAY]
    rows += [Access(one, "head", Port(DASHBOARD)) for one in ("operator", "submitter", "test")]
    for one in (*RAY, "submitter", "test", *PAGES):
        rows += [Access(one, "DNS", Port(dns["port"], protocol)) for protocol in ("UDP", "TCP")]
    rows += [Access(one, S3.name, Port(443)) for one in RAY]  # the hub at least
    if values["storage"]["url"]:
        storage, port = service(values["storage"]["endpoint"]) or (S3, Port(443))
        rows += [Access(one, storage.name, port) for one in (*RAY, *PAGES)]
    if values["autoscaling"]["enabled"]:
        rows += [Access("head", API_SERVER.name, Port(port)) for port in (443, 6443)]
    if redis := service(values["headFaultTolerance"]["redisAddress"], 6379):
        rows.append(Access("head", redis[0].name, redis[1]))
    if monitoring["enabled"]:
        rows += [Access("monitoring", one, Port(NODE_METRICS)) for one in RAY]
        rows += [Access("monitoring", "head", Port(one)) for one in HEAD_METRICS]
        for url in (monitoring["grafanaUrl"], monitoring["prometheusUrl"]):
            if found := service(url):
                inside = found[0].namespace == values["networkPolicy"]["monitoringNamespace"]
                rows.append(Access("head", "monitoring" if inside else S3.name, found[1]))
    return rows


def granted(values: Values, source: Endpoint, target: Endpoint, port: Port) -> bool:
    """Whether `networkPolicy.egress` grants what the table does not ask for."""
    if source.name not in (*RAY, *PAGES) or port.protocol != "TCP":
        return False
    for entry in values["networkPolicy"]["egress"]:
        if port.number not in entry["ports"]:
            continue
        if "cidr" in entry and target.address and in_block(target.address, entry):
            return True
        same = entry.get("namespace", "") == target.namespace != ""
        if same and entry.get("labels", {}).items() <= target.labels.items():
            return True
    return False


def ports(rows: Sequence[Access], values: Values) -> list[Port]:
    """List every port of the table, and others."""
    named = {row.port for row in rows if row.port is not None}
    named |= {Port(one) for entry in values["networkPolicy"]["egress"] for one in entry["ports"]}
    return sorted({*named, *OTHER_PORTS}, key=lambda port: (port.number, port.protocol))


def evaluate(objects: list[Document], values: Values) -> tuple[int, list[str]]:
    """Evaluate all rows; return their number, and a line for each that contradicts the table."""
    policies = list(of_kind(objects, "NetworkPolicy"))
    rows, parties = table(values), endpoints(objects, values)
    own = {*RAY, "submitter", "test", *PAGES} & {one.name for one in parties}
    needed, count, wrong = set(rows), 0, []
    for source in parties:
        for target in parties:
            if not {source.name, target.name} & own:
                continue
            for port in ports(rows, values):
                count += 1
                need = bool(
                    {Access(source.name, target.name, one) for one in (port, None)} & needed
                ) or granted(values, source, target, port)
                out, into = sides(policies, source, target, port)
                # Of closed traffic each side of this release is closed by itself.
                own_sides = (out and source.name in own) or (into and target.name in own)
                if (not (out and into)) if need else own_sides:
                    where = f"{target.name} {port.number}/{port.protocol}"
                    wrong.append(f"{source.name} -> {where}: {'closed' if need else 'open'}")
    for policy in policies:
        for stranger in STRANGERS:
            if any(applies(policy, direction, stranger) for direction in ("Ingress", "Egress")):
                wrong.append(f"{policy['metadata']['name']}: restricts {stranger.name}")
    absent = [row for row in rows if row.source in own and not _is_known(row.target, parties)]
    return count, wrong + [f"{row.source} -> {row.target}: no such target" for row in absent]


def _is_known(target: str, parties: Sequence[Endpoint]) -> bool:
    return target in {one.name for one in parties} | set(RAY)


def reachable(objects: list[Document], values: Values) -> Iterator[str]:
    """Require that what the table needs is open, and that everything else is closed."""
    relevant = [*of_kind(objects, "NetworkPolicy")]
    owners = [{"kind": pod.owner, "labels": pod.labels, "role": role(pod)} for pod in pods(objects)]
    namespaces = [one["metadata"].get("namespace") for one in objects]
    key = json.dumps([relevant, owners, namespaces, values], sort_keys=True)
    if key not in _RESULTS:
        if len(_RESULTS) > MOST_RESULTS:
            _RESULTS.clear()
        _RESULTS[key] = tuple(evaluate(objects, values)[1])
    yield from _RESULTS[key]


MOST_RESULTS = 200
_RESULTS: dict[str, tuple[str, ...]] = {}
"""Results by all that they depend on: most mutants change neither a policy nor a label."""


def apiserver_reached(objects: list[Document], values: Values) -> Iterator[str]:
    """Require that on Cilium the autoscaler's pod alone reaches the API server, as an entity."""
    found = list(of_kind(objects, "CiliumNetworkPolicy"))
    wanted = values["networkPolicy"]["cilium"] and values["autoscaling"]["enabled"]
    if len(found) != bool(wanted):
        yield f"{len(found)} policies for Cilium, {int(bool(wanted))} needed"
    heads = {json.dumps(pod.labels, sort_keys=True) for pod in pods(objects) if role(pod) == "head"}
    for one in found:
        matched = {
            json.dumps(pod.labels, sort_keys=True)
            for pod in pods(objects)
            if one["spec"]["endpointSelector"]["matchLabels"].items() <= pod.labels.items()
        }
        strangers = [
            stranger
            for stranger in STRANGERS
            if stranger.namespace == NAMESPACE
            and one["spec"]["endpointSelector"]["matchLabels"].items() <= stranger.labels.items()
        ]
        if matched != heads or strangers:
            yield "CiliumNetworkPolicy: does not select the heads of this release alone"
        if one["spec"].get("egress") != [{"toEntities": ["kube-apiserver"]}]:
            yield "CiliumNetworkPolicy: does not open the API server alone"
