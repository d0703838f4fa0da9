"""Keys of results: SHA-256 of what decides them, so that equal content has equal keys."""

import hashlib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from physrl.config.model import ModelConfig
from physrl.config.run import RunConfig
from physrl.data.photos import Photo
from physrl.storage.provenance import scene_generator_hash

NOT_DECIDING = {"name", "output", "evaluation", "checkpoint", "runtime"}
"""Where a run computes, what it keeps and how it is watched: not what it learns."""
SAMPLED = 1 << 20
"""Bytes at either end of a checkpoint's file that are read: weights of gigabytes are told apart by
those and their size."""

_scenes = cache(scene_generator_hash)


def content_key(**content: Any) -> str:
    """SHA-256 of the canonical JSON of plain values, and of the sources that decide the scenes."""
    deciding = content | {"scene_generator": _scenes()}
    text = json.dumps(deciding, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def run_content(config: RunConfig) -> dict[str, Any]:
    """What of a run decides the weights that it ends with."""
    tree = config.model_dump(mode="json", exclude=NOT_DECIDING)
    return tree | {"model": model_content(config.model)}


def model_content(model: ModelConfig) -> dict[str, Any]:
    """A model's settings, with what its folders hold in the place of their paths."""
    tree = model.model_dump(mode="json")
    folders = {
        name: checkpoint_content(path)
        for name in ("path", "adapter")
        if (path := tree[name]) is not None
    }
    return tree | folders


def checkpoint_content(path: str) -> str:
    """A digest of a folder's files; the name itself of what is on the hub."""
    folder = Path(path)
    if not folder.is_dir():
        return path
    digest = hashlib.sha256()
    for file in sorted(each for each in folder.rglob("*") if each.is_file()):
        size = file.stat().st_size
        digest.update(f"{file.relative_to(folder).as_posix()} {size}\n".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(SAMPLED))
            if size > SAMPLED:
                stream.seek(max(SAMPLED, size - SAMPLED))
                digest.update(stream.read())
    return digest.hexdigest()


def photos_content(photos: Sequence[Photo]) -> str:
    """A digest of the photographs and their labels, in their order."""
    digest = hashlib.sha256()
    for photo in photos:
        digest.update(f"{photo.file} {photo.falls} {photo.image.shape}\n".encode())
        digest.update(photo.image.tobytes())
    return digest.hexdigest()
