"""The folder of a run, with the configuration and provenance that repeat it."""

from pathlib import Path

from physrl.config import RunConfig
from physrl.config.load import dump_yaml
from physrl.errors import ConfigError, MissingObjectError
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
