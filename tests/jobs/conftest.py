"""Adapters as PEFT saves them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from physrl.config.model import LoRAConfig, ModelConfig
from physrl.models.loading import load_model
from tests.support.paths import TINY_BASE


@pytest.fixture
def save_adapter() -> Callable[[Path, LoRAConfig], None]:
    """Saves a fresh adapter of the tiny base into a folder."""

    def save(folder: Path, lora: LoRAConfig) -> None:
        load_model(ModelConfig(path=str(TINY_BASE), lora=lora)).save_pretrained(folder)

    return save
