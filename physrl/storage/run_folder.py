"""The folder of a run, with the configuration and provenance that repeat it."""

from pathlib import Path

from physrl.config import RunConfig
from physrl.config.load import dump_yaml, parse_config
from physrl.errors import ConfigError, MissingObjectError
from physrl.metrics.lines import FILE as METRICS
from physrl.storage.checkpoints import FOLDER as CHECKPOINTS
from physrl.storage.contents import input_contents
from physrl.storage.object_store import ObjectStore, open_store
from physrl.storage.provenance import provenance_comments
from physrl.storage.restore import restore
from physrl.storage.resume import check_resumable
from physrl.storage.run_files import CONFIG


def open_run(config: RunConfig, *, resume: bool) -> Path:
    """Create or open the run's folder, write its config.yaml, and return it.

    With `storage`, also claims the run's name there, or restores a stored run that is newer than
    the folder.

    Args:
        resume: resume an existing run; start one if it does not exist.

    Raises:
        ConfigError: the folder cannot be written, or folder or storage hold a run and `resume` is
            false, or one with another configuration.
        StorageError: the storage cannot be read or written.
    """
    folder = config.folder
    store = None if config.stored is None else open_store(config.stored)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / CONFIG).exists():
            check_resumable(config, str(folder), (folder / CONFIG).read_text(), resume)
        if store is not None:
            _restore_stored(config, store, resume)
        started = (folder / CONFIG).exists()
        text = (folder / CONFIG).read_text() if started else _new_text(config)
        if store is not None:
            _claim_name(config, store, text, resume)
        if not started:
            partial = folder / f".{CONFIG}"
            partial.write_text(text)
            partial.replace(folder / CONFIG)
    except OSError as error:
        raise ConfigError(
            f"output folder {folder} cannot be written: {error.strerror or error}: "
            "set output= to another folder"
        ) from None
    return folder


def holds_run(config: RunConfig) -> bool:
    """Return whether the run's folder or its storage holds a run.

    Raises:
        StorageError: the storage cannot be read.
    """
    if (config.folder / CONFIG).exists():
        return True
    return config.stored is not None and open_store(config.stored).size(CONFIG) is not None


def has_trained(folder: Path) -> bool:
    """Return whether a run has trained a step, of its warm start or of itself."""
    return any(folder.rglob(METRICS)) or any(folder.rglob(f"{CHECKPOINTS}/step-*"))


def abandon(config: RunConfig) -> bool:
    """Free the name of a run that has not trained a step, and return whether it has not.

    Its measurements stay, since they name what they measured.
    """
    if has_trained(config.folder):
        return False
    if config.stored is not None:
        store = open_store(config.stored)
        keys = store.keys()
        if any(key.rpartition("/")[2] == METRICS or f"{CHECKPOINTS}/" in key for key in keys):
            return False
        for key in keys:
            if key.rpartition("/")[2] == CONFIG:
                store.delete(key)
    for file in config.folder.rglob(CONFIG):
        file.unlink(missing_ok=True)
    return True


def extend_run(folder: Path, steps: int) -> RunConfig:
    """Set a run's number of steps to a larger one, and return its configuration.

    The learning rate follows the schedule of the longer run from the next step on.

    Raises:
        ConfigError: the folder holds no run, or one of as many steps.
    """
    file = folder / CONFIG
    if not file.is_file():
        raise ConfigError(f"nothing to extend in {folder}: name the folder of a run")
    text = file.read_text()
    places = {"output": folder.resolve().parent, "name": folder.resolve().name}
    old = parse_config(text, str(file)).model_copy(update=places)
    if steps <= old.algorithm.steps:
        raise ConfigError(
            f"steps is {steps}, but {folder} is a run of {old.algorithm.steps} steps: name more"
        )
    changes = {"steps": steps}
    if not old.algorithm.uses_rollouts and old.algorithm.epochs > 1:
        each = old.algorithm.steps_per_epoch
        if steps % each:
            raise ConfigError(
                f"steps is {steps}, but an epoch of {folder} has {each}: name a multiple of it"
            )
        changes["epochs"] = steps // each
    algorithm = old.algorithm.model_copy(update=changes)
    config = old.model_copy(update={"algorithm": algorithm})
    comments = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))
    partial = folder / f".{CONFIG}"
    partial.write_text(comments + dump_yaml(config))
    partial.replace(file)
    if config.stored is not None:
        open_store(config.stored).put(CONFIG, file.read_bytes())
    return config


def _new_text(config: RunConfig) -> str:
    """Write a run's config.yaml; comments keep it a configuration that can be run again."""
    return provenance_comments(input_contents(config)) + dump_yaml(config)


def _restore_stored(config: RunConfig, store: ObjectStore, resume: bool) -> None:
    try:
        text = store.get(CONFIG).decode()
    except MissingObjectError:
        return
    except UnicodeDecodeError:
        text = "unreadable"
    check_resumable(config, store.location, text, resume)
    restore(store, config.folder)


def _claim_name(config: RunConfig, store: ObjectStore, text: str, resume: bool) -> None:
    """Write config.yaml to storage; of two runs that start at once, one is refused."""
    if not store.create(CONFIG, text.encode()):
        check_resumable(config, store.location, store.get(CONFIG).decode(), resume)
