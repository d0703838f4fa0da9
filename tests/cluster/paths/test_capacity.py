"""Whole path: the capacity that `physrl doctor` reports on a cluster that it joins."""

from pathlib import Path

import pytest
import ray

from jobs.sizing import capacity
from physrl.config.load import validate


@pytest.mark.usefixtures("ray_cluster")
def test_a_clusters_resources_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "announced_address", lambda: "auto")
    found = capacity.capacity(validate({"output": str(tmp_path)}))
    resources = ray.cluster_resources()
    assert found.joined
    assert (found.cores, found.memory) == (resources["CPU"], resources["memory"])
    assert (found.gpus, found.gpu_memory) == (resources.get("GPU", 0), None)
    assert ray.is_initialized()
