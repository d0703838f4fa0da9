"""The model that a policy's name stands for."""

from pathlib import Path
from typing import Literal

from jobs.arguments.run_config import config_file
from jobs.checks.adapter import check_start_adapter, read_adapter
from jobs.checks.checkpoint import check_model, check_plain_weights
from physrl.config import load_config
from physrl.config.model import ModelConfig, absolute_if_local
from physrl.errors import UserError
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
    adapter = Path(model.adapter)
    recorded = parse_object((adapter / "adapter_config.json").read_bytes())
    path = base or str(recorded.get("base_model_name_or_path"))
    model = model.model_copy(update={"path": absolute_if_local(path)})
    check_model("--base", model.path, model)
    if base is None:
        _check_trained_plainly(checkpoint, adapter, path)
    check_plain_weights("--base", model.path)
    check_start_adapter(model)
    return model


def _check_trained_plainly(checkpoint: str, adapter: Path, path: str) -> None:
    """Refuse an adapter that was trained over 4-bit weights, unless its base is named."""
    file = config_file(adapter)
    quantization = None if file is None else load_config(file).model.quantization
    if quantization is not None:
        raise UserError(
            f"{checkpoint} was trained over {quantization} weights of {path}, which merging would "
            f"replace by plain ones: its answers change a little; if that is meant, --base {path}"
        )


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
