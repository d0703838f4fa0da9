"""What a saved adapter adapts: its files know, without loading a model."""

import json
from pathlib import Path

from physrl.config.model import LoRAConfig
from physrl.errors import UserError

UNSERVED = ("use_dora", "modules_to_save", "lora_bias")
"""Options of PEFT's that vLLM refuses when an adapter is loaded."""


def read_adapter(what: str, folder: Path) -> LoRAConfig:
    """The adapters in a PEFT folder.

    Which parts they adapt is read off the names of their weights: PEFT shortens the list of
    targets in the configuration.

    Args:
        what: who named the folder, for the message.

    Raises:
        UserError: the folder holds no LoRA of language, vision or projector that vLLM serves.
    """
    from safetensors import SafetensorError, safe_open

    try:
        settings = json.loads((folder / "adapter_config.json").read_text())
        with safe_open(folder / "adapter_model.safetensors", "numpy") as weights:
            names = list(weights.keys())
        unserved = next((option for option in UNSERVED if settings.get(option)), None)
        lora = LoRAConfig(
            rank=settings["r"],
            alpha=settings["lora_alpha"],
            rslora=settings.get("use_rslora", False),
            language=any(".language_model." in name for name in names),
            vision=any(".visual.blocks." in name for name in names),
            projector=any(".visual." in name and "merger" in name for name in names),
        )
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        raise UserError(
            f"{what} {folder}: no readable LoRA (adapter_config.json and adapter_model.safetensors)"
            " there; name the folder of one that a run saved"
        ) from None
    if unserved is not None:
        raise UserError(f"{what} {folder}: it uses {unserved}, which vLLM does not serve")
    return lora
