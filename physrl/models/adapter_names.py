"""Names of an adapter's weights: those of older transformers and PEFT versions are mapped.

Qwen2-VL and Qwen2.5-VL checkpoints named their parts `visual...` and `model.layers...` at first,
then `model.visual...` and `model.language_model.layers...`; PEFT's files had the adapter's name in
each key at first. A file is renamed in its header, without reading the weights.
"""

import json
import re

from physrl.json_text import parse_object

PREFIX = "base_model.model."
_KEY = re.compile(r"(?:.*\.)?(?:(visual)\.|(?:language_model\.(?:model\.)?|model\.)layers\.)(.+)")
_WEIGHT = re.compile(r"(.+\.lora_[AB])(?:\.\w+)?\.weight")


def module_name(name: str) -> str:
    """Return the present name of a layer; an unknown one is returned unchanged."""
    found = _KEY.fullmatch(name.removeprefix(PREFIX))
    if found is None:
        return name
    return f"model.visual.{found[2]}" if found[1] else f"model.language_model.layers.{found[2]}"


def weight_name(key: str) -> str:
    """Return the present key of an adapter's weight; an unknown one is returned unchanged."""
    found = _WEIGHT.fullmatch(key)
    return key if found is None else f"{PREFIX}{module_name(found[1])}.weight"


def renamed(data: bytes) -> bytes:
    """Return a safetensors file with the present keys.

    Raises:
        ValueError: the header is damaged, or two keys mean the same weight.
    """
    length = int.from_bytes(data[:8], "little")
    header = parse_object(data[8 : 8 + length])
    names = {key: key if key == "__metadata__" else weight_name(key) for key in header}
    if len(set(names.values())) < len(names):
        raise ValueError("two keys mean the same weight")
    text = json.dumps({names[key]: value for key, value in header.items()}).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[8 + length :]
