"""What a dataset consists of: a file that is written last, and without which there is none."""

import hashlib
import json
import re
from collections.abc import Sequence

from pydantic import ValidationError

from physrl.config.base import Section
from physrl.config.dataset import DatasetPlan
from physrl.environments.version import GENERATOR_VERSION
from physrl.errors import DataError

MANIFEST = "manifest.json"
FORMAT = "physrl-dataset-1"
"""Of the manifest and the columns."""
NAME_DIGITS = 16
"""Digits of a shard's hash that its name ends with."""


class Shard(Section):
    """One Parquet file."""

    file: str
    """Its key; ends with the first digits of its hash."""
    scenes: int
    """Its rows."""
    bytes: int
    """Its size."""
    sha256: str
    """Of its bytes."""


class Counts(Section):
    """How much there is."""

    scenes: int
    """Rows of all shards."""
    shards: int
    """Files."""
    bytes: int
    """Of all shards."""


class Manifest(Section):
    """A whole dataset."""

    format: str
    """How files and columns are laid out."""
    generator_version: int
    """Which scenes and pictures the plan's indices mean."""
    environment_sha256: str
    """Of the plan's environment."""
    plan: DatasetPlan
    """The resolved configuration."""
    counts: Counts
    """How much there is."""
    shards: tuple[Shard, ...]
    """In the scenes' order."""


def make_manifest(plan: DatasetPlan, shards: list[Shard]) -> bytes:
    """The manifest of a plan whose shards are all there: JSON."""
    manifest = Manifest(
        format=FORMAT,
        generator_version=GENERATOR_VERSION,
        environment_sha256=_environment_hash(plan),
        plan=plan,
        counts=_count(shards),
        shards=tuple(shards),
    )
    return (manifest.model_dump_json(indent=1) + "\n").encode()


def read_manifest(data: bytes, location: str) -> Manifest:
    """A manifest that this version understands.

    Raises:
        DataError: it is damaged, contradicts itself, or is of another format or generator version.
    """
    try:
        tree = json.loads(data)
        found, version = tree["format"], tree["generator_version"]
    except (ValueError, KeyError, TypeError):
        raise DataError(
            f"dataset {location}: {MANIFEST} is no manifest: delete it and collect again"
        ) from None
    if (found, version) != (FORMAT, GENERATOR_VERSION):
        raise DataError(
            f"dataset {location} is of format {found} and generator version {version}, this "
            f"program of {FORMAT} and {GENERATOR_VERSION}: its scenes would differ; collect anew"
        )
    try:
        manifest = Manifest.model_validate(tree)
        wrong = _contradiction(manifest)
    except ValidationError as error:
        wrong = ".".join(map(str, error.errors()[0]["loc"]))
    if wrong is not None:
        raise DataError(
            f"dataset {location}: {MANIFEST} has no valid '{wrong}': delete it and collect again"
        )
    return manifest


def plan_hash(plan: DatasetPlan) -> str:
    """What a shard says that it belongs to: the plan, the format and the generator's version."""
    settings = plan.model_dump(mode="json")
    identity = {"format": FORMAT, "generator_version": GENERATOR_VERSION, "plan": settings}
    return _sha256(json.dumps(identity, sort_keys=True).encode())


def describe_shard(plan: DatasetPlan, number: int, data: bytes) -> Shard:
    """The manifest's entry for a shard's bytes."""
    digest = _sha256(data)
    return Shard(
        file=_file(plan, number, digest),
        scenes=len(plan.indices(number)),
        bytes=len(data),
        sha256=digest,
    )


def find_shards(plan: DatasetPlan, keys: list[str]) -> dict[int, list[str]]:
    """The keys that are named as shards of a plan, by number."""
    name = re.compile(
        rf"data/{plan.split}-(\d{{5}})-of-{plan.shards:05d}-[0-9a-f]{{{NAME_DIGITS}}}\.parquet"
    )
    found: dict[int, list[str]] = {}
    for key in keys:
        match = name.fullmatch(key)
        if match is not None:
            found.setdefault(int(match[1]), []).append(key)
    return found


def _contradiction(manifest: Manifest) -> str | None:
    """Which key is not what the plan and the other keys make it."""
    plan, shards = manifest.plan, manifest.shards
    if len(shards) != plan.shards:
        return "shards"
    for number, shard in enumerate(shards):
        if shard.file != _file(plan, number, shard.sha256):
            return f"shards.{number}.file"
        if shard.scenes != len(plan.indices(number)):
            return f"shards.{number}.scenes"
    if manifest.counts != _count(shards):
        return "counts"
    if manifest.environment_sha256 != _environment_hash(plan):
        return "environment_sha256"
    return None


def _count(shards: Sequence[Shard]) -> Counts:
    return Counts(
        scenes=sum(shard.scenes for shard in shards),
        shards=len(shards),
        bytes=sum(shard.bytes for shard in shards),
    )


def _file(plan: DatasetPlan, number: int, digest: str) -> str:
    # The form that the `datasets` library looks for first in a folder.
    stem = f"data/{plan.split}-{number:05d}-of-{plan.shards:05d}"
    return f"{stem}-{digest[:NAME_DIGITS]}.parquet"


def _environment_hash(plan: DatasetPlan) -> str:
    return _sha256(plan.environment.model_dump_json().encode())


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
