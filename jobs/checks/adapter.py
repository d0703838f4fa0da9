"""Checks of saved adapters from their files, without loading a model."""

from pathlib import Path

from pydantic_core import from_json

from physrl.config.model import LoRAConfig, ModelConfig
from physrl.errors import UserError
from physrl.models.adapter_names import weight_name
from physrl.types import JSON

UNSUPPORTED = (
    "use_dora", "modules_to_save", "lora_bias", "use_qalora", "rank_pattern", "alpha_pattern",
    "layer_replication", "target_parameters", "trainable_token_indices", "alora_invocation_tokens",
    "megatron_config", "loftq_config", "arrow_config",
)  # fmt: skip
"""PEFT options with which vLLM refuses or misreads an adapter."""
CHANGES_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Beginnings of initialisations that change the base's weights, which the file does not hold."""


def check_start_adapter(model: ModelConfig) -> None:
    """Refuse a start adapter that differs from `model.lora`, or does not fit the model.

    vLLM is configured from `model.lora`.

    Raises:
        UserError: names the key, both values and the remedy.
    """
    lora, folder = model.lora, Path(str(model.adapter))
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
    from physrl.models.loading import check_adapter  # imports torch

    check_adapter(model)


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
            keys: list[str] = list(weights.keys())
        names = list(map(weight_name, keys))
        unsupported = next((option for option in UNSUPPORTED if settings.get(option)), None)
        lora = LoRAConfig(
            rank=settings["r"],
            alpha=settings["lora_alpha"],
            rslora=settings.get("use_rslora", False),
            language=any(".language_model.layers." in name for name in names),
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
    _check_kind(source, folder, settings)
    return lora


def _check_kind(source: str, folder: Path, settings: JSON) -> None:
    """Refuse another type than LoRA, biases, and initialisations that change the base."""
    for key, found, expected, remedy in (
        ("peft_type", settings.get("peft_type", "LORA"), "LORA", "use a LoRA adapter"),
        ("bias", settings.get("bias", "none"), "none", "save one without biases"),
    ):
        if found != expected:
            raise UserError(f"{source} {folder}: its {key} is {found}, not {expected}: {remedy}")
    start = str(settings.get("init_lora_weights", True)).lower()
    if start.startswith(CHANGES_BASE):
        raise UserError(
            f"{source} {folder}: its init_lora_weights is {start}, which changes the weights of "
            "the base: convert it (path_initial_model_for_weight_conversion of PEFT's "
            "save_pretrained)"
        )
