"""Placement and order of a run's actors on a Ray cluster whose nodes pretend to have GPUs."""

import json
import os
import subprocess
import sys
import tempfile
from typing import Any

import pytest
import yaml

from tests.helm.chart import CHART, read_values, render
from tests.support.paths import ROOT, TINY_BASE

GROUPS = {"servers": "inference", "ranks": "learner", "workers": "rollout"}


def run_on(nodes: list[tuple[str, dict[str, Any]]], config: dict[str, Any]) -> dict[str, Any]:
    """Start a run's actors on pretended nodes; return their nodes' names, and their calls."""
    command = [sys.executable, "-m", "tests.support.pretended_gpus"]
    given = json.dumps({"nodes": nodes, "config": config})
    # In a folder of its own, since Ray announces the cluster to all that start there. Paths of
    # sockets must be short.
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder:
        environment = os.environ | {"RAY_TMPDIR": folder}
        done = subprocess.run(
            command, input=given, cwd=ROOT, env=environment, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def chart_nodes(values: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """List the nodes that KubeRay would start for the chart's first job, as Ray's options."""
    documents = [each for text in render(values).values() for each in yaml.safe_load_all(text)]
    job = next(each for each in documents if each and each.get("kind") == "RayJob")
    spec = job["spec"]["rayClusterSpec"]
    nodes = []
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        start = group["rayStartParams"]
        limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
        options = {
            "num_cpus": int(start.get("num-cpus", limits["cpu"])),
            "num_gpus": int(start["num-gpus"]),
            "resources": json.loads(json.loads(start["resources"])),
        }
        nodes += [(group.get("groupName", "head"), options)] * group.get("replicas", 1)
    return nodes


def small(path: str, **runtime: Any) -> dict[str, Any]:
    """Return a chart's configuration with a model that is here, and few processes."""
    config: dict[str, Any] = read_values(CHART / path)["configs"]["place-3b"]
    config["model"]["path"] = str(TINY_BASE)
    config["runtime"] |= {"rollout_workers": 2, **runtime}
    return config


def test_actors_run_on_the_nodes_of_their_groups() -> None:
    values = read_values(CHART / "values-gpu-small.yaml")
    servers = {"inference_servers": 2, "learner_ranks": 2}
    places = run_on(chart_nodes(values), small("values-gpu-small.yaml", **servers))["places"]
    assert places == {kind: [group] * 2 for kind, group in GROUPS.items()}


@pytest.mark.parametrize("fraction", [0.5, 1])
def test_a_machine_without_groups_holds_all(fraction: float) -> None:
    config = small("values-gpu-small.yaml", inference_servers=1, learner_ranks=1)
    config["runtime"]["gpus_per_server"] = fraction
    places = run_on([("here", {"num_cpus": 8, "num_gpus": 2})], config)["places"]
    assert {node for nodes in places.values() for node in nodes} == {"here"}


def test_colocated_servers_start_before_ranks_load_and_wake_after_these_freed_their_cache() -> None:
    turns = {"mode": "sync", "layout": "colocated"}
    config = small("values-gpu-small.yaml", inference_servers=1, learner_ranks=1, **turns)
    nodes = [("head", {"num_cpus": 0}), ("gpu", {"num_cpus": 8, "num_gpus": 1})]
    found = run_on(nodes, config)
    assert found["places"]["servers"] == found["places"]["ranks"] == ["gpu"]
    calls = [call for call in found["calls"] if not call.startswith("worker")]
    assert calls == ["server start", "server sleep", "rank load", "rank free", "server wake"]
