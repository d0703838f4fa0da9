"""Checkpoint manifests: the size and SHA-256 of every file."""

import hashlib
import json
import os
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import ConfigDict, Field, NonNegativeInt, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from physrl.errors import CheckpointError
from physrl.types import JSON

MANIFEST = "MANIFEST.json"
STATE = "state.json"


@with_config(ConfigDict(strict=True, extra="forbid"))
class _Entry(TypedDict):
    """The entry of a file."""

    size: NonNegativeInt
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


@with_config(ConfigDict(extra="forbid"))
class _Manifest(TypedDict):
    """A manifest: nothing in it is trusted before it is validated."""

    files: dict[str, _Entry]


_ADAPTER = TypeAdapter(_Manifest)


def verify(path: Path) -> None:
    """Check every file of a checkpoint against its manifest.

    Raises:
        CheckpointError: a file is missing, damaged, unreadable or not in the manifest.
    """
    files = read_manifest(path)
    present = {str(file.relative_to(path)) for file in _files(path)}
    for name in sorted(present | files.keys()):
        if name not in present:
            raise CheckpointError(f"checkpoint {path} is incomplete: {name} is missing")
        if name not in files:
            raise CheckpointError(f"checkpoint {path} is damaged: {name} is not in its manifest")
        try:
            intact = file_entry(path / name) == files[name]
        except OSError as error:
            raise CheckpointError(f"checkpoint {path}: {name} cannot be read: {error}") from None
        if not intact:
            raise CheckpointError(
                f"checkpoint {path} is damaged: {name} differs from its manifest; remove the folder"
            )


def file_entry(file: Path) -> JSON:
    """Compute a file's entry in a manifest: its size in bytes and SHA-256."""
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"size": file.stat().st_size, "sha256": digest}


def write_manifest(folder: Path) -> None:
    """Write the manifest of a folder, and flush every file in it to the disk."""
    files = _files(folder)
    for file in files:
        sync_file(file)
    manifest = {str(file.relative_to(folder)): file_entry(file) for file in files}
    (folder / MANIFEST).write_text(json.dumps({"files": manifest}, indent=1))
    sync_file(folder / MANIFEST)
    sync_folder(folder)


def read_manifest(path: Path) -> dict[str, JSON]:
    """Read the entries of a checkpoint's manifest by file name.

    Raises:
        CheckpointError: the manifest is missing or damaged.
    """
    try:
        data = (path / MANIFEST).read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"checkpoint {path} is incomplete: {MANIFEST} is missing") from None
    except OSError:
        raise CheckpointError(f"checkpoint {path} is damaged: {MANIFEST} cannot be read") from None
    return parse_manifest(data, str(path))


def parse_manifest(data: bytes, path: str) -> dict[str, JSON]:
    """Parse a manifest into its entries by file name, none of which leads out of the checkpoint.

    Args:
        data: the manifest's content.
        path: the checkpoint's path, for messages.

    Raises:
        CheckpointError: it is not a valid manifest.
    """
    try:
        files = _ADAPTER.validate_json(data)["files"]
    except ValidationError:
        raise CheckpointError(f"checkpoint {path} is damaged: {MANIFEST} cannot be read") from None
    if STATE not in files:
        raise CheckpointError(f"checkpoint {path} is damaged: {MANIFEST} does not list {STATE}")
    for name in files:
        if not stays_inside(name):
            raise CheckpointError(f"checkpoint {path} is damaged: {MANIFEST} lists '{name}'")
    return {name: dict(entry) for name, entry in files.items()}


def stays_inside(name: str) -> bool:
    """Return whether an untrusted file name can be printed and stays inside its folder."""
    path = PurePosixPath(name)
    unsafe = {".", ".."} & {name, *path.parts} or not name.isprintable()
    return str(path) == name and not path.is_absolute() and not unsafe


def sync_file(file: Path) -> None:
    """Flush a file to the disk."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """Flush a folder's list of files to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _files(folder: Path) -> list[Path]:
    """List every file under a checkpoint's folder except its manifest."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in files if path != folder / MANIFEST)
