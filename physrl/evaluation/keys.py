"""Content keys of results: the SHA-256 of all inputs that determine a result."""

import hashlib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_core import to_jsonable_python

from physrl.config.model import ModelConfig
from physrl.config.run import RunConfig
from physrl.storage.contents import dataset_content, files_content, questions_content
from physrl.storage.provenance import scene_generator_hash

if TYPE_CHECKING:
    from physrl.data.photos import Photo  # pyarrow, which keys do not need

IRRELEVANT = {"name", "output", "evaluation", "checkpoint", "runtime"}
"""Sections of a run that do not affect its weights: placement, outputs and monitoring."""

_scene_hash = cache(scene_generator_hash)


def content_key(**content: Any) -> str:
    """Hash records or plain values together with the sources of the scene generator."""
    inputs = to_jsonable_python(content) | {"scene_generator": _scene_hash()}
    text = json.dumps(inputs, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def run_content(config: RunConfig) -> dict[str, Any]:
    """Collect the settings of a run that determine its final weights."""
    tree = config.model_dump(mode="json", exclude=IRRELEVANT)
    data = None if config.dataset is None else dataset_content(config.dataset) or config.dataset
    if config.questions is not None:
        data = questions_content(config.questions)
    return tree | {"model": model_content(config.model), "data": data}


def model_content(model: ModelConfig) -> dict[str, Any]:
    """Collect a model's settings, with digests of its folders in place of their paths."""
    tree = model.model_dump(mode="json")
    folders = {
        name: files_content(Path(path)) or path
        for name in ("path", "adapter")
        if (path := tree[name]) is not None
    }
    return tree | folders


def photos_content(photos: "Sequence[Photo]") -> str:
    """Compute the digest of photographs and their labels, in order."""
    digest = hashlib.sha256()
    for photo in photos:
        digest.update(f"{photo.file} {photo.falls} {photo.image.shape}\n".encode())
        digest.update(photo.image.tobytes())
    return digest.hexdigest()
