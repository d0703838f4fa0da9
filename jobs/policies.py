"""Which model a policy's name means."""

import json
from pathlib import Path

from physrl.config.model import LoRAConfig, ModelConfig, absolute_if_local
from physrl.errors import UserError


def policy_model(policy: str, model: ModelConfig) -> ModelConfig:
    """What serves a policy: a checkpoint folder, a run's `step-*` folder, an adapter, a hub name.

    Args:
        policy: as the user wrote it.
        model: the configured model; its `path` is an adapter's base.

    Raises:
        UserError: an adapter's configuration cannot be read.
    """
    folder = Path(policy).expanduser()
    for part in ("model", "adapter"):
        if (folder / part).is_dir():
            folder = folder / part
    if (folder / "adapter_config.json").is_file():
        changes = {"adapter": absolute_if_local(str(folder)), "lora": _read_lora(folder)}
        return model.model_copy(update=changes)
    path = str(folder) if folder.is_dir() else policy
    changes = {"path": absolute_if_local(path), "lora": None, "adapter": None}
    return model.model_copy(update=changes)


def _read_lora(folder: Path) -> LoRAConfig:
    """What of the model an adapter adapts: vLLM must be told before it starts."""
    try:
        settings = json.loads((folder / "adapter_config.json").read_text())
        targets = settings["target_modules"]
        return LoRAConfig(
            rank=settings["r"],
            alpha=settings["lora_alpha"],
            language=any("language_model" in target for target in targets),
            vision=any("visual.blocks" in target for target in targets),
            projector=any("merger" in target for target in targets),
        )
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(
            f"--policy {folder}: its adapter_config.json is no LoRA of this project: name a folder "
            "that a run saved"
        ) from None
