import json
from pathlib import Path

import pytest

from jobs.policies import policy_model
from physrl.config.model import ModelConfig
from physrl.errors import UserError

BASE = ModelConfig(path="base/model")


def test_a_step_folder_means_the_model_in_it(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    served = policy_model(str(tmp_path), BASE)
    assert (served.path, served.lora, served.adapter) == (str(tmp_path / "model"), None, None)


def test_an_adapter_is_served_over_the_configured_base(tmp_path: Path) -> None:
    targets = ["model.language_model.layers.0.mlp.up_proj", "model.visual.merger.mlp.0"]
    (tmp_path / "adapter").mkdir()
    settings = {"r": 8, "lora_alpha": 4, "target_modules": targets}
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps(settings))
    served = policy_model(str(tmp_path), BASE)
    assert (served.path, served.adapter) == ("base/model", str(tmp_path / "adapter"))
    assert served.lora is not None
    lora = served.lora
    assert (lora.rank, lora.alpha, lora.language, lora.vision, lora.projector) == (
        8, 4, True, False, True,
    )  # fmt: skip


def test_a_hub_name_stays_as_it_is() -> None:
    assert policy_model("Qwen/Qwen2.5-VL-3B-Instruct", BASE).path == "Qwen/Qwen2.5-VL-3B-Instruct"


def test_a_damaged_adapter_is_named(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(UserError, match="is no LoRA of this project"):
        policy_model(str(tmp_path), BASE)
