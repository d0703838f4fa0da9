import json

import pytest

from physrl.errors import CheckpointError
from physrl.storage.manifest import parse_manifest


@pytest.mark.parametrize("name", ["../a", "/a", "a/../b", "a//b", "", ".", "a/./b", "a\0b"])
def test_a_manifest_does_not_lead_out_of_the_checkpoint(name: str) -> None:
    entry = {"size": 1, "sha256": "0" * 64}
    data = json.dumps({"files": {"state.json": entry, name: entry}}).encode()
    with pytest.raises(CheckpointError, match=r"x .*MANIFEST\.json"):
        parse_manifest(data, "x")
