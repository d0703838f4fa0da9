"""The configuration of a checkpoint's run, which lies beside it."""

from pathlib import Path

from jobs.display.loading import base_of
from physrl.config import RunConfig, load_config
from physrl.errors import DataError
from physrl.storage.run_files import CONFIG

PARENTS = 3
"""Folders above a checkpoint in which its run's configuration may be: that of a download, of a
`step-*` folder, and of the `model` or `adapter` in it."""


def find_config(folder: Path, overrides: list[str]) -> RunConfig:
    """Load the configuration of a checkpoint's run, which `physrl pull` wrote beside it.

    The base of an adapter becomes the model's path, unless an override names another.

    Raises:
        UserError: there is no configuration, or it is invalid.
    """
    found = config_file(folder)
    if found is None:
        parent = folder.absolute().parent
        raise DataError(
            f"neither {parent / CONFIG} nor {parent.parent / CONFIG} exists: name a folder that "
            "physrl pull wrote, or checkpoints/step-* of a run"
        )
    return load_beside(folder, found, overrides)


def config_file(folder: Path) -> Path | None:
    """Return the configuration of a checkpoint's run; None if there is none."""
    places = (parent / CONFIG for parent in list(folder.absolute().parents)[:PARENTS])
    return next((place for place in places if place.is_file()), None)


def load_beside(folder: Path, file: Path, overrides: list[str]) -> RunConfig:
    """Load a checkpoint's configuration; unless overridden, the run's folder is where the file is.

    Raises:
        ConfigError: it is invalid.
    """
    base = base_of(folder, file)
    config = load_config(file, [*([] if base is None else [f"model.path={base}"]), *overrides])
    places = {"output": file.parent.parent, "name": file.parent.name}
    given = {override.partition("=")[0] for override in overrides}
    return config.model_copy(update={key: places[key] for key in places.keys() - given})
