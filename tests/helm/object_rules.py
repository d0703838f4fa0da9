"""Rules for objects of a release: names, labels, selectors, budget, access, services, volume."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import yaml

from tests.helm.chart import CHART, NAMESPACE, RELEASE, Document, Values, of_kind
from tests.helm.pod_rules import PORTS, Rule
from tests.helm.pods import Pod, pods, selects
from tests.helm.reachability import PAGES, role

NAMES = {
    "ServiceAccount": {""},
    "Role": {"-submitter"},
    "RoleBinding": {"-submitter"},
    "ConfigMap": {
        "-configs",
        *(f"-dashboard-{one.stem}" for one in CHART.glob("dashboards/*.json")),
    },
    "PodMonitor": {""},
    "NetworkPolicy": {"-ray", "-head", "-submitters", "-tensorboard", "-watch"},
    "CiliumNetworkPolicy": {"-autoscaler"},
    "PodDisruptionBudget": {"-run"},
    "RayCluster": {""},
    "Deployment": {"-tensorboard", "-watch"},
    "Service": {"-tensorboard", "-watch"},
    "Pod": {"-test"},
}
"""Suffixes of names that people type and other objects refer to."""
RAY_PARTS = ("head", "rollout", "inference", "learner")


@cache
def chart_metadata() -> dict[str, str]:
    """Read Chart.yaml."""
    return dict(yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8")))


def common_labels() -> dict[str, str]:
    """Return the labels of all objects by Helm's conventions."""
    chart = chart_metadata()
    return {
        "app.kubernetes.io/instance": RELEASE,
        "app.kubernetes.io/part-of": chart["name"],
        "app.kubernetes.io/managed-by": "Helm",
        "app.kubernetes.io/version": chart["appVersion"],
        "helm.sh/chart": f"{chart['name']}-{chart['version']}",
    }


def object_labels(one: Document, values: Values) -> dict[str, str]:
    """Return an object's labels; other operators select by those beyond the common ones."""
    found, kind = common_labels(), one["kind"]
    if kind == "PodMonitor":
        found |= values["monitoring"]["labels"]
    if kind == "ConfigMap" and "-dashboard-" in one["metadata"]["name"]:
        found["grafana_dashboard"] = "1"
    if kind == "Pod":
        found = pod_labels("test")
    if kind in ("RayCluster", "RayJob"):
        if queue := values["kueue"]["queue"]:
            found["kueue.x-k8s.io/queue-name"] = queue
        if queue := values["volcano"]["queue"]:
            found["volcano.sh/queue-name"] = queue
    return found


def pod_labels(part: str) -> dict[str, str]:
    """Return a pod's labels; KubeRay adds its own to those of Ray's nodes."""
    common = common_labels()
    shared = ("app.kubernetes.io/instance", "app.kubernetes.io/part-of")
    return {key: common[key] for key in shared} | {"app.kubernetes.io/component": part}


def annotations(one: Document, values: Values) -> dict[str, str]:
    """Return the annotations that Helm and the cloud read."""
    if one["kind"] == "ServiceAccount":
        return dict(values["serviceAccount"]["annotations"])
    if one["kind"] == "PersistentVolumeClaim":
        return {"helm.sh/resource-policy": "keep"}
    if one["kind"] == "Pod":
        policy = "before-hook-creation,hook-succeeded"
        return {"helm.sh/hook": "test", "helm.sh/hook-delete-policy": policy}
    return {}


def described(objects: list[Document], values: Values) -> Iterator[str]:
    """Require the release's namespace, names and labels of every object."""
    seen = set()
    for one in objects:
        metadata = one["metadata"]
        where = f"{one['kind']}/{metadata['name']}"
        suffixes = NAMES.get(one["kind"])
        if suffixes is not None and metadata["name"].removeprefix(RELEASE) not in suffixes:
            yield f"{where}: is not named {', '.join(sorted(suffixes))} after the release"
        if metadata.get("namespace") != NAMESPACE:
            yield f"{where}: is in {metadata.get('namespace')}, not in {NAMESPACE}"
        if metadata.get("labels") != object_labels(one, values):
            yield f"{where}: has the labels {metadata.get('labels')}"
        if metadata.get("annotations", {}) != annotations(one, values):
            yield f"{where}: has the annotations {metadata.get('annotations')}"
        if where in seen:
            yield f"{where}: is there twice"
        seen.add(where)
    for pod in pods(objects):
        if pod.labels != pod_labels(role(pod)):
            yield f"{pod.owner}: has the labels {pod.labels}"


def complete(objects: list[Document], values: Values) -> Iterator[str]:
    """Require the objects of each option, and no others."""
    wanted = {"ServiceAccount", "ConfigMap"}
    monitored = values["monitoring"]["enabled"]
    pages = {page for page in PAGES if values[page]["enabled"]}
    options = {
        "RayCluster": values["cluster"]["enabled"],
        "Pod": values["cluster"]["enabled"],
        "RayJob": values["jobs"],
        "PodMonitor": monitored,
        "Deployment": pages,
        "Service": pages,
        "Role": values["rbac"]["submitters"],
        "RoleBinding": values["rbac"]["submitters"],
        "PersistentVolumeClaim": values["storage"]["claim"]["create"],
        "NetworkPolicy": values["networkPolicy"]["enabled"],
        "CiliumNetworkPolicy": all(
            (
                values["networkPolicy"]["enabled"],
                values["networkPolicy"]["cilium"],
                values["autoscaling"]["enabled"],
            )
        ),
        "PodDisruptionBudget": values["podDisruptionBudget"]["enabled"],
    }
    wanted |= {kind for kind, enabled in options.items() if enabled}
    if wanted != {one["kind"] for one in objects}:
        yield f"kinds {wanted ^ {one['kind'] for one in objects}} are missing or too many"
    for kind in ("Deployment", "Service"):
        found = {one["metadata"]["name"] for one in of_kind(objects, kind)}
        if found != {f"{RELEASE}-{page}" for page in pages}:
            yield f"{kind}: there are {sorted(found)}, not those of {sorted(pages)}"
    configs = next(iter(of_kind(objects, "ConfigMap")))
    if set(configs["data"] or {}) != {f"{name}.yaml" for name in values["configs"]}:
        yield f"ConfigMap/{configs['metadata']['name']}: has the keys {sorted(configs['data'])}"
    shown = {
        one["metadata"]["name"].partition("-dashboard-")[2]: one["data"]
        for one in of_kind(objects, "ConfigMap")
        if "-dashboard-" in one["metadata"]["name"]
    }
    # The files themselves are compared with their script (tests/helm/test_dashboards.py).
    files = _dashboards() if monitored else {}
    for name in files.keys() | shown.keys():
        if shown.get(name) != files.get(name):
            yield f"dashboard {name}: is not its file"


@cache
def _dashboards() -> dict[str, dict[str, str]]:
    """Read the data of each dashboard's ConfigMap off the chart's files."""
    return {
        file.stem: {f"physrl-{file.stem}.json": file.read_text(encoding="utf-8")}
        for file in CHART.glob("dashboards/*.json")
    }


def selected(objects: list[Document], values: Values) -> Iterator[str]:
    """Require selectors that match exactly their pods, and none of another release."""
    every = list(pods(objects))
    targets = {
        "Service": (),
        "Deployment": (),
        "PodMonitor": RAY_PARTS,
        "PodDisruptionBudget": ("head", "inference", "learner"),
    }
    for one in of_kind(objects, *targets):
        selector = one["spec"]["selector"]
        selector = {"matchLabels": selector} if one["kind"] == "Service" else selector
        where = f"{one['kind']}/{one['metadata']['name']}"
        page = one["metadata"]["name"].rpartition("-")[2]
        parts = targets[one["kind"]] or (page,)
        if {
            part
            for part in (*RAY_PARTS, "submitter", *PAGES, "test")
            if selects(selector, pod_labels(part))
        } != set(parts):
            yield f"{where}: does not select {', '.join(parts)} alone"
        for pod in every:
            if selects(selector, pod.labels) != (role(pod) in parts):
                yield f"{where}: selects {pod.owner} wrongly"
        for label in ("app.kubernetes.io/instance", "app.kubernetes.io/part-of"):
            if selects(selector, {**pod_labels(parts[0]), label: "other"}):
                yield f"{where}: selects pods of another release"
        if one["kind"] == "Deployment" and one["spec"].get("replicas", 1) != 1:
            yield f"{where}: runs {one['spec']['replicas']} times"


def budgeted(objects: list[Document], values: Values) -> Iterator[str]:
    """Require an integer minAvailable that keeps every pod of a run from eviction."""
    parts = ("head", "inference", "learner")
    count = 0
    for one in of_kind(objects, "RayCluster", "RayJob"):
        spec = one["spec"] if one["kind"] == "RayCluster" else one["spec"]["rayClusterSpec"]
        groups = [g for g in spec["workerGroupSpecs"] if g["groupName"] in parts]
        count += 1 + sum(group["maxReplicas"] for group in groups)
    for budget in of_kind(objects, "PodDisruptionBudget"):
        spec = budget["spec"]
        if "maxUnavailable" in spec or spec.get("minAvailable") != count:
            yield f"PodDisruptionBudget: {spec.get('minAvailable')} of {count} pods, as an integer"


def submitter_rules(values: Values) -> set[tuple[str, str, str]]:
    """Return each (API group, resource, verb) that submitting and the docs need."""
    reads = {
        "": ("pods", "pods/log", "services", "events"),
        "batch": ("jobs",),
        "ray.io": ("rayclusters", "rayjobs"),
    }
    if values["kueue"]["queue"]:
        reads["kueue.x-k8s.io"] = ("workloads",)
    found = {
        (group, one, verb)
        for group, resources in reads.items()
        for one in resources
        for verb in ("get", "list", "watch")
    }
    writes = {("", "pods/portforward", "create"), ("ray.io", "rayjobs", "patch")}
    return found | writes | {("", "secrets", "get")}


def bound(objects: list[Document], values: Values) -> Iterator[str]:
    """Require exactly the rights that submitters need, for submitters alone."""
    for one in of_kind(objects, "Role"):
        found = {
            (group, resource, verb)
            for rule in one["rules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }
        if difference := found ^ submitter_rules(values):
            yield f"Role: {sorted(difference)} are missing or too many"
        for rule in one["rules"]:
            token = [values["auth"]["secretName"] or RELEASE]
            if rule.get("resourceNames", []) != (token if rule["resources"] == ["secrets"] else []):
                yield f"Role: {rule['resources']} named {rule.get('resourceNames')}"
    for one in of_kind(objects, "RoleBinding"):
        found = [(s["kind"], s["name"], s.get("apiGroup")) for s in one.get("subjects", ())]
        group = "rbac.authorization.k8s.io"
        if found != [(s["kind"], s["name"], group) for s in values["rbac"]["submitters"]]:
            yield f"RoleBinding: binds {found}"
        if one["roleRef"].get("apiGroup") != group:
            yield f"RoleBinding: refers to a role of {one['roleRef'].get('apiGroup')}"


def served(objects: list[Document], values: Values) -> Iterator[str]:
    """Require working commands, TensorBoard's service, and a scrape of every metrics port."""
    for one in of_kind(objects, "Service"):
        ports = [(port["port"], port["targetPort"]) for port in one["spec"]["ports"]]
        page = one["metadata"]["name"].rpartition("-")[2]
        number = PORTS.get(page, {}).get("http")
        if ports != [(number, "http")] or one["spec"].get("type") != "ClusterIP":
            yield f"Service/{one['metadata']['name']}: {ports}"
    for one in of_kind(objects, "PodMonitor"):
        ends = one["spec"]["podMetricsEndpoints"]
        if [end["port"] for end in ends] != ["metrics", "as-metrics", "dash-metrics"]:
            yield "PodMonitor: does not scrape all three ports"
        relabel = {
            "action": "replace",
            "sourceLabels": ["__meta_kubernetes_pod_label_ray_io_cluster"],
            "targetLabel": "ray_io_cluster",  # a variable of all dashboards
        }
        for end in ends:
            if end.get("relabelings") != [relabel]:
                yield f"PodMonitor: {end['port']} lacks the label ray_io_cluster"
    for pod in pods(objects):
        for container in pod.containers:
            if container.get("command", []) != (command := _command(pod, container, values)):
                yield f"{pod.owner}: runs {container.get('command')}, not {command}"


def _command(pod: Pod, container: Document, values: Values) -> list[str]:
    """Return a container's command; KubeRay writes those of Ray's nodes and submitters."""
    if container["name"] == "volume":
        return ["python", "-c", "import tempfile; tempfile.TemporaryFile(dir='/mnt/physrl')"]
    if role(pod) == "test":
        return ["ray", "job", "list", "--address", f"http://{RELEASE}-head-svc:8265"]
    if role(pod) == "tensorboard":
        url = values["storage"]["url"]
        options = ["--logdir", url, "--load_fast", "false", "--bind_all"]
        return ["python", "-m", "tensorboard.main", *options]
    if role(pod) == "watch":
        return ["python", "-m", "jobs.cli", "watch", values["storage"]["url"], "--port", "8600"]
    return []


def imaged(objects: list[Document], values: Values) -> Iterator[str]:
    """Require the image, pull secrets and account of the values in all pods."""
    image = values["image"]
    wanted = f"{image['repository']}:{image['tag']}"
    if image["digest"]:
        wanted = f"{image['repository']}@{image['digest']}"
    for pod in pods(objects):
        pulls = [{"name": name} for name in image["pullSecrets"]]
        if pod.spec.get("imagePullSecrets", []) != pulls:
            yield f"{pod.owner}: pulls with {pod.spec.get('imagePullSecrets')}"
        for container in pod.containers:
            if container["image"] != wanted:
                yield f"{pod.owner}: runs {container['image']}, not {wanted}"
            policy = container.get("imagePullPolicy")
            default = "IfNotPresent" if image["digest"] else "Always"
            if policy != (image["pullPolicy"] or default):
                yield f"{pod.owner}: pulls {policy}: nodes may run different images of one tag"
    for pod in pods(objects):
        names = {page: page for page in PAGES} | {"submitter": "submit", "test": "test"}
        if pod.containers[0]["name"] != names.get(role(pod), "ray"):
            yield f"{pod.owner}: has a container {pod.containers[0]['name']}"
        wanted_account = RELEASE if role(pod) in (*RAY_PARTS, *PAGES) else None
        if pod.spec.get("serviceAccountName") != wanted_account:
            yield f"{pod.owner}: has the account {pod.spec.get('serviceAccountName')}"
        restart = "Never" if role(pod) in ("submitter", "test") else None
        if pod.spec.get("restartPolicy") != restart:
            yield f"{pod.owner}: restarts {pod.spec.get('restartPolicy')}"


def claimed(objects: list[Document], values: Values) -> Iterator[str]:
    """Require the claim of the values, which nodes share unless there is one node."""
    claim = values["storage"]["claim"]
    for one in of_kind(objects, "PersistentVolumeClaim"):
        spec: dict[str, Any] = {
            "accessModes": [claim["accessMode"]],
            "resources": {"requests": {"storage": claim["size"]}},
        }
        if claim["storageClassName"]:
            spec["storageClassName"] = claim["storageClassName"]
        if one["metadata"]["name"] != claim["name"] or one["spec"] != spec:
            yield f"PersistentVolumeClaim/{one['metadata']['name']}: is not {spec}"
        if spec["accessModes"] != ["ReadWriteMany"] and not claim["singleNode"]:
            yield "PersistentVolumeClaim: one node alone can mount it"


OBJECT_RULES: tuple[Rule, ...] = (
    described,
    complete,
    selected,
    budgeted,
    bound,
    served,
    imaged,
    claimed,
)
