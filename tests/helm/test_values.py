"""Wrong values end in one message that names the value and, where a schema can, the remedy."""

from typing import Any

import pytest
from helm_python import HelmError

from tests.helm.chart import merged, render

CLAIM = {"storage": {"claim": {"name": "runs"}}}
JOB = {"name": "a", "verb": "train", "config": "jobs/configs/demo.yaml"}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("autoscalling.enabled", False, "'autoscalling' not allowed"),
        ("image.tag", 1.5, "got number, want string"),
        ("image.tag", "latest", "image.tag is latest, .*: name a version"),
        ("image.repository", "Physrl", "does not match pattern"),
        ("rayVersion", "nightly", "'nightly' does not match pattern"),
        ("groups.rollout.replicas", "two", "/groups/rollout/replicas': got string, want integer"),
        ("groups.rollout.replicas", 9, "groups.rollout has .*, replicas 9, maxReplicas 4"),
        ("groups.learner.gpus", -1, "minimum: got -1, want 0"),
        ("groups.actors", {}, "'actors' not allowed"),
        ("head.memory", "8 GB", "'8 GB' does not match pattern"),
        ("head.cpu", 0, "minimum: got 0, want 1"),
        ("jobs", [JOB | {"verb": "report"}], "one of 'train', 'sft', 'sweep', 'evaluate'"),
        ("jobs", [JOB | {"name": "My_Job"}], "'My_Job' does not match pattern"),
        ("jobs", [JOB | {"config": "mine"}], "'mine' of job 'a' is neither in configs .empty."),
        ("jobs", [JOB | {"overrides": ["seed 1"]}], "'seed 1' does not match pattern"),
        ("jobs", [JOB | {"verb": "evaluate"}], "'a' evaluates but names no policy"),
        ("jobs", [JOB | {"policy": "x"}], "'a' has the policy 'x' but its verb is train"),
        ("jobs", [{"name": "a"}], "missing propert"),
        ("configs.a", 1, "got number, want object"),
        ("storage.url", "gs://bucket", "'gs://bucket' does not match pattern"),
        ("storage.url", "s3://key:secret@bucket", "does not match pattern"),
        ("storage.endpoint", "https://me:pw@host", "does not match pattern"),
        ("storage.claim", {"name": "", "create": True}, "claim.name is empty: name the claim"),
        ("jobs", [JOB, JOB | {"name": "b", "deadlineSeconds": 1}], "minimum: got 1, want 60"),
        ("tensorboard.enabled", True, "storage.url is empty: set storage.url=s3://"),
        ("watch.enabled", True, "storage.url is empty: set storage.url=s3://"),
        ("kueue.queue", "gpu", "autoscaling.enabled is true, .*set autoscaling.enabled=false"),
        ("termination.gracePeriodSeconds", 160, r"gracePeriodSeconds is 160: .*165"),
        ("image.pullPolicy", "IfNotPresent", "image.pullPolicy is IfNotPresent .*image.digest"),
        ("image.digest", "sha256:1", "'sha256:1' does not match pattern"),
        (
            "storage.claim",
            {"name": "a", "create": True, "accessMode": "ReadWriteOnce"},
            "singleNode",
        ),
        ("networkPolicy.egress", [{"ports": [443]}], "/networkPolicy/egress/0"),
        ("networkPolicy.egress", [{"namespace": "a", "except": [], "ports": [1]}], "egress/0"),
        ("pod.env", [{"name": "A"}], "/pod/env/0"),
        ("pod.volumes", [{"name": "a", "hostPath": {"path": "/"}}], "'hostPath' not allowed"),
        ("networkPolicy.egress", [{"cidr": "everywhere", "ports": [443]}], "'everywhere' does not"),
        ("headFaultTolerance.redisAddress", "redis://:pw@redis:6379", "does not match pattern"),
        ("auth.token", "abc", "'token' not allowed"),
    ],
)
def test_wrong_values_are_refused(path: str, value: Any, message: str) -> None:
    *tables, key = path.split(".")
    over: dict[str, Any] = {key: value}
    for table in reversed(tables):
        over = {table: over}
    with pytest.raises(HelmError, match=message):
        render(merged(over, CLAIM))


@pytest.mark.parametrize("release", ["2nd", "a.b"])
def test_a_release_that_kuberay_refuses(release: str) -> None:
    with pytest.raises(HelmError, match=f"release name '{release}': KubeRay takes"):
        render({}, release=release)


def test_values_are_laid_over_defaults_table_by_table() -> None:
    assert merged({"a": {"b": 1}}, {"a": {"b": 0, "c": 2}, "d": 3}) == {
        "a": {"b": 1, "c": 2},
        "d": 3,
    }


def test_submitters_of_rayjobs_need_a_named_secret() -> None:
    values = {
        "cluster": {"enabled": False},
        "rbac": {"submitters": [{"kind": "User", "name": "a"}]},
    }
    with pytest.raises(HelmError, match=r"rbac\.submitters .*auth\.secretName"):
        render(values)
    assert render(values | {"auth": {"secretName": "ray-token"}})


def test_jobs_need_a_volume() -> None:
    with pytest.raises(HelmError, match=r"storage\.claim\.name is empty: .*name a claim"):
        render({"jobs": [JOB]})
