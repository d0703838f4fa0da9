"""References in rendered manifests: each resolves, or is on the list of what exists outside.

What is outside the administrator creates; `docs` is the text in docs/kubernetes.md that creates it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.helm.chart import NAMESPACE, Document, Values, of_kind
from tests.helm.pods import Pod, cluster_specs, pods, selects


@dataclass(frozen=True)
class Reference:
    """A name, and where needed a key in it, that `place` expects to exist."""

    place: str
    kind: str
    name: str
    key: str = ""


@dataclass(frozen=True)
class Outside:
    """An object that exists outside of the chart, and the line of the docs that creates it."""

    kind: str
    name: str
    keys: tuple[str, ...]
    docs: str


def outside(values: Values) -> list[Outside]:
    """List what the administrator creates before these values are installed."""
    storage, redis, watch = (values[key] for key in ("storage", "headFaultTolerance", "watch"))
    password = redis["passwordSecretName"] if values["cluster"]["enabled"] else ""
    generic = "create secret generic"
    rows = [
        ("Secret", values["auth"]["secretName"], ("auth_token",), f"{generic} ray-token"),
        (
            *("Secret", storage["secretName"], ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")),
            f"{generic} s3",
        ),
        (
            *("Secret", watch["enabled"] and watch["secretName"]),
            ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
            f"{generic} s3-reader",
        ),
        ("Secret", values["huggingface"]["secretName"], ("HF_TOKEN",), f"{generic} huggingface"),
        ("Secret", password, ("password",), f"{generic} redis"),
        *(
            ("Secret", one, (".dockerconfigjson",), "create secret docker-registry registry")
            for one in values["image"]["pullSecrets"]
        ),
        ("LocalQueue", values["kueue"]["queue"], (), "kind: LocalQueue"),
        ("Queue", values["volcano"]["queue"], (), "kind: Queue"),
        ("PriorityClass", values["pod"]["priorityClassName"], (), "create priorityclass"),
        ("StorageClass", storage["claim"]["storageClassName"], (), "get storageclass"),
        *(
            ("RuntimeClass", group["runtimeClassName"], (), "get runtimeclass")
            for group in values["groups"].values()
        ),
        # Every namespace has it; KubeRay makes the Secret of a cluster's token.
        ("ConfigMap", "kube-root-ca.crt", ("ca.crt",), ""),
    ]
    if not storage["claim"]["create"]:
        rows.append(("PersistentVolumeClaim", storage["claim"]["name"], (), "get pvc"))
    for one in values["pod"]["env"]:
        for source, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
            if ref := one.get("valueFrom", {}).get(source):
                rows.append((kind, ref["name"], (ref["key"],), f"{generic} wandb"))
    for volume in values["pod"]["volumes"]:
        if ref := volume.get("configMap"):
            rows.append(("ConfigMap", ref["name"], (), "create configmap"))
        if ref := volume.get("secret"):
            rows.append(("Secret", ref["secretName"], (), generic))
    return [Outside(*row) for row in rows if row[1]]


def references(objects: list[Document]) -> list[Reference]:
    """List every reference by name in rendered objects."""
    found: list[Reference] = []
    for pod in pods(objects):
        found += _of_pod(pod)
    for owner, cluster in cluster_specs(objects):
        secret = cluster.get("authOptions", {}).get("secretName")
        found += [Reference(owner, "Secret", secret, "auth_token")] if secret else []
        password = cluster.get("gcsFaultToleranceOptions", {}).get("redisPassword")
        if password:
            found.append(_of_source(f"{owner} redisPassword", password["valueFrom"]))
        found += _of_environment(f"{owner} autoscaler", cluster.get("autoscalerOptions", {}))
    for one in objects:
        found += _of_object(one)
    return found


def _of_pod(pod: Pod) -> Iterator[Reference]:
    spec, where = pod.spec, pod.owner
    for one in spec.get("imagePullSecrets", ()):
        yield Reference(where, "Secret", one["name"], ".dockerconfigjson")
    for key, kind in (
        ("serviceAccountName", "ServiceAccount"),
        ("priorityClassName", "PriorityClass"),
        ("runtimeClassName", "RuntimeClass"),
    ):
        if key in spec:
            yield Reference(where, kind, spec[key])
    for volume in spec.get("volumes", ()):
        yield from _of_volume(where, volume)
        for source in volume.get("projected", {}).get("sources", ()):
            yield from _of_volume(where, source)
    for container in pod.containers:
        yield from _of_environment(where, container)


def _of_volume(where: str, volume: dict[str, Any]) -> Iterator[Reference]:
    if claim := volume.get("persistentVolumeClaim"):
        yield Reference(where, "PersistentVolumeClaim", claim["claimName"])
    for key, kind, name in (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")):
        if source := volume.get(key):
            yield Reference(where, kind, source[name])
            yield from (
                Reference(where, kind, source[name], item["key"])
                for item in source.get("items", ())
            )


def _of_environment(where: str, container: dict[str, Any]) -> Iterator[Reference]:
    for one in container.get("env", ()):
        source = one.get("valueFrom", {})
        if "secretKeyRef" in source or "configMapKeyRef" in source:
            yield _of_source(f"{where} {one['name']}", source)


def _of_source(where: str, source: dict[str, Any]) -> Reference:
    kind = "Secret" if "secretKeyRef" in source else "ConfigMap"
    one = source["secretKeyRef" if kind == "Secret" else "configMapKeyRef"]
    return Reference(where, kind, one["name"], one["key"])


QUEUES = {"kueue.x-k8s.io/queue-name": "LocalQueue", "volcano.sh/queue-name": "Queue"}


def _of_object(one: Document) -> Iterator[Reference]:
    where = f"{one['kind']}/{one['metadata']['name']}"
    for label, kind in QUEUES.items():
        if name := one["metadata"].get("labels", {}).get(label):
            yield Reference(where, kind, name)
    if one["kind"] == "RoleBinding":
        yield Reference(where, one["roleRef"]["kind"], one["roleRef"]["name"])
    if one["kind"] == "Role":
        for rule in one["rules"]:
            for name in rule.get("resourceNames", ()):
                yield Reference(where, "Secret", name, "auth_token")
    if one["kind"] == "PersistentVolumeClaim" and "storageClassName" in one["spec"]:
        yield Reference(where, "StorageClass", one["spec"]["storageClassName"])


def provided(objects: list[Document], values: Values) -> dict[tuple[str, str], set[str] | None]:
    """Return the keys of what exists, by kind and name; None where they are not known."""
    found: dict[tuple[str, str], set[str] | None] = {}
    for one in objects:
        keys = set(one.get("data") or {}) if one["kind"] == "ConfigMap" else None
        if one["metadata"].get("namespace") == NAMESPACE:
            found[one["kind"], one["metadata"]["name"]] = keys
    for row in outside(values):
        found[row.kind, row.name] = (found.get((row.kind, row.name)) or set()) | set(row.keys)
    if not values["auth"]["secretName"]:
        for cluster in of_kind(objects, "RayCluster"):  # KubeRay makes it
            found["Secret", cluster["metadata"]["name"]] = {"auth_token"}
    return found


def resolved(objects: list[Document], values: Values) -> Iterator[str]:
    """Require that every reference resolves, and that every named object is referred to."""
    there, found = provided(objects, values), references(objects)
    for one in found:
        keys = there.get((one.kind, one.name), ())
        if (one.kind, one.name) not in there:
            yield f"{one.place}: no {one.kind} {one.name}"
        elif one.key and keys is not None and one.key not in keys:
            yield f"{one.place}: {one.kind} {one.name} has no key {one.key}"
    used = {(one.kind, one.name) for one in found}
    for row in outside(values):
        if (row.kind, row.name) not in used and row.name != "kube-root-ca.crt":
            yield f"{row.kind} {row.name}: nothing refers to it"
    yield from _mounts(objects)
    yield from _services(objects)


def _mounts(objects: list[Document]) -> Iterator[str]:
    """Require mounts of the pod's own volumes, all of them used."""
    autoscalers = {
        f"{owner} head": cluster.get("autoscalerOptions", {})
        for owner, cluster in cluster_specs(objects)
        if cluster.get("enableInTreeAutoscaling")
    }
    for pod in pods(objects):
        volumes = [volume["name"] for volume in pod.spec.get("volumes", ())]
        containers = [*pod.containers, autoscalers.get(pod.owner, {})]
        mounts = [mount["name"] for one in containers for mount in one.get("volumeMounts", ())]
        if len(set(volumes)) != len(volumes):
            yield f"{pod.owner}: two volumes of one name"
        for name in {*mounts} - {*volumes}:
            yield f"{pod.owner}: mounts {name}, which is no volume"
        for name in {*volumes} - {*mounts}:
            yield f"{pod.owner}: nothing mounts {name}"
        for one in containers:
            paths = [mount["mountPath"] for mount in one.get("volumeMounts", ())]
            if len(set(paths)) != len(paths):
                yield f"{pod.owner}: two mounts at one path"


def _services(objects: list[Document]) -> Iterator[str]:
    """Require that services, monitors and addresses in commands lead to open ports."""
    every = list(pods(objects))
    for one in of_kind(objects, "Service", "PodMonitor"):
        where, spec = f"{one['kind']}/{one['metadata']['name']}", one["spec"]
        selector = (
            {"matchLabels": spec["selector"]} if one["kind"] == "Service" else spec["selector"]
        )
        found = [pod for pod in every if selects(selector, pod.labels)]
        ports = {p["name"] for pod in found for c in pod.containers for p in c.get("ports", ())}
        names = [port.get("targetPort", port["port"]) for port in spec.get("ports", ())]
        names += [endpoint["port"] for endpoint in spec.get("podMetricsEndpoints", ())]
        if not found:
            yield f"{where}: selects no pod"
        for name in {*names} - ports:
            yield f"{where}: no pod has the port {name}"
    heads = {
        f"http://{c['metadata']['name']}-head-svc:8265" for c in of_kind(objects, "RayCluster")
    }
    for pod in every:
        for container in pod.containers:
            for word in container.get("command", ()):
                if word.startswith("http://") and word not in heads:
                    yield f"{pod.owner}: no service {word}"


def undocumented(rows: Sequence[Outside], text: str) -> list[str]:
    """List what is outside and no line of the docs creates."""
    return [f"{row.kind} {row.name}" for row in rows if row.docs not in text]
