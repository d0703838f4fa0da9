"""The model that a policy's name stands for."""

from pathlib import Path
from typing import Literal

from jobs.checks.adapter import check_start_adapter, read_adapter
from jobs.checks.checkpoint import check_model
from physrl.config.model import ModelConfig, absolute_if_local
from physrl.json_text import parse_object

DType = Literal["float32", "bfloat16"]


def merged_model(checkpoint: str, base: str | None, dtype: DType) -> ModelConfig:
    """Resolve a checkpoint into the model to merge.

    Args:
        base: model of an adapter; None for the one that its configuration names.

    Raises:
        UserError: the checkpoint cannot be read, or does not fit the base.
    """
    model = policy_model(checkpoint, ModelConfig(dtype=dtype))
    if model.adapter is None:
        check_model("CHECKPOINT", model.path, model)
        return model
    recorded = parse_object((Path(model.adapter) / "adapter_config.json").read_bytes())
    path = base or str(recorded.get("base_model_name_or_path"))
    model = model.model_copy(update={"path": absolute_if_local(path)})
    check_model("--base", model.path, model)
    check_start_adapter(model)
    return model


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
