"""The model that a policy's name stands for."""

from pathlib import Path

from jobs.checks.adapter import read_adapter
from physrl.config.model import ModelConfig, absolute_if_local


def policy_model(policy: str, model: ModelConfig) -> ModelConfig:
    """Resolve a policy into the model to serve.

    Args:
        policy: a checkpoint folder, a run's `step-*` folder, an adapter folder, or a hub name.
        model: the configured model; its `path` is an adapter's base model.

    Raises:
        UserError: an adapter cannot be read or served.
    """
    folder = Path(policy).expanduser()
    for part in ("model", "adapter"):
        if (folder / part).is_dir():
            folder = folder / part
    if (folder / "adapter_config.json").is_file():
        changes = {
            "adapter": absolute_if_local(str(folder)),
            "lora": read_adapter("--policy", folder),
        }
        return model.model_copy(update=changes)
    path = str(folder) if folder.is_dir() else policy
    changes = {
        "path": absolute_if_local(path),
        "revision": None,
        "lora": None,
        "adapter": None,
        "quantization": None,
    }
    return model.model_copy(update=changes)
