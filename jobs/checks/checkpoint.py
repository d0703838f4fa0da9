"""Checks of the model checkpoint that a run starts from, without loading it."""

from importlib.util import find_spec
from pathlib import Path

from pydantic_core import from_json

from physrl.config.model import MODEL_TYPES, ModelConfig
from physrl.errors import UserError, boundary


def check_quantization(model: ModelConfig) -> None:
    """Refuse a quantized model where bitsandbytes is not installed.

    Raises:
        UserError: names the package.
    """
    if model.quantization is not None and find_spec("bitsandbytes") is None:
        raise UserError(
            f"model.quantization is {model.quantization} but bitsandbytes is not installed: "
            "pip install bitsandbytes, or set model.quantization=null"
        )


def check_model(key: str, path: str, model: ModelConfig) -> None:
    """Refuse a checkpoint, in a folder or on the Hugging Face hub, that is missing or unsupported.

    Args:
        key: the configuration key or option that holds `path`, for the message.

    Raises:
        UserError: names the key and its value.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        if _looks_local(path):
            raise UserError(f"{key} is {path}: no such folder; name one that exists")
        folder = _download_config(key, path, model.revision).parent
    _check_checkpoint(f"{key} is {path}", folder, model)


def check_plain_weights(key: str, path: str) -> None:
    """Refuse a checkpoint whose weights are stored quantized, which nothing can be added to.

    Args:
        path: a checkpoint that `check_model` accepts.

    Raises:
        UserError: names the key, its value and the method.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        folder = _download_config(key, path, None).parent
    settings = from_json((folder / "config.json").read_bytes()).get("quantization_config")
    if settings is not None:
        method = settings.get("quant_method") if isinstance(settings, dict) else None
        raise UserError(
            f"{key} is {path}, whose weights are quantized ({method or 'by its config.json'}): "
            "name the plain weights that they were made from"
        )


def _check_checkpoint(named: str, folder: Path, model: ModelConfig) -> None:
    try:
        settings = from_json((folder / "config.json").read_bytes())
        family = settings["model_type"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(
            f"{named}: not a checkpoint: the folder holds no config.json with a model_type; name "
            "the folder of a saved model"
        ) from None
    if family not in MODEL_TYPES:
        raise UserError(
            f"{named}: model_type {family} is not supported; choose {' or '.join(MODEL_TYPES)}"
        )
    with boundary(UserError, f"{named}: its config.json is damaged", "replace it"):
        text = settings.get("text_config") or settings
        rope = text.get("rope_parameters") or text.get("rope_scaling") or {}
        interleaved, longest = rope.get("mrope_interleaved"), text.get("max_position_embeddings")
        longest = None if longest is None else int(longest)
    if family == "qwen3_vl" and not interleaved:
        raise UserError(
            f"{named}: text_config.rope_parameters.mrope_interleaved is not set in its "
            "config.json, so vLLM's token positions would differ from the learner's: set it to true"
        )
    tokens = model.max_prompt_tokens + model.max_completion_tokens
    if longest is not None and tokens > longest:
        raise UserError(
            f"{named}: its context length is {longest} tokens, but model.max_prompt_tokens + "
            f"model.max_completion_tokens = {model.max_prompt_tokens} + "
            f"{model.max_completion_tokens} = {tokens}: lower one of them"
        )


def _looks_local(path: str) -> bool:
    """Return whether a path that does not exist looks like a folder, not a hub's `owner/name`."""
    return path.startswith(("/", ".", "~")) or path.count("/") != 1 or Path(path).parent.is_dir()


def _download_config(key: str, name: str, revision: str | None) -> Path:
    """Fetch the config.json of a model on the hub, which loading the model needs first."""
    from huggingface_hub import hf_hub_download, logging
    from huggingface_hub.errors import HfHubHTTPError

    logging.set_verbosity_error()  # hides the message of each retry
    try:
        return Path(hf_hub_download(name, "config.json", revision=revision))
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise UserError(
            f"{key} is {name}: no such folder, and the download from the hub failed "
            f"({type(error).__name__}); check the name, model.revision, the network and "
            "HF_HUB_OFFLINE"
        ) from None
