"""The provenance of a run: versions of code and packages, noted as comments in its config.yaml."""

import hashlib
import re
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import physrl

PACKAGES = (
    "deepspeed", "numpy", "peft", "physrl", "pybullet", "ray", "torch", "transformers", "vllm"
)  # fmt: skip
SCENE_SOURCES = ("environments", "tasks")
"""Packages of physrl whose source decides the scenes."""
SCENE_GENERATOR = "scene generator"
"""Name of the hash of the scene generator's sources among the versions."""
_WORKING_DIRECTORY = "working directory"
_CONTENT = "content of "


def versions() -> dict[str, str]:
    """Collect the versions that a run's results depend on: code, scene generator and packages.

    Leaves out the git commit and packages that are not present.
    """
    found = {SCENE_GENERATOR: scene_generator_hash()}
    commit = _git_commit()
    if commit is not None:
        found["git commit"] = commit
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def scene_generator_hash() -> str:
    """Compute the SHA-256 of the source files that decide the scenes."""
    digest = hashlib.sha256()
    package = Path(physrl.__file__).parent
    for name in SCENE_SOURCES:
        for file in sorted((package / name).glob("*.py")):
            source = file.read_bytes()
            digest.update(f"{name}/{file.name} {len(source)}\n".encode())
            digest.update(source)
    return digest.hexdigest()


def provenance_comments(contents: Mapping[str, str]) -> str:
    """Write versions, working directory and digests of the inputs as YAML comments, a line each.

    Args:
        contents: digests of what the run reads, by configuration key.
    """
    facts = versions() | {_WORKING_DIRECTORY: str(Path.cwd())}
    facts |= {f"{_CONTENT}{key}": digest for key, digest in contents.items()}
    return "".join(f"# {name}: {fact}\n" for name, fact in facts.items())


def working_directory(text: str) -> Path | None:
    """Read the directory that a run was started in from its config.yaml; None if not noted."""
    found = re.search(f"^# {_WORKING_DIRECTORY}: (.+)$", text, re.MULTILINE)
    return None if found is None else Path(found[1])


def noted_contents(text: str) -> dict[str, str]:
    """Read the digests of a run's inputs, by configuration key, from its config.yaml."""
    return dict(re.findall(f"^# {_CONTENT}(\\S+): ([0-9a-f]{{64}})$", text, re.MULTILINE))


def has_same_scenes(text: str) -> bool:
    """Return whether the scene generator that a config.yaml notes is the present one."""
    return f"# {SCENE_GENERATOR}: {scene_generator_hash()}" in text


def _git_commit() -> str | None:
    folder = Path(physrl.__file__).parent
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return _image_commit(folder.parent)


def _image_commit(folder: Path) -> str | None:
    """Read the commit that an image was built from."""
    try:
        found = (folder / "REVISION").read_text().strip()
    except OSError:
        return None
    return found if re.fullmatch("[0-9a-f]{40}", found) else None
