"""Security policies of rendered objects (docs/security.md); each yields its violations."""

import json
import re
from collections.abc import Callable, Iterator

from tests.helm.chart import Document, of_kind
from tests.helm.pods import cluster_specs, pods, selects

Policy = Callable[[list[Document]], Iterator[str]]
USER = 1000
SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSWORD|ACCESS_KEY|API_KEY|CREDENTIAL")
SECRET_VALUE = re.compile(
    r"AKIA[0-9A-Z]{16}|hf_[A-Za-z0-9]{20,}|gh[ps]_[A-Za-z0-9]{20,}|-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|://[^/\s:@]+:[^/\s@]+@"
)
ALLOWED_VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim"),
    *("projected", "secret"),
}
METADATA_SERVICE = "169.254.169.254/32"
READS = {"get", "list", "watch"}
WRITES = {("pods/portforward",): {"create"}, ("rayjobs",): {"patch"}}
"""Rights beyond reading. Who may patch a RayJob may run code, as who reads the token may."""


def restricted(objects: list[Document]) -> Iterator[str]:
    """Require Kubernetes' restricted pod standard and a read-only image."""
    for pod in pods(objects):
        context = pod.spec.get("securityContext", {})
        if context.get("runAsNonRoot") is not True or context.get("runAsUser") != USER:
            yield f"{pod.owner}: runs as {context.get('runAsUser')}, not as {USER}"
        if {context.get(key) for key in ("runAsUser", "runAsGroup", "fsGroup")} != {USER}:
            yield f"{pod.owner}: its groups are not {USER}, which own the volumes"
        if context.get("fsGroupChangePolicy") != "OnRootMismatch":
            yield f"{pod.owner}: changes the owner of every file on a volume at each start"
        if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield f"{pod.owner}: no seccomp profile"
        for key in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"):
            if pod.spec.get(key):
                yield f"{pod.owner}: {key}"
        for volume in pod.spec.get("volumes", ()):
            if not ALLOWED_VOLUMES & set(volume):
                yield f"{pod.owner}: volume {volume['name']} of a kind that is not allowed"
        for container in pod.containers:
            yield from _contained(pod.owner, container)
    for owner, cluster in cluster_specs(objects):
        if cluster.get("enableInTreeAutoscaling"):
            yield from _contained(f"{owner} autoscaler", cluster.get("autoscalerOptions", {}))


def _contained(owner: str, container: Document) -> Iterator[str]:
    context = container.get("securityContext", {})
    capabilities = context.get("capabilities", {})
    if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
        yield f"{owner}: may gain privileges"
    if capabilities.get("drop") != ["ALL"] or capabilities.get("add"):
        yield f"{owner}: keeps capabilities"
    if context.get("readOnlyRootFilesystem") is not True:
        yield f"{owner}: may write to its image"
    if context.get("runAsUser", USER) != USER or context.get("runAsNonRoot") is False:
        yield f"{owner}: a container runs as {context.get('runAsUser')}"
    if any("hostPort" in port for port in container.get("ports", ())):
        yield f"{owner}: opens a port of its node"


def limited(objects: list[Document]) -> Iterator[str]:
    """Require requests that equal limits, GPUs included."""
    for pod in pods(objects):
        for container in pod.containers:
            yield from _limited(f"{pod.owner} {container['name']}", container)
    for owner, cluster in cluster_specs(objects):
        if cluster.get("enableInTreeAutoscaling"):
            yield from _limited(f"{owner} autoscaler", cluster.get("autoscalerOptions", {}))


def _limited(owner: str, container: Document) -> Iterator[str]:
    resources = container.get("resources") or {}
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    if not {"cpu", "memory", "ephemeral-storage"} <= set(limits):
        yield f"{owner}: no limit of cpu, memory and ephemeral storage"
    if requests != limits:
        yield f"{owner}: requests {requests}, limits {limits}"


def pinned(objects: list[Document]) -> Iterator[str]:
    """Require a digest, or a tag that nodes ask for at each start."""
    for pod in pods(objects):
        for container in pod.containers:
            image = container.get("image", "")
            tag = image.rpartition("/")[2].partition(":")[2]
            if not tag or tag == "latest":
                yield f"{pod.owner}: image '{image}' has no tag but latest"
            if "@sha256:" not in image and container.get("imagePullPolicy") == "IfNotPresent":
                yield f"{pod.owner}: nodes keep different images of the tag {tag}"


def no_secrets(objects: list[Document]) -> Iterator[str]:
    """Require references to Secrets, and forbid their values everywhere."""
    for one in of_kind(objects, "Secret"):
        yield f"Secret/{one['metadata']['name']}: the chart makes a Secret"
    for pod in pods(objects):
        for container in pod.containers:
            for variable in container.get("env", ()):
                is_secret = SECRET_NAME.search(variable["name"])
                if is_secret and "secretKeyRef" not in variable.get("valueFrom", {}):
                    yield f"{pod.owner}: {variable['name']} is no reference to a Secret"
    for one in objects:
        if found := SECRET_VALUE.search(json.dumps(one)):
            yield f"{one['kind']}/{one['metadata']['name']}: holds {found[0][:8]}..., a secret"


def authenticated(objects: list[Document]) -> Iterator[str]:
    """Require Ray's token, and Secrets for passwords."""
    for owner, cluster in cluster_specs(objects):
        if cluster.get("authOptions", {}).get("mode") != "token":
            yield f"{owner}: Ray asks for no token"
        password = cluster.get("gcsFaultToleranceOptions", {}).get("redisPassword", {})
        if password and "secretKeyRef" not in password.get("valueFrom", {}):
            yield f"{owner}: Redis' password is no reference to a Secret"


def no_kubernetes_token(objects: list[Document]) -> Iterator[str]:
    """Forbid Kubernetes tokens outside of the autoscaler's container."""
    for pod in pods(objects):
        if pod.spec.get("automountServiceAccountToken") is not False:
            yield f"{pod.owner}: is handed a Kubernetes token"
        tokens = {
            volume["name"]
            for volume in pod.spec.get("volumes", ())
            for source in volume.get("projected", {}).get("sources", ())
            if "serviceAccountToken" in source
        }
        for container in pod.containers:
            if tokens & {mount["name"] for mount in container.get("volumeMounts", ())}:
                yield f"{pod.owner}: {container['name']} mounts a Kubernetes token"
    for account in of_kind(objects, "ServiceAccount"):
        if account.get("automountServiceAccountToken") is not False:
            yield f"ServiceAccount/{account['metadata']['name']}: hands out its token"


def least_rights(objects: list[Document]) -> Iterator[str]:
    """Limit roles to this namespace, to reading, and to one Secret."""
    for one in of_kind(objects, "ClusterRole", "ClusterRoleBinding"):
        yield f"{one['kind']}/{one['metadata']['name']}: reaches beyond the namespace"
    for role in of_kind(objects, "Role"):
        for rule in role["rules"]:
            what = f"Role/{role['metadata']['name']}: {rule['verbs']} on {rule['resources']}"
            if "*" in (*rule["apiGroups"], *rule["resources"], *rule["verbs"]):
                yield f"{what}: everything"
            if "secrets" in rule["resources"] and not rule.get("resourceNames"):
                yield f"{what}: all Secrets"
            if not set(rule["verbs"]) <= READS | WRITES.get(tuple(rule["resources"]), set()):
                yield f"{what}: more than reading"


def not_public(objects: list[Document]) -> Iterator[str]:
    """Forbid access from outside of the Kubernetes cluster."""
    for one in of_kind(objects, "Ingress", "Gateway", "HTTPRoute"):
        yield f"{one['kind']}/{one['metadata']['name']}: is public"
    for one in of_kind(objects, "Service"):
        if one["spec"].get("type", "ClusterIP") != "ClusterIP" or "externalIPs" in one["spec"]:
            yield f"Service/{one['metadata']['name']}: is public"
    for owner, cluster in cluster_specs(objects):
        head = cluster.get("headGroupSpec", {})
        if head.get("enableIngress") or head.get("serviceType") != "ClusterIP":
            yield f"{owner}: the dashboard is public"


def isolated(objects: list[Document]) -> Iterator[str]:
    """Require NetworkPolicies in both directions for every pod."""
    policies = list(of_kind(objects, "NetworkPolicy"))
    for policy in policies:
        if policy["spec"].get("policyTypes") != ["Ingress", "Egress"]:
            yield f"NetworkPolicy/{policy['metadata']['name']}: does not name both directions"
    for pod in pods(objects):
        own = [p for p in policies if selects(p["spec"]["podSelector"], pod.labels)]
        if {"Ingress", "Egress"} - {kind for p in own for kind in p["spec"]["policyTypes"]}:
            yield f"{pod.owner}: no NetworkPolicy limits it both ways"
        for policy in own:
            yield from _exits(policy)


def _exits(policy: Document) -> Iterator[str]:
    where = f"NetworkPolicy/{policy['metadata']['name']}"
    for rule in policy["spec"].get("egress", ()):
        if not rule.get("to"):
            yield f"{where}: lets everything out"
        for target in rule.get("to", ()):
            block = target.get("ipBlock")
            if block and not rule.get("ports"):
                yield f"{where}: lets all ports out to {block['cidr']}"
            whole = block and block["cidr"].endswith("/0")
            if whole and METADATA_SERVICE not in block.get("except", ()):
                yield f"{where}: the node's credentials are within reach"


POLICIES: tuple[Policy, ...] = (
    restricted,
    limited,
    pinned,
    no_secrets,
    authenticated,
    no_kubernetes_token,
    least_rights,
    not_public,
    isolated,
)
