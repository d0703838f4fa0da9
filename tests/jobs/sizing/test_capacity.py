from pathlib import Path

import psutil
import pytest

from jobs.sizing import capacity
from physrl.config.load import validate


def test_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "announced_address", lambda: None)
    found = capacity.capacity(validate({"output": str(tmp_path / "not" / "yet")}))
    assert found.name == "this machine"
    assert found.cores == len(psutil.Process().cpu_affinity())
    assert 0 < found.memory <= psutil.virtual_memory().total
    assert found.disk > 0
    assert not found.joined


@pytest.mark.parametrize(("limit", "expected"), [("max\n", None), ("1000000\n", 1e6)])
def test_a_containers_limit_counts(
    limit: str, expected: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "memory.max").write_text(limit)
    monkeypatch.setattr(capacity, "CGROUP_LIMIT", tmp_path / "memory.max")
    monkeypatch.setattr(capacity, "announced_address", lambda: None)
    found = capacity.capacity(validate({"output": str(tmp_path)}))
    assert found.memory == (expected or psutil.virtual_memory().total)
