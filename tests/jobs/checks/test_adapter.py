import json
from pathlib import Path

import pytest

from jobs.checks.adapter import check_start_adapter, read_adapter
from physrl.config.model import LoRAConfig, ModelConfig
from physrl.errors import UserError
from tests.support.models import save_adapter
from tests.support.paths import TINY_BASE


@pytest.mark.parametrize(
    "lora",
    [
        LoRAConfig(rank=4, alpha=8),
        LoRAConfig(rank=2, rslora=True, language=False, vision=True),
        LoRAConfig(rank=2, language=False, projector=True),
        LoRAConfig(rank=2, vision=True, projector=True),
    ],
)
def test_a_saved_adapter_is_read_back(lora: LoRAConfig, tmp_path: Path) -> None:
    save_adapter(tmp_path, lora)
    assert read_adapter("--policy", tmp_path) == lora


def test_an_option_that_vllm_does_not_serve(tmp_path: Path) -> None:
    save_adapter(tmp_path, LoRAConfig(rank=2))
    file = tmp_path / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"use_dora": True}))
    with pytest.raises(UserError, match=f"--policy {tmp_path}: .*use_dora"):
        read_adapter("--policy", tmp_path)


def test_a_damaged_adapter(tmp_path: Path) -> None:
    save_adapter(tmp_path, LoRAConfig(rank=2))
    (tmp_path / "adapter_model.safetensors").write_bytes(b"torn")
    with pytest.raises(UserError, match=f"--policy {tmp_path}: .*adapter_model.safetensors"):
        read_adapter("--policy", tmp_path)


def test_a_start_adapter_without_lora(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model\.lora is null"):
        check_start_adapter(ModelConfig(path=str(TINY_BASE), adapter=str(tmp_path)))


def test_a_start_adapter_is_as_configured(tmp_path: Path) -> None:
    saved = LoRAConfig(rank=4, vision=True)
    save_adapter(tmp_path, saved)
    model = ModelConfig(path=str(TINY_BASE), adapter=str(tmp_path), lora=saved)
    check_start_adapter(model)
    for key, value, remedy in (
        ("rank", 8, "rank=4"),
        ("alpha", 8, "alpha=16"),
        ("rslora", True, "rslora=false"),
        ("vision", False, "vision=true"),
        ("projector", True, "projector=false"),
    ):
        configured = saved.model_copy(update={key: value})
        with pytest.raises(UserError, match=rf"model\.lora\.{key} .*model\.lora\.{remedy}"):
            check_start_adapter(model.model_copy(update={"lora": configured}))
