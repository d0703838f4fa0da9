"""The manifest of a dataset: a list of its shards that is written last and makes it exist."""

import hashlib
import json
import re
from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_core import from_json

from physrl.config.base import Section
from physrl.config.dataset import DatasetPlan
from physrl.environments.version import GENERATOR_VERSION
from physrl.errors import DataError

MANIFEST = "manifest.json"
FORMAT = "physrl-dataset-2"
"""Format of the manifest and the columns."""
NAME_DIGITS = 16
"""Number of hash digits at the end of a shard's file name."""


class Shard(Section):
    """A Parquet file of a dataset."""

    file: str
    """Key of the file, which ends with the first digits of its hash."""
    scenes: int
    """Number of rows."""
    bytes: int
    """File size."""
    sha256: str
    """SHA-256 of the file."""


class Counts(Section):
    """Totals of a dataset."""

    scenes: int
    """Rows of all shards."""
    shards: int
    """Number of shards."""
    bytes: int
    """Size of all shards."""


class Manifest(Section):
    """The description of a complete dataset."""

    format: str
    """Layout of files and columns."""
    generator_version: int
    """Version of the scene generator and renderers, `GENERATOR_VERSION`."""
    environment_sha256: str
    """SHA-256 of the plan's environment settings."""
    plan: DatasetPlan
    """Resolved configuration."""
    counts: Counts
    """Totals of the dataset."""
    shards: tuple[Shard, ...]
    """Shards in the order of their scenes."""


def make_manifest(plan: DatasetPlan, shards: list[Shard]) -> bytes:
    """Make the manifest of a plan from its complete shards, as JSON."""
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
    """Parse and validate a manifest.

    Raises:
        DataError: it is damaged, inconsistent, or of another format or generator version.
    """
    try:
        tree = from_json(data)
        form, version = tree["format"], tree["generator_version"]
    except (ValueError, KeyError, TypeError):
        raise DataError(
            f"dataset {location}: {MANIFEST} is not a valid manifest: delete it and collect again"
        ) from None
    if (form, version) != (FORMAT, GENERATOR_VERSION):
        raise DataError(
            f"dataset {location} has format {form} and generator version {version}, but this "
            f"version of physrl needs {FORMAT} and {GENERATOR_VERSION}: collect it again"
        )
    try:
        manifest = Manifest.model_validate(tree)
        invalid = _inconsistent_key(manifest)
    except ValidationError as error:
        invalid = ".".join(map(str, error.errors()[0]["loc"]))
    if invalid is not None:
        raise DataError(
            f"dataset {location}: '{invalid}' in {MANIFEST} is invalid: delete it and collect again"
        )
    return manifest


def plan_hash(plan: DatasetPlan) -> str:
    """Hash the identity of a dataset: its plan, the format and the generator version."""
    settings = plan.model_dump(mode="json")
    identity = {"format": FORMAT, "generator_version": GENERATOR_VERSION, "plan": settings}
    return _sha256(json.dumps(identity, sort_keys=True).encode())


def describe_shard(plan: DatasetPlan, number: int, data: bytes) -> Shard:
    """Make the manifest entry of a shard from its bytes."""
    digest = _sha256(data)
    return Shard(
        file=_file(plan, number, digest),
        scenes=len(plan.indices(number)),
        bytes=len(data),
        sha256=digest,
    )


def find_shards(plan: DatasetPlan, keys: list[str]) -> dict[int, list[str]]:
    """Select the keys that have the file name of a shard of a plan, by shard number."""
    pattern = re.compile(
        rf"data/{plan.split}-(\d{{5}})-of-{plan.shards:05d}-[0-9a-f]{{{NAME_DIGITS}}}\.parquet"
    )
    found: dict[int, list[str]] = {}
    for key in keys:
        match = pattern.fullmatch(key)
        if match is not None:
            found.setdefault(int(match[1]), []).append(key)
    return found


def _inconsistent_key(manifest: Manifest) -> str | None:
    """Return the first key that disagrees with the plan or the other keys, if any."""
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
    # The file name pattern that the `datasets` library looks for first in a folder.
    stem = f"data/{plan.split}-{number:05d}-of-{plan.shards:05d}"
    return f"{stem}-{digest[:NAME_DIGITS]}.parquet"


def _environment_hash(plan: DatasetPlan) -> str:
    return _sha256(plan.environment.model_dump_json().encode())


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
