"""Download a checkpoint of a run, or of a study's trial, from storage; or list what is there.

python -m jobs.pull s3://bucket/runs/demo --step best
python -m jobs.pull s3://bucket/study --trial tiny-place-grpo-seed0
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from jobs.display.console import console
from jobs.display.loading import loading_lines
from jobs.display.progress import download_progress
from jobs.display.trial_table import show_trials
from physrl.config.location import parse_place
from physrl.errors import CheckpointError, MissingObjectError, StorageError
from physrl.evaluation.cells import find_cell_store
from physrl.evaluation.trial_runs import choose_trial
from physrl.storage.checkpoint_download import download
from physrl.storage.checkpoints import only_writer, step_name
from physrl.storage.manifest import read_manifest, verify
from physrl.storage.object_store import ObjectStore, open_store
from physrl.storage.run_files import CONFIG
from physrl.storage.stored_checkpoints import StoredCheckpoint, choose, list_checkpoints


@dataclass(frozen=True, slots=True)
class Fetched:
    """A downloaded checkpoint; the configuration of its run is in the folder above."""

    path: Path
    stored: StoredCheckpoint


def run(location: str, trial: str | None, which: str, out: Path | None) -> None:
    """Download one checkpoint, verify every file's hash, and print how to load it.

    Args, Raises: as `fetch`.
    """
    fetched = fetch(location, trial, which, out)
    path, stored = fetched.path, fetched.stored
    score = "" if stored.score is None else f", score {stored.score:.4g}"
    summary = f"checkpoint {path}: step {stored.step}{score}, {stored.size / 1e6:.1f} MB, verified"
    for line in [summary, *loading_lines(path, path.parent / CONFIG)]:
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def fetch(location: str, trial: str | None, which: str, out: Path | None) -> Fetched:
    """Download one checkpoint, unless it is there, and verify every file's hash.

    Args:
        location: a run in storage, `<storage>/<name>`, or the store of a study.
        trial: name or key of a study's trial.
        which: `latest`, `best`, or a step's number.
        out: the parent of the checkpoint's folder; by default a folder of the run's name.

    Raises:
        CheckpointError: the checkpoint does not exist or is damaged, or its folder holds another.
        DataError: the study has no such trial.
        StorageError: the storage cannot be read, or the folder cannot be written.
    """
    store = _open_run_store(location)
    study = find_cell_store(store.location)
    if study is not None:
        store = _open_run_store(choose_trial(study, trial))
    elif trial is not None:
        raise CheckpointError(f"{location} is not the store of a study: leave out --trial")
    stored = choose(list_checkpoints(store), which, store.location)
    parent = out or Path(store.location.rpartition("/")[2])
    path = parent / step_name(stored.step)
    if path.exists():
        _check_same(path, stored)
        console.print(f"{path} already exists and is complete", soft_wrap=True, highlight=False)
    else:
        _download(store, stored, parent)
    _download_config(store, parent)
    return Fetched(path, stored)


def show(location: str) -> None:
    """Print a table of a run's checkpoints in storage, or of a study's trials and theirs.

    Raises:
        CheckpointError: the run has none.
        StorageError: the storage cannot be read.
    """
    store = _open_run_store(location)
    study = find_cell_store(store.location)
    if study is None:
        _show_checkpoints(store)
    else:
        show_trials(study)


def _show_checkpoints(store: ObjectStore) -> None:
    checkpoints = list_checkpoints(store)
    if not checkpoints:
        choose(checkpoints, "latest", store.location)
    table = Table("step", "size", "score", "complete", title=store.location)
    for each in checkpoints:
        score = "" if each.score is None else f"{each.score:.4g}"
        size = f"{each.size / 1e6:.1f} MB" if each.files else ""
        complete = f"no: {each.problem}" if each.problem else "yes"
        table.add_row(str(each.step), size, score, complete)
    console.print(table)


def _open_run_store(location: str) -> ObjectStore:
    try:
        place = parse_place(location)
    except ValueError as error:
        raise StorageError(f"the run {error}") from None
    store = open_store(str(place))
    if place.bucket is not None:
        store.check()
    elif not Path(place.path).is_dir():
        raise StorageError(
            f"{location} is not a folder: name a run's folder, or s3://bucket/prefix/run"
        )
    return store


def _download(store: ObjectStore, stored: StoredCheckpoint, parent: Path) -> None:
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with only_writer(parent), download_progress() as progress:
            bar = progress.add_task(f"step {stored.step}", total=stored.size)
            download(store, stored, parent, lambda count: progress.advance(bar, count))
    except OSError as error:
        raise StorageError(
            f"{parent} cannot be written: {error.strerror or error}: choose another --out"
        ) from None


def _check_same(path: Path, stored: StoredCheckpoint) -> None:
    try:
        verify(path)
        same = read_manifest(path) == stored.files
    except CheckpointError:
        same = False
    if not same:
        raise CheckpointError(
            f"{path} already exists and is damaged or another checkpoint: choose another --out, or "
            "delete it"
        )


def _download_config(store: ObjectStore, parent: Path) -> None:
    if not (parent / CONFIG).exists():
        try:
            store.download(CONFIG, parent / CONFIG)
        except MissingObjectError:
            return


if __name__ == "__main__":
    from jobs.cli import main

    main(["pull", *sys.argv[1:]])
