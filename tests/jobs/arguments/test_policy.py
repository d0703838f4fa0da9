from pathlib import Path

import pytest

from jobs.arguments.policy import policy_model
from physrl.config.model import LoRAConfig, ModelConfig
from physrl.errors import UserError
from tests.support.models import save_adapter

BASE = ModelConfig(path="base/model")


def test_a_step_folder_stands_for_its_model(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    served = policy_model(str(tmp_path), BASE)
    assert (served.path, served.lora, served.adapter) == (str(tmp_path / "model"), None, None)


def test_an_adapter_is_served_over_the_configured_base(
    tmp_path: Path,
) -> None:
    lora = LoRAConfig(rank=8, alpha=4, rslora=True, projector=True)
    save_adapter(tmp_path / "adapter", lora)
    served = policy_model(str(tmp_path), BASE)
    assert (served.path, served.adapter) == ("base/model", str(tmp_path / "adapter"))
    assert served.lora == lora


def test_a_hub_name_is_unchanged() -> None:
    assert policy_model("Qwen/Qwen2.5-VL-3B-Instruct", BASE).path == "Qwen/Qwen2.5-VL-3B-Instruct"


def test_a_damaged_adapter_is_named(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(UserError, match=f"--policy {tmp_path}: .*adapter_config.json"):
        policy_model(str(tmp_path), BASE)
