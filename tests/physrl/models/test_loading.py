"""Models as their configuration says, and their files."""

import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file

from physrl.config.model import LoRAConfig, ModelConfig
from physrl.models.loading import adapter_files, load_model, save_model
from tests.support.paths import TINY_BASE


def scales(model: PeftModel) -> list[float]:
    """List the scales of all adapter layers."""
    return [m.scaling["default"] for m in model.modules() if isinstance(m, LoraLayer)]


@pytest.mark.parametrize(
    ("rslora", "scale"), [(False, 24 / 9), (True, 24 / math.sqrt(9))], ids=["plain", "rslora"]
)
def test_an_adapter_is_scaled_as_configured_and_as_saved(
    rslora: bool, scale: float, tmp_path: Path
) -> None:
    lora = LoRAConfig(rank=9, alpha=24, rslora=rslora)
    model = load_model(ModelConfig(path=str(TINY_BASE), lora=lora))
    assert scales(model) == pytest.approx([scale] * 21)  # 3 layers, 7 matrices each
    model.save_pretrained(tmp_path)  # read by vLLM and plain PEFT
    settings = json.loads((tmp_path / "adapter_config.json").read_text())
    assert (settings["r"], settings["lora_alpha"], settings["use_rslora"]) == (9, 24, rslora)
    again = load_model(ModelConfig(path=str(TINY_BASE), lora=lora, adapter=str(tmp_path)))
    assert scales(again) == pytest.approx([scale] * 21)


def test_an_adapters_files_are_those_that_peft_writes(tmp_path: Path) -> None:
    model = load_model(ModelConfig(path=str(TINY_BASE), lora=LoRAConfig(rank=4, vision=True)))
    weights = {name: w for name, w in model.state_dict().items() if "lora_" in name}
    files = adapter_files(model, weights)
    model.save_pretrained(tmp_path)
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert files["adapter_model.safetensors"] == written["adapter_model.safetensors"]
    settings, expected = (json.loads(each["adapter_config.json"]) for each in (files, written))
    for each in (settings, expected):
        each["target_modules"].sort()  # a set
        del each["inference_mode"]  # decided by the loader
    assert settings == expected

    save_model(model, None, tmp_path / "checkpoint", weights)
    saved = {path.name: path.read_bytes() for path in (tmp_path / "checkpoint/adapter").iterdir()}
    assert saved == files


def test_a_start_adapter_has_the_configured_dropout(tmp_path: Path) -> None:
    before, after = LoRAConfig(rank=2, dropout=0.5), LoRAConfig(rank=2, dropout=0.25)
    load_model(ModelConfig(path=str(TINY_BASE), lora=before)).save_pretrained(tmp_path)
    model = load_model(ModelConfig(path=str(TINY_BASE), lora=after, adapter=str(tmp_path)))
    assert {m.p for m in model.modules() if isinstance(m, torch.nn.Dropout) and m.p} == {0.25}


def test_activation_checkpointing_is_configurable() -> None:
    model = load_model(ModelConfig(path=str(TINY_BASE), gradient_checkpointing=True))
    assert model.is_gradient_checkpointing
    assert not load_model(ModelConfig(path=str(TINY_BASE))).is_gradient_checkpointing


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    folder = shutil.copytree(str(TINY_BASE), tmp_path / "pickled")
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    with pytest.raises(OSError, match=r"model\.safetensors"):
        load_model(ModelConfig(path=str(folder)))
