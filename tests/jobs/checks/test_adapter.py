import json
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.checks.adapter import read_adapter
from physrl.config.model import LoRAConfig
from physrl.errors import UserError

SaveAdapter = Callable[[Path, LoRAConfig], None]


@pytest.mark.parametrize(
    "lora",
    [
        LoRAConfig(rank=4, alpha=8),
        LoRAConfig(rank=2, rslora=True, language=False, vision=True),
        LoRAConfig(rank=2, language=False, projector=True),
        LoRAConfig(rank=2, vision=True, projector=True),
    ],
)
def test_what_was_saved_is_read(
    lora: LoRAConfig, tmp_path: Path, save_adapter: SaveAdapter
) -> None:
    save_adapter(tmp_path, lora)
    assert read_adapter("it is", tmp_path) == lora


def test_what_vllm_does_not_serve(tmp_path: Path, save_adapter: SaveAdapter) -> None:
    save_adapter(tmp_path, LoRAConfig(rank=2))
    file = tmp_path / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"use_dora": True}))
    with pytest.raises(UserError, match=r"model\.adapter is .*: it uses use_dora, which vLLM"):
        read_adapter("model.adapter is", tmp_path)


def test_a_damaged_adapter(tmp_path: Path, save_adapter: SaveAdapter) -> None:
    save_adapter(tmp_path, LoRAConfig(rank=2))
    (tmp_path / "adapter_model.safetensors").write_bytes(b"torn")
    with pytest.raises(UserError, match=r"it is .*: no readable LoRA"):
        read_adapter("it is", tmp_path)
