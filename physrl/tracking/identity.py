"""Under which name and number a tracker knows a run, so that a resumed run is the same one."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from physrl.config.run import RunConfig
from physrl.errors import DataError

FILE = "tracking.json"


@dataclass(frozen=True, slots=True)
class Identity:
    """Kept in the run's folder."""

    title: str
    """What a person sees: the run's name, after that of the run that it is a part of."""
    id: str
    """Holds the run's name and differs between runs, also from a deleted one of the same name."""


def identity(config: RunConfig) -> Identity:
    """That of the run, made when it is first asked for.

    Raises:
        DataError: the file is damaged or cannot be written.
    """
    path = config.folder / FILE
    try:
        if not path.exists():
            _write(path, f"{config.name}-{secrets.token_hex(4)}")
        number = str(json.loads(path.read_bytes())["id"])
    except OSError as error:
        raise DataError(
            f"{path} cannot be written: {error.strerror or error}: set output= to another folder"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{path} is damaged: remove the file; trackers show a new run") from None
    outer = config.output
    part_of = f"{outer.name}/" if (outer / "config.yaml").exists() else ""
    return Identity(f"{part_of}{config.name}", number)


def _write(path: Path, number: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}")
    partial.write_text(json.dumps({"id": number}))
    partial.replace(path)
