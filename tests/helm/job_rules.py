"""Rules for RayClusters and RayJobs: what KubeRay, Kueue, Ray's shell and the project expect."""

import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from physrl.config import load_config
from physrl.config.load import validate
from physrl.config.run import RunConfig
from physrl.config.study import StudyConfig, load_study_config
from physrl.errors import ConfigError
from tests.helm.chart import RELEASE, ROOT, Document, Values, of_kind
from tests.helm.pod_rules import VOLUME, Rule
from tests.helm.pods import cluster_specs

LONGEST = {"RayCluster": 53, "RayJob": 47}
DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
EXPONENT = re.compile(r"\d+(\.\d+)?e[-+]?\d+")
QUEUE = "kueue.x-k8s.io/queue-name"
MOUNT = "/etc/physrl/"
LAUNCHER = ["exec", "python", "/opt/physrl/run_job.py", f"{VOLUME}/logs", "python", "-m"]
"""The words before a job's module: the script that keeps its log and decides about retries."""
LOADERS = {
    "train": load_config,
    "sft": load_config,
    "evaluate": load_config,
    "gpu_check": load_config,
    "sweep": load_study_config,
}
"""Loaders of a job's configuration, by verb."""


def names_fit(objects: list[Document], values: Values) -> Iterator[str]:
    """Require names that are labels and leave room for KubeRay's suffixes."""
    for one in of_kind(objects, *LONGEST):
        name = one["metadata"]["name"]
        if len(name) > LONGEST[one["kind"]] or not DNS_1035.fullmatch(name):
            yield f"{one['kind']}/{name}: KubeRay refuses this name"
    jobs = [f"{RELEASE}-{job['name']}" for job in values["jobs"]]
    if (found := [one["metadata"]["name"] for one in of_kind(objects, "RayJob")]) != jobs:
        yield f"RayJobs are {found}, not {jobs}"


def jobs_end(objects: list[Document], values: Values) -> Iterator[str]:
    """Require clusters that end with their jobs: only such can be suspended and retried."""
    for one, job in zip(of_kind(objects, "RayJob"), values["jobs"], strict=True):
        spec, where = one["spec"], f"RayJob/{one['metadata']['name']}"
        if "rayClusterSpec" not in spec or "clusterSelector" in spec:
            yield f"{where}: brings no cluster of its own"
        stop = (yaml.safe_load(spec["runtimeEnvYAML"]) or {}).get("env_vars")
        if stop != {"RAY_JOB_STOP_WAIT_TIME_S": str(values["termination"]["stopSeconds"])}:
            yield f"{where}: is killed 3 s after it is asked to stop"
        queue = bool(values["kueue"]["queue"])
        wanted = {
            "shutdownAfterJobFinishes": True,
            "ttlSecondsAfterFinished": values["ttlSecondsAfterFinished"],
            "backoffLimit": job.get("retries", 2),
            "activeDeadlineSeconds": job.get("deadlineSeconds"),
            "suspend": queue or job.get("suspend", False),
        }
        for key, value in wanted.items():
            if spec.get(key) != value:
                yield f"{where}: {key} is {spec.get(key)}, not {value}"
        if len(spec["submitterPodTemplate"]["spec"]["containers"]) != 1:
            yield f"{where}: submits from several containers"


def queued(objects: list[Document], values: Values) -> Iterator[str]:
    """Require what Kueue admits: suspended clusters of a fixed size."""
    for one in of_kind(objects, *LONGEST):
        where, labels = f"{one['kind']}/{one['metadata']['name']}", one["metadata"]["labels"]
        if QUEUE in labels and not one["spec"].get("suspend"):
            yield f"{where}: starts before Kueue admits it"
        for _, cluster in cluster_specs([one]):
            if QUEUE in labels and cluster.get("enableInTreeAutoscaling"):
                yield f"{where}: Kueue takes no cluster that grows"


def requirement(name: str, file: str = "base.txt") -> str | None:
    """Return the pinned version of a package."""
    text = (ROOT / "requirements" / file).read_text(encoding="utf-8")
    found = re.search(rf"^{name}(?:\[.*\])?===?(\S+)$", text, re.MULTILINE)
    return found and found[1]


def clusters_fit(objects: list[Document], values: Values) -> Iterator[str]:
    """Require the sizes of the values, the image's Ray, and its token."""
    groups = {name: one for name, one in values["groups"].items() if one["maxReplicas"]}
    scaling, auth = values["autoscaling"], {"mode": "token"}
    if values["auth"]["secretName"]:
        auth["secretName"] = values["auth"]["secretName"]
    for owner, cluster in cluster_specs(objects):
        if cluster["rayVersion"] != requirement("ray"):
            yield f"{owner}: Ray {cluster['rayVersion']} is not that of the image"
        if cluster.get("authOptions") != auth:
            yield f"{owner}: its token is {cluster.get('authOptions')}"
        if cluster["headGroupSpec"].get("serviceType") != "ClusterIP":
            yield f"{owner}: its dashboard is public"
        if cluster.get("enableInTreeAutoscaling") is not scaling["enabled"]:
            yield f"{owner}: grows: {cluster.get('enableInTreeAutoscaling')}"
        options = cluster.get("autoscalerOptions", {})
        wanted = ("v2", scaling["idleTimeoutSeconds"]) if scaling["enabled"] else (None, None)
        if (options.get("version"), options.get("idleTimeoutSeconds")) != wanted:
            yield f"{owner}: its autoscaler is {options}"
        if sorted(one["groupName"] for one in cluster["workerGroupSpecs"]) != sorted(groups):
            yield f"{owner}: its groups are not {', '.join(groups)}"
            continue
        for one in cluster["workerGroupSpecs"]:
            for key in ("minReplicas", "replicas", "maxReplicas"):
                if one.get(key) != groups[one["groupName"]][key]:
                    yield f"{owner} {one['groupName']}: {key} is {one.get(key)}"
    for one in of_kind(objects, "RayCluster"):
        yield from _survives(one, values["headFaultTolerance"])


def _survives(cluster: Document, redis: dict[str, str]) -> Iterator[str]:
    """Require the head's state in Redis where the values name one."""
    wanted: dict[str, Any] | None = None
    if redis["redisAddress"]:
        wanted = {"redisAddress": redis["redisAddress"], "externalStorageNamespace": RELEASE}
        if name := redis["passwordSecretName"]:
            source = {"secretKeyRef": {"name": name, "key": "password"}}
            wanted["redisPassword"] = {"valueFrom": source}
    if cluster["spec"].get("gcsFaultToleranceOptions") != wanted:
        yield f"RayCluster: its state is in {cluster['spec'].get('gcsFaultToleranceOptions')}"


def survives_the_shell(objects: list[Document], values: Values) -> Iterator[str]:
    """Require entrypoints that no shell on their way changes, even where quotes are lost.

    KubeRay puts the entrypoint into a script of bash, and Ray hands it to a shell again; of its
    clients, some quote the words anew and some join them by `list2cmdline`.
    """
    for job in of_kind(objects, "RayJob"):
        text = job["spec"]["entrypoint"]
        line = subprocess.list2cmdline(shlex.split(text))
        if re.search(r"[&;|<>$`*?~!#()\\'\n]", line):
            yield f"RayJob/{job['metadata']['name']}: a shell changes {line}"


def configured(objects: list[Document], values: Values) -> Iterator[str]:
    """Require jobs that start: with a configuration that loads, output and storage."""
    files = {}
    for one in of_kind(objects, "ConfigMap"):
        if one["metadata"]["name"].endswith("-configs"):
            files = one["data"]
    for one, job in zip(of_kind(objects, "RayJob"), values["jobs"], strict=True):
        where, words = f"RayJob/{one['metadata']['name']}", shlex.split(one["spec"]["entrypoint"])
        if words[:6] != LAUNCHER or words[6:8] != [f"jobs.{job['verb']}", "--config"]:
            yield f"{where}: runs {' '.join(words[:8])}"
            continue
        resume = ["--resume"] if job["verb"] in ("train", "sft") else []
        policy = ["--policy", job["policy"]] if job.get("policy") else []
        options, path = [*resume, *policy], words[8]
        if words[9 : 9 + len(options)] != options:
            yield f"{where}: lacks {' '.join(options)}"
            continue
        given = words[9 + len(options) :]
        if given[len(given) - len(job.get("overrides", [])) :] != job.get("overrides", []):
            yield f"{where}: its overrides do not come last"
        if path != expected_path(job["config"], values):
            yield f"{where}: reads {path}"
            continue
        try:
            config = load(job["verb"], path, files.get(path.removeprefix(MOUNT), ""), tuple(given))
            run = run_of(config)
        except ConfigError as error:
            yield f"{where}: {error}"
            continue
        yield from (f"{where}: {text}" for text in _kept(config, run, job["verb"], values))
        yield from (f"{where}: {text}" for text in _runs(run, one["spec"]))
    for name, config in values["configs"].items():
        if _numbers(yaml.safe_load(files.get(f"{name}.yaml", ""))) != config:
            yield f"ConfigMap: {name}.yaml says something else than configs.{name}"


def _numbers(tree: Any) -> Any:
    """Convert numbers such as 5e-06, which YAML 1.1 reads as text, as the loader does."""
    if isinstance(tree, dict):
        return {key: _numbers(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_numbers(value) for value in tree]
    return float(tree) if isinstance(tree, str) and EXPONENT.fullmatch(tree) else tree


def expected_path(config: str, values: Values) -> str:
    """Return the path of a job's configuration."""
    return f"{MOUNT}{config}.yaml" if config in values["configs"] else config


@lru_cache(maxsize=500)
def load(verb: str, path: str, text: str, overrides: tuple[str, ...]) -> RunConfig | StudyConfig:
    """Load a file of the image, or a mounted file that holds the text."""
    if not path.startswith(MOUNT):
        return LOADERS[verb](ROOT / path, overrides)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.yaml"
        file.write_text(text, encoding="utf-8")
        return LOADERS[verb](file, overrides)


def run_of(config: RunConfig | StudyConfig) -> RunConfig:
    """Return the run of a job, or the base of a study's trials."""
    return validate(config.base) if isinstance(config, StudyConfig) else config


def _kept(
    config: RunConfig | StudyConfig, run: RunConfig, verb: str, values: Values
) -> Iterator[str]:
    """Require runs on the volume, and in the bucket where there is one."""
    url = values["storage"]["url"]
    if str(run.output) != f"{VOLUME}/runs":
        yield f"writes to {run.output}, which is not on the volume"
    if verb != "evaluate" and str(run.storage or "") != url:
        yield f"is kept in {run.storage}, not in {url}"
    if isinstance(config, StudyConfig) and str(config.store) != f"{url or f'{VOLUME}/runs'}/store":
        yield f"stores cells in {config.store}"


def _runs(run: RunConfig, spec: Document) -> Iterator[str]:
    """Require the GPUs and packages that a run needs of its cluster at its largest."""
    runtime, offered = run.runtime, 0
    asked = runtime.inference_servers * runtime.gpus_per_server
    asked += runtime.learner_ranks * runtime.gpus_per_rank
    for group in spec["rayClusterSpec"]["workerGroupSpecs"]:
        limits = group["template"]["spec"]["containers"][0].get("resources", {}).get("limits", {})
        offered += group["maxReplicas"] * int(limits.get("nvidia.com/gpu", 0))
    if asked > offered:
        yield f"asks for {asked:g} GPUs of a cluster with {offered}"
    if run.model.quantization and requirement("bitsandbytes", "gpu.txt") is None:
        yield "quantizes, but requirements/gpu.txt lacks bitsandbytes"


JOB_RULES: tuple[Rule, ...] = (
    names_fit,
    jobs_end,
    queued,
    clusters_fit,
    survives_the_shell,
    configured,
)
