"""The fields that the chart uses: whatever else a manifest holds was not thought about.

A policy that lists what is forbidden knows only yesterday's dangers. This list holds what is meant;
a template that sets another field needs a line here, and a rule for the field's value.
"""

import re
from collections.abc import Iterator
from typing import Any

from tests.helm.chart import Document, Values

Fields = dict[str, str]
"""The type of each field; an empty one is checked by rules of its own, or is a plain value."""
LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
"""Values of labels, which the API server demands in selectors too."""


def fields(text: str) -> Fields:
    """Read `name:type name ...`."""
    return {name: kind for name, _, kind in (word.partition(":") for word in text.split())}


TYPES: dict[str, Fields] = {
    "object": fields("apiVersion kind metadata:metadata"),
    "metadata": fields("name namespace labels annotations"),
    "ConfigMap": fields("data"),
    "Role": fields("rules:rule"),
    "rule": fields("apiGroups resources resourceNames verbs"),
    "RoleBinding": fields("roleRef:subject subjects:subject"),
    "subject": fields("apiGroup kind name"),
    "ServiceAccount": fields("automountServiceAccountToken"),
    "Service": fields("spec:service"),
    "service": fields("type selector ports:service_port"),
    "service_port": fields("name port targetPort"),
    "PersistentVolumeClaim": fields("spec:claim"),
    "claim": fields("accessModes storageClassName resources:resources"),
    "resources": fields("limits requests"),
    "PodDisruptionBudget": fields("spec:budget"),
    "budget": fields("minAvailable selector:selector"),
    "selector": fields("matchLabels matchExpressions:expression"),
    "expression": fields("key operator values"),
    "PodMonitor": fields("spec:monitor"),
    "monitor": fields("selector:selector podMetricsEndpoints:endpoint"),
    "endpoint": fields("port interval relabelings"),
    "CiliumNetworkPolicy": fields("spec:cilium"),
    "cilium": fields("endpointSelector:selector egress:entities"),
    "entities": fields("toEntities"),
    "NetworkPolicy": fields("spec:network"),
    "network": fields("podSelector:selector policyTypes ingress:entry egress:exit"),
    "entry": fields("from:peer ports:network_port"),
    "exit": fields("to:peer ports:network_port"),
    "peer": fields("podSelector:selector namespaceSelector:selector ipBlock:block"),
    "block": fields("cidr except"),
    "network_port": fields("port protocol"),
    "Deployment": fields("spec:deployment"),
    "deployment": fields("replicas selector:selector template:template"),
    "Pod": fields("spec:pod"),
    "template": fields("metadata:marks spec:pod"),
    "marks": fields("labels annotations"),
    "pod": fields(
        "containers:container initContainers:container securityContext:pod_security volumes "
        "serviceAccountName automountServiceAccountToken terminationGracePeriodSeconds "
        "restartPolicy priorityClassName runtimeClassName imagePullSecrets nodeSelector "
        "tolerations affinity topologySpreadConstraints"
    ),
    "pod_security": fields(
        "runAsUser runAsGroup runAsNonRoot fsGroup fsGroupChangePolicy seccompProfile:seccomp"
    ),
    "seccomp": fields("type"),
    "container": fields(
        "name image imagePullPolicy command env ports:port lifecycle:lifecycle "
        "readinessProbe:probe resources:resources securityContext:security volumeMounts:mount"
    ),
    "port": fields("name containerPort"),
    "lifecycle": fields("preStop:hook"),
    "hook": fields("exec:exec"),
    "exec": fields("command"),
    "probe": fields("httpGet:get exec:exec periodSeconds timeoutSeconds"),
    "get": fields("path port"),
    "security": fields("allowPrivilegeEscalation readOnlyRootFilesystem capabilities:capabilities"),
    "capabilities": fields("drop"),
    "mount": fields("name mountPath readOnly"),
    "RayCluster": fields("spec:standing"),
    "RayJob": fields("spec:job"),
    "job": fields(
        "entrypoint runtimeEnvYAML backoffLimit activeDeadlineSeconds ttlSecondsAfterFinished "
        "shutdownAfterJobFinishes suspend submitterPodTemplate:template rayClusterSpec:cluster"
    ),
    "cluster": fields(
        "rayVersion authOptions:auth enableInTreeAutoscaling autoscalerOptions:autoscaler "
        "gcsFaultToleranceOptions:redis headGroupSpec:head workerGroupSpecs:group"
    ),
    "standing": fields("suspend"),
    "auth": fields("mode secretName"),
    "autoscaler": fields(
        "version idleTimeoutSeconds env resources:resources securityContext:security "
        "volumeMounts:mount"
    ),
    "redis": fields("redisAddress redisPassword externalStorageNamespace"),
    "head": fields("serviceType rayStartParams template:template"),
    "group": fields("groupName replicas minReplicas maxReplicas rayStartParams template:template"),
}


TYPES["standing"] |= TYPES["cluster"]


def known(objects: list[Document], values: Values) -> Iterator[str]:
    """Require that objects hold no field and no kind but those of TYPES."""
    for one in objects:
        where = f"{one['kind']}/{one['metadata']['name']}"
        if one["kind"] not in TYPES:
            yield f"{where}: the chart holds no such kind"
        else:
            allowed = TYPES["object"] | TYPES[one["kind"]]
            yield from _unknown(one, allowed, where)


def _unknown(value: Any, allowed: Fields, where: str) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from _unknown(one, allowed, where)
    elif isinstance(value, dict):
        for key, one in value.items():
            if key not in allowed:
                yield f"{where}: {key} is not among the fields that the chart uses"
            elif allowed[key]:
                yield from _unknown(one, TYPES[allowed[key]], f"{where}.{key}")


def distinct(objects: list[Document], values: Values) -> Iterator[str]:
    """Require that no list of a manifest holds an entry twice, and that no object comes twice."""
    names = [(one["apiVersion"], one["kind"], one["metadata"]["name"]) for one in objects]
    for name in {name for name in names if names.count(name) > 1}:
        yield f"{name[1]}/{name[2]}: comes twice"
    for one in objects:
        for path, entries in _lists(one, f"{one['kind']}/{one['metadata']['name']}"):
            if any(entry in entries[:index] for index, entry in enumerate(entries)):
                yield f"{path}: holds an entry twice"


def peers(objects: list[Document], values: Values) -> Iterator[str]:
    """Require that an address stands alone, as the API server does."""
    for one in objects:
        if one["kind"] == "NetworkPolicy":
            rules = (*one["spec"].get("ingress", ()), *one["spec"].get("egress", ()))
            ends = [end for rule in rules for end in (*rule.get("from", ()), *rule.get("to", ()))]
            if any("ipBlock" in end and len(end) > 1 for end in ends):
                yield f"NetworkPolicy/{one['metadata']['name']}: an ipBlock with selectors"


def _lists(value: Any, path: str) -> Iterator[tuple[str, list[Any]]]:
    if isinstance(value, dict):
        for key, one in value.items():
            if key not in ("command", "args"):
                yield from _lists(one, f"{path}.{key}")
    elif isinstance(value, list):
        yield path, value
        for one in value:
            yield from _lists(one, path)


def selectable(objects: list[Document], values: Values) -> Iterator[str]:
    """Require values of labels in selectors, as the API server does."""
    for one in objects:
        for selector in _selectors(one):
            given = [*selector.get("matchLabels", {}).values()]
            for expression in selector.get("matchExpressions", ()):
                given += expression.get("values", ())
                if expression["operator"] not in ("In", "NotIn", "Exists", "DoesNotExist"):
                    yield f"{one['kind']}/{one['metadata']['name']}: {expression['operator']}"
            for text in given:
                if len(text) > 63 or not LABEL.fullmatch(text):
                    yield f"{one['kind']}/{one['metadata']['name']}: '{text}' is no label's value"


def _selectors(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        if {"matchLabels", "matchExpressions"} & value.keys():
            yield value
        for one in value.values():
            yield from _selectors(one)
    elif isinstance(value, list):
        for one in value:
            yield from _selectors(one)


FIELD_RULES = (known, distinct, selectable, peers)
