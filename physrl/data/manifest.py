"""What a dataset consists of: a file that is written last, and without which there is none."""

import hashlib
import json
import re

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
    counts = Counts(
        scenes=sum(shard.scenes for shard in shards),
        shards=len(shards),
        bytes=sum(shard.bytes for shard in shards),
    )
    manifest = Manifest(
        format=FORMAT,
        generator_version=GENERATOR_VERSION,
        environment_sha256=_sha256(plan.environment.model_dump_json().encode()),
        plan=plan,
        counts=counts,
        shards=tuple(shards),
    )
    return (manifest.model_dump_json(indent=1) + "\n").encode()


def read_manifest(data: bytes, location: str) -> Manifest:
    """A manifest that this version understands.

    Raises:
        DataError: it is damaged, or of another format or generator version.
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
        return Manifest.model_validate(tree)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise DataError(
            f"dataset {location}: {MANIFEST} has no valid '{where}': delete it and collect again"
        ) from None


def plan_hash(plan: DatasetPlan) -> str:
    """What a shard says that it belongs to: the plan, the format and the generator's version."""
    settings = plan.model_dump(mode="json")
    identity = {"format": FORMAT, "generator_version": GENERATOR_VERSION, "plan": settings}
    return _sha256(json.dumps(identity, sort_keys=True).encode())


def describe_shard(plan: DatasetPlan, number: int, data: bytes) -> Shard:
    """The manifest's entry for a shard's bytes."""
    digest = _sha256(data)
    return Shard(
        file=f"{_stem(plan, number)}-{digest[:NAME_DIGITS]}.parquet",
        scenes=len(plan.indices(number)),
        bytes=len(data),
        sha256=digest,
    )


def find_shards(plan: DatasetPlan, keys: list[str]) -> dict[int, str]:
    """The keys that are named as shards of a plan, by number."""
    name = re.compile(
        rf"data/{plan.split}-(\d{{5}})-of-{plan.shards:05d}-[0-9a-f]{{{NAME_DIGITS}}}\.parquet"
    )
    found = {}
    for key in keys:
        match = name.fullmatch(key)
        if match is not None:
            found[int(match[1])] = key
    return found


def _stem(plan: DatasetPlan, number: int) -> str:
    # The form that the `datasets` library looks for first in a folder.
    return f"data/{plan.split}-{number:05d}-of-{plan.shards:05d}"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
