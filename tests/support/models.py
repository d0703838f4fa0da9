"""Models and adapters on disk, as far as checks read them."""

import json
from pathlib import Path

from physrl.config.model import LoRAConfig, ModelConfig
from tests.support.paths import TINY_BASE


def write_model_config(folder: Path, **settings: object) -> None:
    """Write the config.json of a Qwen2.5-VL checkpoint, with other settings."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "qwen2_5_vl"} | settings))


def save_adapter(folder: Path, lora: LoRAConfig) -> None:
    """Save a fresh adapter of the tiny base, as PEFT does."""
    from physrl.models.loading import load_model

    load_model(ModelConfig(path=str(TINY_BASE), lora=lora)).save_pretrained(folder)
