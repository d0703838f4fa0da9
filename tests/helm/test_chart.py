"""The chart with every values file: schemas, rules, policies."""

import json
import re
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
import yaml
from helm_python import HelmError

from tests.helm.chart import (
    CHART,
    ROOT,
    Document,
    Values,
    default_values,
    documents,
    lint,
    merged,
    of_kind,
    read_values,
    render,
    values_files,
)
from tests.helm.crds import MISSING, find_crds
from tests.helm.mutations import edited, read_mutations
from tests.helm.pods import Pod, pods
from tests.helm.policies import POLICIES, Policy
from tests.helm.reachability import evaluate
from tests.helm.references import outside, undocumented
from tests.helm.rules import RULES, Rule
from tests.helm.schemas import schema_violations

FILES = values_files()


@cache
def objects(name: str) -> list[Document]:
    return documents(render(read_values(FILES[name])))


def the_pods(name: str) -> dict[str, Pod]:
    return {pod.owner: pod for pod in pods(objects(name))}


@pytest.fixture(params=FILES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_strict_lint_finds_nothing(name: str) -> None:
    assert lint(read_values(FILES[name])) == []


def test_objects_meet_the_schemas_of_kubernetes(name: str) -> None:
    core = [one for one in objects(name) if not one["apiVersion"].startswith("ray.io")]
    templates = [pod.document for pod in pods(objects(name))]
    assert [text for one in (*core, *templates) for text in schema_violations(one)] == []


def test_ray_objects_meet_kubernetes_crds(name: str) -> None:
    if find_crds() is None:
        pytest.skip(MISSING)
    found = list(of_kind(objects(name), "RayCluster", "RayJob"))
    assert found
    assert [text for one in found for text in schema_violations(one)] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rules(rule: Rule, name: str) -> None:
    assert list(rule(objects(name), merged(read_values(FILES[name])))) == []


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.__name__)
def test_policies(policy: Policy, name: str) -> None:
    assert list(policy(objects(name))) == []


def test_the_three_groups_are_one_template() -> None:
    groups = {
        group["groupName"]: group["template"]["spec"]
        for group in next(of_kind(objects("everything"), "RayCluster"))["spec"]["workerGroupSpecs"]
    }
    assert set(groups) == {"rollout", "inference", "learner"}
    same = ("securityContext", "terminationGracePeriodSeconds", "serviceAccountName")
    assert all(groups["rollout"][key] == groups["learner"][key] for key in same)
    limits = {name: spec["containers"][0]["resources"]["limits"] for name, spec in groups.items()}
    assert "nvidia.com/gpu" not in limits["rollout"]
    assert limits["learner"]["nvidia.com/gpu"] == "8"


def test_a_group_without_replicas_is_left_out() -> None:
    cluster = next(of_kind(objects("values"), "RayCluster"))["spec"]
    assert [group["groupName"] for group in cluster["workerGroupSpecs"]] == ["rollout"]


RUN = "exec python /opt/physrl/run_job.py /mnt/physrl/logs python -m jobs."


def test_jobs_say_what_they_run() -> None:
    spec = {
        one["metadata"]["name"]: one["spec"] for one in of_kind(objects("everything"), "RayJob")
    }
    assert spec["physrl-train"]["entrypoint"] == (
        f"{RUN}train --config /etc/physrl/place.yaml --resume 'output=/mnt/physrl/runs' "
        "'storage=s3://bucket/runs' 'algorithm.steps=3' 'evaluation.tasks=[place]'"
    )
    assert spec["physrl-sft"]["entrypoint"] == (
        f"{RUN}sft --config jobs/configs/sft.yaml --resume 'output=/mnt/physrl/runs' "
        "'storage=s3://bucket/runs'"
    )
    assert spec["physrl-evaluate"]["entrypoint"] == (
        f"{RUN}evaluate --config /etc/physrl/place.yaml --policy 's3://bucket/runs/place' "
        "'output=/mnt/physrl/runs'"
    )
    assert spec["physrl-study"]["entrypoint"] == (
        f"{RUN}sweep --config jobs/configs/sweep-smoke.yaml 'base.output=/mnt/physrl/runs' "
        "'base.storage=s3://bucket/runs' 'store=s3://bucket/runs/store'"
    )


def test_options_reach_the_pods() -> None:
    pods = the_pods("everything")
    head, learner = pods["RayCluster/physrl head"].spec, pods["RayCluster/physrl learner"].spec
    assert head["tolerations"][0]["key"] == "dedicated"
    assert head["nodeSelector"] == {"node-pool": "cpu"}
    assert learner["nodeSelector"] == {"node-pool": "gpu"}
    spread = pods["RayCluster/physrl rollout"].spec["topologySpreadConstraints"][0]
    assert spread["topologyKey"] == "kubernetes.io/hostname"
    packed = pods["RayCluster/physrl inference"].spec["affinity"]["podAffinity"]
    term = packed["preferredDuringSchedulingIgnoredDuringExecution"][0]["podAffinityTerm"]
    assert term["topologyKey"] == "topology.kubernetes.io/zone"
    environment = {one["name"]: one for one in head["containers"][0]["env"]}
    assert environment["AWS_ENDPOINT_URL"]["value"] == "https://minio.storage.svc:9000"
    assert environment["HF_TOKEN"]["valueFrom"]["secretKeyRef"]["name"] == "huggingface"
    assert environment["RAY_GRAFANA_HOST"]["value"] == "http://grafana.monitoring:3000"
    tensorboard = pods["Deployment/physrl-tensorboard"].spec["containers"][0]
    assert tensorboard["command"][4:6] == ["s3://bucket/runs", "--load_fast"]
    assert {"name": "S3_ENDPOINT", "value": "https://minio.storage.svc:9000"} in tensorboard["env"]
    account = next(of_kind(objects("everything"), "ServiceAccount"))
    assert "eks.amazonaws.com/role-arn" in account["metadata"]["annotations"]


def test_the_head_survives_in_redis_only_where_asked() -> None:
    with_redis = next(of_kind(objects("everything"), "RayCluster"))["spec"]
    options = with_redis["gcsFaultToleranceOptions"]
    assert options["redisAddress"] == "redis.storage.svc:6379"
    without = next(of_kind(objects("values"), "RayCluster"))["spec"]
    assert "gcsFaultToleranceOptions" not in without


LOOKUP = 'lookup "ray.io/v1" .kind .root.Release.Namespace .name'
LIVE = json.dumps(
    {
        "spec": {
            "suspend": True,
            "workerGroupSpecs": [
                {"groupName": "rollout", "replicas": 3},
                {"groupName": "learner", "replicas": 9},
            ],
        }
    }
)


def test_upgrades_keep_what_kueue_people_and_the_autoscaler_set(tmp_path: Path) -> None:
    chart = tmp_path / CHART.name
    shutil.copytree(CHART, chart)
    helpers = chart / "templates" / "_helpers.tpl"
    text = helpers.read_text(encoding="utf-8")
    assert LOOKUP in text
    helpers.write_text(text.replace(LOOKUP, f"fromJson `{LIVE}`"), encoding="utf-8")
    jobs = [{"name": "a", "verb": "train", "config": "jobs/configs/demo.yaml"}]
    values = {
        "jobs": jobs,
        "storage": {"claim": {"name": "runs"}},
        "groups": {"learner": {"replicas": 1, "maxReplicas": 2}},
    }
    found = documents(render(values, chart))
    assert next(of_kind(found, "RayJob"))["spec"]["suspend"] is True
    groups = next(of_kind(found, "RayCluster"))["spec"]["workerGroupSpecs"]
    assert {one["groupName"]: one["replicas"] for one in groups} == {"rollout": 3, "learner": 2}
    fixed = documents(render(values | {"autoscaling": {"enabled": False}}, chart))
    groups = next(of_kind(fixed, "RayCluster"))["spec"]["workerGroupSpecs"]
    assert {one["groupName"]: one["replicas"] for one in groups} == {"rollout": 1, "learner": 1}


def test_words_that_are_taken_reach_the_job_unchanged() -> None:
    words = ["a.b=[x, 1]", "c={d: 2}", "e=s3://b/f@g+h%20"]
    job = {"name": "a", "verb": "train", "config": "jobs/configs/demo.yaml", "overrides": words}
    values = {"jobs": [job], "storage": {"claim": {"name": "runs"}}}
    spec = next(of_kind(documents(render(values)), "RayJob"))["spec"]
    # KubeRay splits the entrypoint, and Ray joins its words for a shell.
    line = subprocess.list2cmdline(shlex.split(spec["entrypoint"])).split("jobs.train", 1)[1]
    done = subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {line}"], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-3:] == words


@pytest.mark.parametrize("word", ["R&D", "a;b", "$X", "`x`", "a|b", "a'b", "*", "(x)", 'a"b', "~"])
def test_words_that_a_shell_interprets_are_refused(word: str) -> None:
    job = {"name": "a", "verb": "train", "config": "jobs/configs/demo.yaml"}
    job["overrides"] = [f"tracking.wandb.project={word}"]  # type: ignore[assignment]
    with pytest.raises(HelmError, match="overrides"):
        render({"jobs": [job], "storage": {"claim": {"name": "runs"}}})


def test_what_is_outside_is_created_by_a_line_of_the_docs(name: str) -> None:
    text = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    assert undocumented(outside(merged(read_values(FILES[name]))), text) == []


def test_access_is_evaluated_for_every_pair(name: str) -> None:
    count, wrong = evaluate(objects(name), merged(read_values(FILES[name])))
    assert count > 1000
    assert wrong == []


def test_the_makefile_waits_as_long_as_every_values_file() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    seconds = int(re.findall(r"^STOP_SECONDS \?= (\d+)$", text, re.MULTILINE)[0])
    values = [merged(read_values(path)) for path in FILES.values()]
    assert seconds >= max(one["termination"]["stopSeconds"] for one in values)


def test_queues() -> None:
    volcano = next(of_kind(objects("everything"), "RayJob"))
    assert volcano["metadata"]["labels"]["volcano.sh/queue-name"] == "gpu"
    kueue = next(of_kind(objects("values-gpu-large"), "RayJob"))
    assert kueue["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpu"
    assert kueue["spec"]["suspend"] is True


def test_notes_say_what_to_type_next(name: str) -> None:
    notes = render(read_values(FILES[name]))["physrl/templates/NOTES.txt"]
    values = merged(read_values(FILES[name]))
    assert ("ray job submit" in notes) == values["cluster"]["enabled"]
    assert ("get rayjobs" in notes) == bool(values["jobs"])
    assert ("Nothing is kept" in notes) == (name == "values")


def test_a_name_of_47_characters_is_taken_and_48_are_not() -> None:
    def job(length: int) -> Values:
        one = {"name": "a" * length, "verb": "train", "config": "jobs/configs/demo.yaml"}
        return {"jobs": [one], "storage": {"claim": {"name": "runs"}}}

    assert render(job(40))
    with pytest.raises(HelmError, match="48 characters and KubeRay takes 47"):
        render(job(41))


def test_every_value_has_its_schema_and_nothing_else_is_taken() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    assert set(schema["properties"]) - {"global"} == set(default_values())
    assert list(_open(schema, "")) == []


VOLUMES = {"secret", "configMap", "persistentVolumeClaim", "emptyDir"} | {
    *("csi", "ephemeral", "projected"),
}
FREE = {"nodeSelector", "annotations", "labels", "configs", "extendedResources", *VOLUMES}
"""Tables with free keys, and volumes, which the schema of pods checks."""


def _open(schema: Document, path: str) -> list[str]:
    """List tables that accept unknown keys."""
    found = []
    if schema.get("type") == "object" and path.rpartition(".")[2] not in FREE:
        closed = schema.get("additionalProperties") is False or schema.get("maxProperties") == 0
        found = [] if closed else [path]
    inner = {**schema.get("properties", {}), **schema.get("$defs", {})}
    if "items" in schema:
        inner["items"] = schema["items"]
    return found + [text for key, one in inner.items() for text in _open(one, f"{path}.{key}")]


def test_mutations_still_find_what_they_edit() -> None:
    edits, mistakes = read_mutations()
    assert len(edits) + len(mistakes) >= 25
    for edit in edits:
        with edited(edit) as chart:
            assert (chart / edit.file).read_text() != (CHART / edit.file).read_text()


def test_a_key_given_twice_is_refused() -> None:
    with pytest.raises(yaml.YAMLError, match="twice: a"):
        documents({"one.yaml": "a: 1\na: 2\n"})
