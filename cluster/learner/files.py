"""Files of a folder, as machines compare them before they exchange any."""

from pathlib import Path

PIECE_BYTES = 64 << 20
"""Bytes of a file that travel between machines at once."""


def sizes(folder: Path) -> dict[str, int]:
    """Return the sizes of a folder's files, by their paths in it."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in found}
