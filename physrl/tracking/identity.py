"""The identity of a run in trackers, which a resumed run keeps."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from pydantic_core import from_json

from physrl.config.run import RunConfig
from physrl.errors import DataError

FILE = "tracking.json"


@dataclass(frozen=True, slots=True)
class Identity:
    """A run's title and id in trackers, saved in the run's folder."""

    title: str
    """Displayed name: the run's name, after that of the enclosing run if there is one."""
    id: str
    """Unique id with the run's name, which a new run of a deleted run's name does not repeat."""


def identity(config: RunConfig) -> Identity:
    """Read the run's identity, or create it the first time.

    Raises:
        DataError: the file is damaged or cannot be written.
    """
    path = config.folder / FILE
    try:
        if not path.exists():
            _write(path, f"{config.name}-{secrets.token_hex(4)}")
        run_id = str(from_json(path.read_bytes())["id"])
    except OSError as error:
        raise DataError(
            f"{path} cannot be written: {error.strerror or error}: set output= to another folder"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{path} is damaged: delete it, and trackers start a new run") from None
    outer = config.output
    prefix = f"{outer.name}/" if (outer / "config.yaml").exists() else ""
    return Identity(f"{prefix}{config.name}", run_id)


def _write(path: Path, run_id: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}")
    partial.write_text(json.dumps({"id": run_id}))
    partial.replace(path)
