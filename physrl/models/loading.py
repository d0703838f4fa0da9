"""Loading and saving of Qwen-VL models, full or with adapters."""

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from physrl.config.model import MODEL_TYPES, LoRAConfig, ModelConfig
from physrl.errors import ConfigError
from physrl.models.adapter import put_on
from physrl.models.processor import configured_processor
from physrl.models.without_sklearn import without_sklearn

with without_sklearn():
    from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
    from peft.utils import CONFIG_NAME, SAFETENSORS_WEIGHTS_NAME
    from transformers import AutoConfig, AutoModelForImageTextToText, BitsAndBytesConfig

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}

_PROJECTOR = r"visual\.(merger|deepstack_merger_list)\."
_VISION = r"visual\.blocks\."
_LANGUAGE = r"language_model\.layers\."


def load_model(config: ModelConfig) -> Any:
    """Load the model to train: all of its weights, or the adapter of a PEFT wrapper.

    Raises:
        ConfigError: the checkpoint is of another model family.
        DataError: the adapter has other weights than it needs.
    """
    model = _load_base(config)
    if model.config.model_type not in MODEL_TYPES:
        raise ConfigError(
            f"model.path {config.path} has the unsupported model_type {model.config.model_type}: "
            f"use one of {', '.join(MODEL_TYPES)}"
        )
    if config.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    if config.lora is None:
        return model
    if config.lora.vision or config.lora.projector:
        # On a rank whose rows have no image, nothing before the first adapter would need gradients:
        # its backward pass would have fewer layers than others', and ZeRO-3 would hang.
        model.enable_input_require_grads()
    if config.adapter is None:
        return get_peft_model(model, peft_config(config.lora, model))
    return put_on(model, Path(config.adapter), config.lora.dropout)


def check_adapter(config: ModelConfig) -> None:
    """Compare a start adapter's weights with the model that it is to be put on, without loading it.

    Raises:
        DataError: the weights do not fit.
    """
    assert config.adapter is not None
    architecture = AutoConfig.from_pretrained(config.path, revision=config.revision)
    with torch.device("meta"):
        put_on(AutoModelForImageTextToText.from_config(architecture), Path(config.adapter), 0.0)


def save_dequantized(config: ModelConfig, folder: Path) -> None:
    """Write a checkpoint of the dequantized base of a 4-bit model, for vLLM.

    vLLM 0.32 reads no bitsandbytes, and the unquantized base has other weights.
    """
    _load_base(config).dequantize(DTYPES[config.dtype]).save_pretrained(folder)
    configured_processor(config).save_pretrained(folder)


def _load_base(config: ModelConfig) -> Any:
    dtype = DTYPES[config.dtype]
    # Unpickling weights runs code.
    safe = {"use_safetensors": True, "dtype": dtype, "revision": config.revision}
    if config.quantization is None:
        return AutoModelForImageTextToText.from_pretrained(config.path, **safe)
    nf4 = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return AutoModelForImageTextToText.from_pretrained(
        config.path, **safe, quantization_config=nf4, device_map={"": device}
    )


def peft_config(lora: LoRAConfig, model: torch.nn.Module) -> LoraConfig:
    """Make PEFT's configuration, with the linear layers of the chosen parts as targets."""
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        use_rslora=lora.rslora,
        target_modules=target_modules(lora, model),
        task_type="CAUSAL_LM",
    )


def target_modules(lora: LoRAConfig, model: torch.nn.Module) -> list[str]:
    """List the names of the linear layers to adapt."""
    wanted = [
        pattern
        for pattern, chosen in (
            (_LANGUAGE, lora.language),
            (_VISION, lora.vision),
            (_PROJECTOR, lora.projector),
        )
        if chosen
    ]
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and any(re.search(part, name) for part in wanted)
    ]


def adapter_files(model: PeftModel, weights: Mapping[str, Tensor]) -> dict[str, bytes]:
    """Serialize an adapter to PEFT's files, by name.

    The model card is left out: PEFT would render it each time, three quarters of a weight sync.

    Args:
        weights: the adapter's gathered weights by name.
    """
    with tempfile.TemporaryDirectory() as folder:
        model.peft_config["default"].save_pretrained(folder)
        settings = (Path(folder) / CONFIG_NAME).read_bytes()
    state = get_peft_model_state_dict(model, dict(weights), save_embedding_layers=False)
    tensors = safetensors.torch.save(state, metadata={"format": "pt"})
    return {CONFIG_NAME: settings, SAFETENSORS_WEIGHTS_NAME: tensors}


def save_model(model: Any, processor: Any, folder: Path, weights: Mapping[str, Tensor]) -> None:
    """Write `adapter/` of a PEFT model, for PEFT, or `model/` of a full one, for transformers.

    Args:
        weights: the model's gathered weights by name.
    """
    if isinstance(model, PeftModel):
        adapter = folder / "adapter"
        adapter.mkdir(parents=True, exist_ok=True)
        for name, content in adapter_files(model, weights).items():
            (adapter / name).write_bytes(content)
    else:
        model.save_pretrained(folder / "model", state_dict=dict(weights))
        processor.save_pretrained(folder / "model")
