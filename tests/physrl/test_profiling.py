import gzip
import json
from pathlib import Path

import torch

from physrl.profiling import profile_update


def test_operators_of_an_update_are_traced(tmp_path: Path) -> None:
    path = tmp_path / "profile" / "step-00000001-rank-0.json.gz"
    weight = torch.ones(4, 4, requires_grad=True)
    with profile_update(path):
        (weight @ torch.ones(4, 4)).sum().backward()
    events = json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
    names = {event.get("name") for event in events if event.get("ph") == "X"}
    assert {"aten::matmul", "aten::sum"} <= names
    assert any("Backward" in name for name in names)
