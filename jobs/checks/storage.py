"""Checks of the places a run writes to: its folder and its storage."""

import tempfile
from pathlib import Path
from uuid import uuid4

from physrl.errors import UserError


def check_storage(location: str) -> None:
    """Refuse storage that is missing, forbidden, or without conditional writes.

    Without them two processes could both take one run.

    Raises:
        UserError: names the location and the remedy.
    """
    from physrl.storage.object_store import open_store

    store, probe = open_store(location), f".probe-{uuid4().hex}"
    store.check()
    try:
        conditional = store.create(probe, b"") and not store.create(probe, b"")
    finally:
        store.delete(probe)
    if not conditional:
        raise UserError(
            f"storage is {location}: its server ignores conditional writes (If-None-Match), so "
            "two processes could damage one run: choose storage that supports them"
        )


def check_writable(folder: Path) -> None:
    """Refuse an output folder that cannot be made or written.

    Raises:
        UserError: names the folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"output folder {folder} cannot be written ({error.strerror}): set output=FOLDER to "
            "another one"
        ) from None
