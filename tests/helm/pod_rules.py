"""Rules for the pods of a release: environment, mounts, ports, resources, placement, shutdown."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from tests.helm.chart import ROOT, Document, Values
from tests.helm.pods import Pod, cluster_specs, mebibytes, pods
from tests.helm.reachability import PAGES, role

Rule = Callable[[list[Document], Values], Iterator[str]]
HOME, CONFIGS, VOLUME, SHARED_MEMORY = "/home/physrl", "/etc/physrl", "/mnt/physrl", "/dev/shm"
SMALL = {"cpu": "500m", "memory": "1Gi", "ephemeral-storage": "1Gi"}
"""Resources of the pods that only talk to Ray."""
RAY_ENDS = 45
"""Seconds that Ray takes after SIGTERM, 31.7 measured, with a margin."""
PORTS = {
    "head": {
        "metrics": 8080,
        "gcs-server": 6379,
        "dashboard": 8265,
        "as-metrics": 44217,
        "dash-metrics": 44227,
    },
    "worker": {"metrics": 8080},
    "tensorboard": {"http": 6006},
    "watch": {"http": 8600},
}
"""Ports by the names that KubeRay and the PodMonitor know."""
PROBES = {
    "tensorboard": {"httpGet": {"path": "/", "port": "http"}},
    "watch": {
        "exec": {
            "command": [
                "python",
                "-c",
                "import urllib.request as r; r.urlopen('http://127.0.0.1:8600/style.css')",
            ]
        },
        "periodSeconds": 30,
        "timeoutSeconds": 10,
    },
}
"""Readiness probes; the page of watch listens where the kubelet cannot reach it from outside."""


def group_values(part: str, values: Values) -> dict[str, Any]:
    """Return the values of a head or a group."""
    return dict(values["head"] if part == "head" else values["groups"][part])


def secret(name: str, key: str) -> dict[str, Any]:
    """Return the source of a variable in a Secret."""
    return {"secretKeyRef": {"name": name, "key": key}}


def environment(part: str, values: Values) -> dict[str, Any]:
    """Return the variables that a part's container needs: text or sources by name."""
    found: dict[str, Any] = {"HOME": HOME}
    storage, monitoring = values["storage"], values["monitoring"]
    if part == "test":
        name = values["auth"]["secretName"] or "physrl"
        return found | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secret(name, "auth_token")}
    if part == "submitter":
        return found
    found |= {"AWS_ENDPOINT_URL": storage["endpoint"], "AWS_DEFAULT_REGION": storage["region"]}
    keys_of = storage["secretName"]
    if part == "watch":
        keys_of = values["watch"]["secretName"] or keys_of
    if keys_of:
        keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        found |= {key: secret(keys_of, key) for key in keys}
    if part == "watch":
        return found
    if part == "tensorboard":
        return found | {"S3_ENDPOINT": storage["endpoint"]}
    found["RAY_USAGE_STATS_ENABLED"] = "0"
    found["RAY_JOB_STOP_WAIT_TIME_S"] = str(values["termination"]["stopSeconds"])
    found["HF_HOME"] = storage["claim"]["name"] and f"{VOLUME}/huggingface"
    token = values["huggingface"]["secretName"]
    found["HF_TOKEN"] = token and secret(token, "HF_TOKEN")
    if not group_values(part, values).get("gpus"):
        found["NVIDIA_VISIBLE_DEVICES"] = "void"
    if part == "head":
        found["RAY_GRAFANA_HOST"] = monitoring["grafanaUrl"]
        found["RAY_GRAFANA_IFRAME_HOST"] = monitoring["grafanaBrowserUrl"]
        found["RAY_PROMETHEUS_HOST"] = monitoring["prometheusUrl"]
    for one in (*values["pod"]["env"], *group_values(part, values)["env"]):
        found[one["name"]] = one.get("value", one.get("valueFrom"))
    return found


def told(objects: list[Document], values: Values) -> Iterator[str]:
    """Require the variables that programs read, and no others."""
    for pod in pods(objects):
        for container in pod.containers:
            given = [one["name"] for one in container.get("env", ())]
            found = {
                one["name"]: one.get("value", one.get("valueFrom"))
                for one in container.get("env", ())
            }
            needed = {k: v for k, v in environment(role(pod), values).items() if v}
            if container["name"] == "volume":
                needed = {}
            if any(len(one) != 2 for one in container.get("env", ())):
                yield f"{pod.owner}: a variable has a value and a source, or neither"
            if len(set(given)) != len(given):
                yield f"{pod.owner}: a variable is given twice"
            for name in {*found} | {*needed}:
                if found.get(name) != needed.get(name):
                    yield f"{pod.owner}: {name} is {found.get(name)}, not {needed.get(name)}"
    for owner, cluster in cluster_specs(objects):
        if cluster.get("enableInTreeAutoscaling"):
            given = cluster["autoscalerOptions"].get("env")
            if given != [{"name": "HOME", "value": HOME}]:
                yield f"{owner} autoscaler: its home is read-only"


def scratch(size: str) -> dict[str, Any]:
    """Return the scratch volumes of a container by their mount paths."""
    return {path: ({"emptyDir": {"sizeLimit": size}}, False) for path in ("/tmp", HOME)}


def volumes(part: str, container: str, values: Values) -> dict[str, Any]:
    """Return a container's volumes by mount path: sources, and whether they are read-only."""
    claim = values["storage"]["claim"]["name"]
    stored = {VOLUME: ({"persistentVolumeClaim": {"claimName": claim}}, False)} if claim else {}
    if part in ("submitter", "test"):
        return scratch("1Gi") | (stored if container == "volume" else {})
    if part in PAGES:
        return scratch(values[part]["ephemeralStorage"])
    group = group_values(part, values)
    memory = {"emptyDir": {"medium": "Memory", "sizeLimit": group["sharedMemory"]}}
    extra = {one["name"]: one for one in values["pod"]["volumes"]}
    return {
        **scratch(group["ephemeralStorage"]),
        SHARED_MEMORY: (memory, False),
        CONFIGS: ({"configMap": {"name": "physrl-configs"}}, True),
        **stored,
        **{
            one["mountPath"]: (_source(extra[one["name"]]), one.get("readOnly", False))
            for one in values["pod"]["volumeMounts"]
        },
    }


def _source(volume: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in volume.items() if key != "name"}


def _mounted(container: Document, pod: Pod) -> dict[str, Any]:
    sources = {one["name"]: _source(one) for one in pod.spec.get("volumes", ())}
    return {
        one["mountPath"]: (sources.get(one["name"]), one.get("readOnly", False))
        for one in container.get("volumeMounts", ())
    }


TOKEN = {
    "projected": {
        "sources": [
            {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
            {
                "configMap": {
                    "name": "kube-root-ca.crt",
                    "items": [{"key": "ca.crt", "path": "ca.crt"}],
                }
            },
            {
                "downwardAPI": {
                    "items": [
                        {"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}
                    ]
                }
            },
        ]
    }
}
"""The volume that client libraries read at /var/run/secrets/kubernetes.io/serviceaccount."""


def mounted(objects: list[Document], values: Values) -> Iterator[str]:
    """Require mounts where programs read and write, of the sizes of the values."""
    heads = {pod.owner: pod for pod in pods(objects) if role(pod) == "head"}
    for pod in pods(objects):
        for container in pod.containers:
            found, needed = (
                _mounted(container, pod),
                volumes(role(pod), container["name"], values),
            )
            for path in {*found} | {*needed}:
                if found.get(path) != needed.get(path):
                    yield f"{pod.owner}: {path} is {found.get(path)}, not {needed.get(path)}"
        if pod.is_ray_node:
            memory = group_values(role(pod), values)
            if mebibytes(memory["sharedMemory"]) * 2 > mebibytes(memory["memory"]):
                yield f"{pod.owner}: {SHARED_MEMORY} takes more than half of the memory"
    for owner, cluster in cluster_specs(objects):
        if cluster.get("enableInTreeAutoscaling"):
            found = _mounted(cluster["autoscalerOptions"], heads[f"{owner} head"])
            token = {"/var/run/secrets/kubernetes.io/serviceaccount": (TOKEN, True)}
            if found != scratch("1Gi") | token:
                yield f"{owner} autoscaler: cannot write, or does not find its token"
            if {one["name"] for one in cluster["autoscalerOptions"]["volumeMounts"]} & {
                mount["name"]
                for container in heads[f"{owner} head"].containers
                for mount in container["volumeMounts"]
            }:
                yield f"{owner} autoscaler: shares a volume with jobs, which could change its files"


def listens(objects: list[Document], values: Values) -> Iterator[str]:
    """Require the port names that KubeRay, services and monitors look for."""
    for pod in pods(objects):
        part = "worker" if pod.is_ray_node and role(pod) != "head" else role(pod)
        for container in pod.containers:
            found = [(one.get("name"), one["containerPort"]) for one in container.get("ports", ())]
            if sorted(found) != sorted(PORTS.get(part, {}).items()):
                yield f"{pod.owner}: has the ports {found}"
            if any(one.get("protocol", "TCP") != "TCP" for one in container.get("ports", ())):
                yield f"{pod.owner}: a port is not TCP"
            probe = container.get("readinessProbe")
            if probe != PROBES.get(part):
                yield f"{pod.owner}: is probed by {probe}"


def amounts(part: str, values: Values) -> dict[str, str]:
    """Return the resources of a container by the values."""
    if part in ("submitter", "test"):
        return SMALL
    group = values[part] if part in PAGES else group_values(part, values)
    found = {"cpu": str(group["cpu"]), "memory": group["memory"]}
    found["ephemeral-storage"] = group["ephemeralStorage"]
    if group.get("gpus"):
        found["nvidia.com/gpu"] = str(group["gpus"])
    return found | {k: str(v) for k, v in group.get("extendedResources", {}).items()}


def sized(objects: list[Document], values: Values) -> Iterator[str]:
    """Require the resources of the values, as text, which server-side apply can compare."""
    for pod in pods(objects):
        for container in pod.containers:
            needed = amounts(role(pod), values)
            if container.get("resources") != {"requests": needed, "limits": needed}:
                yield f"{pod.owner}: has the resources {container.get('resources')}, not {needed}"
    for owner, cluster in cluster_specs(objects):
        small = {"requests": SMALL, "limits": SMALL}
        scales = cluster.get("enableInTreeAutoscaling")
        if scales and cluster["autoscalerOptions"].get("resources") != small:
            yield f"{owner} autoscaler: has other resources than {SMALL}"


def counted(objects: list[Document], values: Values) -> Iterator[str]:
    """Require that Ray counts what a pod was given (no CPU of the head, no other GPU).

    Nodes name their group, and the head names all.
    """
    for owner, cluster in cluster_specs(objects):
        names = [group["groupName"] for group in cluster["workerGroupSpecs"]]
        wanted = {"num-cpus": "0", "num-gpus": "0", "dashboard-host": "0.0.0.0"}
        wanted["resources"] = group_resources(*names)
        if cluster["headGroupSpec"]["rayStartParams"] != wanted:
            yield f"{owner}: work may land on the head, or its dashboard is on localhost"
        for group in cluster["workerGroupSpecs"]:
            limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
            given = limits.get("nvidia.com/gpu", "0")
            counts = {"num-gpus": given, "resources": group_resources(group["groupName"])}
            if group["rayStartParams"] != counts:
                yield f"{owner} {group['groupName']}: Ray counts other resources than {counts}"


def group_resources(*names: str) -> str:
    """Return custom resources of groups, quoted for a shell and again for YAML."""
    amounts = {f"{name}_group": 1 for name in sorted(names)}
    return json.dumps(json.dumps(amounts, separators=(",", ":")))


def placed(objects: list[Document], values: Values) -> Iterator[str]:
    """Require the placement of the values, with selectors of the pods' own group."""
    for pod in pods(objects):
        if not pod.is_ray_node:
            allowed = {"restartPolicy"} if role(pod) in ("submitter", "test") else set()
            if {"nodeSelector", "tolerations", "affinity"} & set(pod.spec) - allowed:
                yield f"{pod.owner}: is bound to nodes"
            continue
        group, spec = group_values(role(pod), values), pod.spec
        for key in ("nodeSelector", "tolerations", "runtimeClassName"):
            if (spec.get(key) or None) != (group.get(key) or None):
                yield f"{pod.owner}: {key} is {spec.get(key)}"
        if spec.get("priorityClassName", "") != values["pod"]["priorityClassName"]:
            yield f"{pod.owner}: has another priority"
        if pod.annotations != {**values["pod"]["annotations"], **group["annotations"]}:
            yield f"{pod.owner}: has the annotations {pod.annotations}"
        own = {"matchLabels": pod.labels}
        spread = group.get("spreadOver") and [
            {
                "maxSkew": 1,
                "topologyKey": group["spreadOver"],
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": own,
            }
        ]
        if spec.get("topologySpreadConstraints", "") != (spread or ""):
            yield f"{pod.owner}: does not spread over {group.get('spreadOver')}"
        term = {"topologyKey": group.get("packInto"), "labelSelector": own}
        preferred = "preferredDuringSchedulingIgnoredDuringExecution"
        terms = spec.get("affinity", {}).get("podAffinity", {}).get(preferred, [])
        if [one["podAffinityTerm"] for one in terms] != ([term] if group.get("packInto") else []):
            yield f"{pod.owner}: is not packed into {group.get('packInto')}"


def stops(objects: list[Document], values: Values) -> Iterator[str]:
    """Require a preStop hook that stops jobs within the grace period."""
    seconds = str(values["termination"]["stopSeconds"])
    for pod in pods(objects):
        for container in pod.containers:
            hook = container.get("lifecycle")
            if not pod.is_ray_node:
                if hook:
                    yield f"{pod.owner}: has a hook that it does not need"
                continue
            kind = "head" if role(pod) == "head" else "worker"
            command = ["python", "/opt/physrl/stop_jobs.py", kind, seconds]
            if hook != {"preStop": {"exec": {"command": command}}}:
                yield f"{pod.owner}: its jobs are killed without a checkpoint"
        if pod.is_ray_node:
            grace = pod.spec.get("terminationGracePeriodSeconds", 30)
            if grace != values["termination"]["gracePeriodSeconds"]:
                yield f"{pod.owner}: has {grace} s to end"
            if grace < int(seconds) + RAY_ENDS:
                yield f"{pod.owner}: {seconds} s for jobs and {RAY_ENDS} s for Ray exceed {grace} s"


IMAGES = sorted((ROOT / "docker").glob("Dockerfile.*"))


def scripts_shipped(objects: list[Document], values: Values) -> Iterator[str]:
    """Require that both images hold the scripts that pods call."""
    for pod in pods(objects):
        for container in pod.containers:
            hook = container.get("lifecycle", {}).get("preStop", {}).get("exec", {})
            for word in (*container.get("command", ()), *hook.get("command", ())):
                name = word.removeprefix("/opt/physrl/")
                if name != word and not all(f"docker/{name}" in one.read_text() for one in IMAGES):
                    yield f"{pod.owner}: no image holds {word}"


POD_RULES: tuple[Rule, ...] = (
    told,
    mounted,
    listens,
    sized,
    counted,
    placed,
    stops,
    scripts_shipped,
)
