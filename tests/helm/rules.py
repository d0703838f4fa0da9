"""What KubeRay, Kueue and the project ask for and no schema says. A rule yields what breaks it."""

import re
import shlex
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from physrl.config import load_config
from physrl.config.load import validate
from physrl.config.run import RunConfig
from physrl.config.study import StudyConfig, load_study_config
from physrl.errors import ConfigError
from tests.helm.chart import ROOT, Document, Values, of_kind
from tests.helm.pods import cluster_specs, mebibytes, pods, selects

Rule = Callable[[list[Document], Values], Iterator[str]]
LONGEST = {"RayCluster": 53, "RayJob": 47}
DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
QUEUE = "kueue.x-k8s.io/queue-name"
MOUNT, VOLUME = "/etc/physrl/", "/mnt/physrl"
LOADERS = {
    "train": load_config,
    "sft": load_config,
    "evaluate": load_config,
    "sweep": load_study_config,
}
"""What reads a job's configuration, by verb."""


def names_fit(objects: list[Document], values: Values) -> Iterator[str]:
    """KubeRay adds to names and makes labels of them."""
    for one in of_kind(objects, *LONGEST):
        name = one["metadata"]["name"]
        if len(name) > LONGEST[one["kind"]] or not DNS_1035.fullmatch(name):
            yield f"{one['kind']}/{name}: KubeRay refuses this name"


def jobs_end(objects: list[Document], values: Values) -> Iterator[str]:
    """A job brings a cluster that ends with it: only such can be suspended and retried."""
    for job in of_kind(objects, "RayJob"):
        spec, where = job["spec"], f"RayJob/{job['metadata']['name']}"
        if not spec.get("shutdownAfterJobFinishes"):
            yield f"{where}: its cluster outlives it" + (" though suspended" * spec["suspend"])
        if "rayClusterSpec" not in spec or "clusterSelector" in spec:
            yield f"{where}: brings no cluster of its own"
        if spec.get("submitterPodTemplate", {}).get("spec", {}).get("restartPolicy") != "Never":
            yield f"{where}: its submitter restarts, and would submit twice"
        stop = (yaml.safe_load(spec["runtimeEnvYAML"]) or {}).get("env_vars", {})
        if stop.get("RAY_JOB_STOP_WAIT_TIME_S") != str(values["termination"]["stopSeconds"]):
            yield f"{where}: is killed 3 s after it is asked to stop"


def queued(objects: list[Document], values: Values) -> Iterator[str]:
    """Kueue admits clusters of a fixed size, which wait suspended; Volcano is another scheduler."""
    for one in of_kind(objects, *LONGEST):
        where, labels = f"{one['kind']}/{one['metadata']['name']}", one["metadata"]["labels"]
        if QUEUE in labels and not one["spec"].get("suspend"):
            yield f"{where}: starts before Kueue admits it"
        if QUEUE in labels and "volcano.sh/queue-name" in labels:
            yield f"{where}: waits in two queues"
        for _, cluster in cluster_specs([one]):
            if QUEUE in labels and cluster.get("enableInTreeAutoscaling"):
                yield f"{where}: Kueue takes no cluster that grows"


def groups_fit(objects: list[Document], values: Values) -> Iterator[str]:
    """What KubeRay's operator checks of a cluster."""
    for owner, cluster in cluster_specs(objects):
        if cluster["headGroupSpec"]["rayStartParams"].get("num-cpus") != "0":
            yield f"{owner}: work may land on the head"
        if tuple(map(int, cluster["rayVersion"].split("."))) < (2, 52, 0):
            yield f"{owner}: Ray {cluster['rayVersion']} knows no tokens"
        if not cluster.get("workerGroupSpecs"):
            yield f"{owner}: no group of workers"
        for group in cluster.get("workerGroupSpecs", ()):
            low, now, high = (group[key] for key in ("minReplicas", "replicas", "maxReplicas"))
            if not low <= now <= high:
                yield f"{owner} {group['groupName']}: replicas {low} <= {now} <= {high}"
    for pod in pods(objects):
        if pod.is_ray_node and pod.spec.get("restartPolicy", "Never") != "Never":
            yield f"{pod.owner}: restarts, which the autoscaler does not take"


def labelled(objects: list[Document], values: Values) -> Iterator[str]:
    """Selectors find their pods: those of services, budgets, monitors and Ray's groups."""
    all_pods = list(pods(objects))
    for pod in all_pods:
        if pod.is_ray_node and pod.component != pod.owner.rpartition(" ")[2]:
            yield f"{pod.owner}: is labelled '{pod.component}'"
    for one in of_kind(objects, "Service", "PodMonitor", "PodDisruptionBudget", "Deployment"):
        selector = one["spec"]["selector"]
        selector = {"matchLabels": selector} if one["kind"] == "Service" else selector
        found = [pod for pod in all_pods if selects(selector, pod.labels)]
        where = f"{one['kind']}/{one['metadata']['name']}"
        if not found:
            yield f"{where}: selects no pod"
        ports = {p["name"] for pod in found for c in pod.containers for p in c.get("ports", ())}
        asked = [p.get("targetPort") for p in one["spec"].get("ports", ())]
        asked += [endpoint["port"] for endpoint in one["spec"].get("podMetricsEndpoints", ())]
        if absent := set(asked) - ports:
            yield f"{where}: no pod has the port {', '.join(map(str, absent))}"
    budgets = [one["spec"]["selector"] for one in of_kind(objects, "PodDisruptionBudget")]
    for pod in all_pods:
        if pod.owner.endswith(" head") and not any(selects(b, pod.labels) for b in budgets):
            yield f"{pod.owner}: a drained node ends the run"


def mounted(objects: list[Document], values: Values) -> Iterator[str]:
    """Volumes, ConfigMaps, accounts and claims that pods name are there; /dev/shm has room."""
    there = {(one["kind"], one["metadata"]["name"]) for one in objects}
    existing = values["storage"]["claim"]
    for pod in pods(objects):
        volumes = {volume["name"]: volume for volume in pod.spec.get("volumes", ())}
        mounts = [m for c in pod.containers for m in c.get("volumeMounts", ())]
        for mount in mounts:
            if mount["name"] not in volumes:
                yield f"{pod.owner}: mounts {mount['name']}, which is no volume"
        for volume in volumes.values():
            name = volume.get("configMap", {}).get("name")
            if name is not None and ("ConfigMap", name) not in there:
                yield f"{pod.owner}: no ConfigMap {name}"
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            if claim and existing["create"] and ("PersistentVolumeClaim", claim) not in there:
                yield f"{pod.owner}: no claim {claim}"
        account = pod.spec.get("serviceAccountName")
        if account is not None and ("ServiceAccount", account) not in there:
            yield f"{pod.owner}: no ServiceAccount {account}"
        paths = {mount["mountPath"]: mount["name"] for mount in mounts}
        if not {"/tmp", "/home/physrl"} <= set(paths):
            yield f"{pod.owner}: /tmp or its home cannot be written"
        if pod.is_ray_node:
            if MOUNT not in [f"{path}/" for path in paths]:
                yield f"{pod.owner}: no configurations at {MOUNT}"
            if existing["name"] and VOLUME not in paths:
                yield f"{pod.owner}: no volume at {VOLUME}"
            memory = volumes.get(paths.get("/dev/shm", ""), {}).get("emptyDir", {})
            if memory.get("medium") != "Memory":
                yield f"{pod.owner}: /dev/shm is 64 MB"
                continue
            limit = pod.containers[0]["resources"].get("limits", {}).get("memory")
            if limit and mebibytes(memory["sizeLimit"]) * 2 > mebibytes(limit):
                yield f"{pod.owner}: /dev/shm takes more than half of the memory"


def stops_in_time(objects: list[Document], values: Values) -> Iterator[str]:
    """A pod lives long enough for its job to stop by itself."""
    for pod in pods(objects):
        for container in pod.containers:
            for variable in container.get("env", ()):
                if variable["name"] == "RAY_JOB_STOP_WAIT_TIME_S":
                    grace = pod.spec.get("terminationGracePeriodSeconds", 30)
                    if not 10 <= int(variable["value"]) < grace:
                        yield f"{pod.owner}: {variable['value']} s do not fit into {grace} s"


def configured(objects: list[Document], values: Values) -> Iterator[str]:
    """Each job's configuration is there, and the project's loader takes it as its values say."""
    files = {}
    for one in of_kind(objects, "ConfigMap"):
        if one["metadata"]["name"].endswith("-configs"):
            files = one["data"]
    for job in of_kind(objects, "RayJob"):
        where, words = f"RayJob/{job['metadata']['name']}", shlex.split(job["spec"]["entrypoint"])
        verb = words[2].removeprefix("jobs.")
        path = words[words.index("--config") + 1]
        given = [word for word in words[5:] if re.match(r"[a-z_.]+=", word)]
        url = values["storage"]["url"]
        if verb == "train" and url and f"storage={url}" not in given:
            yield f"{where}: is not kept in {url}"
        try:
            config = _load(verb, path, files, given)
            if isinstance(config, StudyConfig):
                continue
            if path.startswith(MOUNT) and _load(verb, path, files, ()) != validate(
                values["configs"][Path(path).stem]
            ):
                yield f"{where}: the mounted file says something else than its values"
            if not config.output.is_relative_to(VOLUME):
                yield f"{where}: writes to {config.output}, which only one pod sees"
        except (ConfigError, KeyError) as error:
            yield f"{where}: {error}"
            continue
        yield from _has_room(where, config, job["spec"].get("rayClusterSpec", {}))


def _load(
    verb: str, path: str, files: dict[str, str], overrides: Sequence[str]
) -> RunConfig | StudyConfig:
    if not path.startswith(MOUNT):
        return LOADERS[verb](ROOT / path, overrides)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.yaml"
        file.write_text(files[path.removeprefix(MOUNT)], encoding="utf-8")
        return LOADERS[verb](file, overrides)


def _has_room(where: str, config: RunConfig, cluster: dict[str, Any]) -> Iterator[str]:
    """A job's cluster, grown to its largest, has the GPUs that its configuration asks for."""
    runtime = config.runtime
    asked = runtime.inference_servers * runtime.gpus_per_server
    asked += runtime.learner_ranks * runtime.gpus_per_rank
    offered = 0
    for group in cluster.get("workerGroupSpecs", ()):
        limits = group["template"]["spec"]["containers"][0].get("resources", {}).get("limits", {})
        offered += group["maxReplicas"] * limits.get("nvidia.com/gpu", 0)
    if asked > offered:
        yield f"{where}: asks for {asked:g} GPUs of a cluster with {offered}"


RULES: tuple[Rule, ...] = (
    names_fit,
    jobs_end,
    queued,
    groups_fit,
    labelled,
    mounted,
    stops_in_time,
    configured,
)
