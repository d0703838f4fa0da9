"""Distributions that tests make up, found like installed ones by whoever has them on the path."""

from collections.abc import Mapping
from pathlib import Path


def write_distribution(
    folder: Path, name: str, entries: Mapping[str, str], modules: Mapping[str, str] | None = None
) -> None:
    """Write the metadata and modules of a distribution.

    Args:
        entries: `group:name` to `module:attribute`.
        modules: File names and sources.
    """
    lines = []
    for key, reference in entries.items():
        group, _, entry = key.partition(":")
        lines.append(f"[{group}]\n{entry} = {reference}\n")
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("".join(lines))
    for file, source in (modules or {}).items():
        (folder / file).write_text(source)
