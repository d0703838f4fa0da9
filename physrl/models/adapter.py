"""Adapters from files, compared with the base that they are put on."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from physrl.errors import DataError, boundary
from physrl.models.adapter_names import module_name, renamed
from physrl.models.without_sklearn import without_sklearn

with without_sklearn():
    from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
    from peft.utils import CONFIG_NAME, SAFETENSORS_WEIGHTS_NAME, set_peft_model_state_dict


def adapter_config(folder: Path) -> LoraConfig:
    """Read a PEFT configuration, with the present names of the layers that it targets."""
    with boundary(DataError, f"adapter {folder} has no readable {CONFIG_NAME}", "replace it"):
        saved = LoraConfig.from_pretrained(str(folder))
        if not isinstance(saved.target_modules, str):
            saved.target_modules = {module_name(name) for name in saved.target_modules or ()}
    return saved


def put_on(model: Any, folder: Path, dropout: float) -> PeftModel:
    """Put a saved adapter on a base model, to train it further.

    Raises:
        DataError: the file has other weights than the base and the adapter's configuration need.
    """
    saved = adapter_config(folder)
    saved.lora_dropout, saved.inference_mode = dropout, False
    # Weights come from the file: initialisations are of no use, and some change the base.
    saved.init_lora_weights = True
    with boundary(DataError, f"adapter {folder} does not fit the model", "choose another"):
        adapted = get_peft_model(model, saved)
    weights = read_weights(folder)
    compare(folder, weights, get_peft_model_state_dict(adapted, save_embedding_layers=False))
    set_peft_model_state_dict(adapted, dict(weights))
    return adapted


def read_weights(folder: Path) -> Mapping[str, Tensor]:
    """Read an adapter's weights by their present keys."""
    file = folder / SAFETENSORS_WEIGHTS_NAME
    with boundary(DataError, f"adapter weights {file} cannot be read", "replace the file"):
        weights: Mapping[str, Tensor] = safetensors.torch.load(renamed(file.read_bytes()))
    return weights


def compare(folder: Path, found: Mapping[str, Tensor], needed: Mapping[str, Tensor]) -> None:
    """Refuse weights that differ from the needed ones in names or shapes.

    Raises:
        DataError: names the first difference, and the number of all.
    """
    wrong = {
        key: f"{key} has the shape {list(found[key].shape)} instead of {list(each.shape)}"
        for key, each in needed.items()
        if key in found and found[key].shape != each.shape
    }
    wrong |= {key: f"{key} is missing" for key in needed if key not in found}
    wrong |= {key: f"{key} is not in the model" for key in found if key not in needed}
    if wrong:
        raise DataError(
            f"adapter {folder} does not fit the model, in {len(wrong)} of {len(needed)} weights: "
            f"{wrong[min(wrong)]}: use the model that the adapter was trained on"
        )


def adapter_content(folder: Path) -> dict[str, bytes]:
    """Read an adapter's files by name, with the present names of layers and weights."""
    with boundary(DataError, f"adapter {folder} cannot be read", "replace it"):
        settings = json.loads((folder / CONFIG_NAME).read_bytes())
        if isinstance(settings.get("target_modules"), list):
            settings["target_modules"] = sorted(map(module_name, settings["target_modules"]))
        weights = renamed((folder / SAFETENSORS_WEIGHTS_NAME).read_bytes())
    return {CONFIG_NAME: json.dumps(settings).encode(), SAFETENSORS_WEIGHTS_NAME: weights}
