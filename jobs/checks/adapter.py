"""Checks of saved adapters from their files, without loading a model."""

from pathlib import Path

from pydantic_core import from_json

from physrl.config.model import LoRAConfig
from physrl.errors import UserError

UNSUPPORTED = ("use_dora", "modules_to_save", "lora_bias")
"""PEFT options with which vLLM refuses an adapter."""


def check_start_adapter(folder: Path, lora: LoRAConfig | None) -> None:
    """Refuse a start adapter that differs from `model.lora`, from which vLLM is configured.

    Raises:
        UserError: names the key, both values and the remedy.
    """
    if lora is None:
        raise UserError(f"model.adapter is {folder} but model.lora is null: set model.lora.rank")
    saved = read_adapter("model.adapter is", folder)
    for key in ("rank", "alpha", "rslora", "language", "vision", "projector"):
        configured, found = (str(getattr(each, key)).lower() for each in (lora, saved))
        if configured != found:
            raise UserError(
                f"model.lora.{key} is {configured} but model.adapter {folder} has {key} {found}: "
                f"set model.lora.{key}={found}"
            )


def read_adapter(source: str, folder: Path) -> LoRAConfig:
    """Read the LoRA configuration of a PEFT folder.

    The adapted parts are read off the names of the weights: PEFT shortens the list of target
    modules in its configuration.

    Args:
        source: the key or option that names the folder, for the message.

    Raises:
        UserError: the folder holds no LoRA that vLLM can serve.
    """
    from safetensors import safe_open

    try:
        settings = from_json((folder / "adapter_config.json").read_bytes())
        with safe_open(folder / "adapter_model.safetensors", "numpy") as weights:
            names = list(weights.keys())
        unsupported = next((option for option in UNSUPPORTED if settings.get(option)), None)
        lora = LoRAConfig(
            rank=settings["r"],
            alpha=settings["lora_alpha"],
            rslora=settings.get("use_rslora", False),
            language=any(".language_model." in name for name in names),
            vision=any(".visual.blocks." in name for name in names),
            projector=any(".visual." in name and "merger" in name for name in names),
        )
    except Exception:  # readers of damaged files raise many types
        raise UserError(
            f"{source} {folder}: no readable LoRA (adapter_config.json and "
            "adapter_model.safetensors) in it; name the folder of a saved adapter"
        ) from None
    if unsupported is not None:
        raise UserError(
            f"{source} {folder}: the adapter uses {unsupported}, which vLLM cannot serve: save one "
            "without it"
        )
    return lora
