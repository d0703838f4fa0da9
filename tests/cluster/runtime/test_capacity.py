"""What a run would have on a cluster that it joins."""

from pathlib import Path

import pytest
import ray

from jobs.sizing import capacity
from physrl.config.load import validate


@pytest.mark.usefixtures("ray_cluster")
def test_a_clusters_resources_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "announced_address", lambda: "auto")
    there = capacity.capacity(validate({"output": str(tmp_path)}))
    resources = ray.cluster_resources()
    assert there.joined
    assert (there.cores, there.memory) == (resources["CPU"], resources["memory"])
    assert (there.gpus, there.gpu_memory) == (resources.get("GPU", 0), None)
    assert ray.is_initialized()
