"""Bring a checkpoint of a run from storage, or list those that are there.

python -m jobs.pull s3://bucket/runs/demo --step best
"""

import json
import sys
from pathlib import Path

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from jobs.display.console import console
from physrl.config.location import absolute_unless_remote
from physrl.errors import CheckpointError, MissingObjectError, StorageError
from physrl.storage.checkpoints import only_writer, step_name
from physrl.storage.manifest import read_manifest, verify
from physrl.storage.object_store import S3, ObjectStore, open_store
from physrl.storage.run_files import CONFIG
from physrl.storage.run_folder import working_directory
from physrl.storage.stored_checkpoints import (
    StoredCheckpoint,
    choose,
    download,
    list_checkpoints,
)


def run(location: str, which: str, out: Path | None) -> None:
    """Download one checkpoint, hold every file against its hash, and say how to load it.

    Args:
        location: a run in storage, `<storage>/<name>`.
        which: `latest`, `best`, or a step's number.
        out: the folder that the checkpoint's own folder is put into; by default one of the run's
            name.

    Raises:
        CheckpointError: there is no such checkpoint, it is damaged, or another one is in its place.
        StorageError: the storage cannot be read, or the folder not be written.
    """
    store = _open(location)
    stored = choose(list_checkpoints(store), which, store.location)
    parent = out or Path(store.location.rpartition("/")[2])
    path = parent / step_name(stored.step)
    if path.exists():
        _check_same(path, stored)
        console.print(f"{path} is there already, and whole", soft_wrap=True, highlight=False)
    else:
        _download(store, stored, parent)
    _bring_config(store, parent)
    for line in describe(path, stored, parent / CONFIG):
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def show(location: str) -> None:
    """Print a table of a run's checkpoints in storage.

    Raises:
        CheckpointError: there are none.
        StorageError: the storage cannot be read.
    """
    store = _open(location)
    stored = list_checkpoints(store)
    if not stored:
        choose(stored, "latest", store.location)
    table = Table("step", "size", "score", "whole", title=store.location)
    for one in stored:
        score = "" if one.score is None else f"{one.score:.4g}"
        size = f"{one.size / 1e6:.1f} MB" if one.files else ""
        table.add_row(str(one.step), size, score, f"no: {one.problem}" if one.problem else "yes")
    console.print(table)


def describe(path: Path, stored: StoredCheckpoint, config: Path) -> list[str]:
    """What was brought, where it lies, and how it is loaded."""
    score = "" if stored.score is None else f", score {stored.score:.4g}"
    lines = [f"checkpoint {path}: step {stored.step}{score}, {stored.size / 1e6:.1f} MB, verified"]
    override = ""
    if (path / "adapter").is_dir():
        named = _base(path / "adapter")
        base = _from_here(named, config)
        override = "" if base == named else f" model.path={base}"
        lines += [
            f"adapter of {base}: {path / 'adapter'}",
            f"  base = AutoModelForImageTextToText.from_pretrained({base!r})",
            f"  model = PeftModel.from_pretrained(base, {str(path / 'adapter')!r})",
        ]
    if (path / "model").is_dir():
        lines += [
            f"model: {path / 'model'}",
            f"  model = AutoModelForImageTextToText.from_pretrained({str(path / 'model')!r})",
        ]
    if config.exists():
        lines.append(f"measure it: physrl evaluate --config {config} --policy {path}{override}")
    return lines


def _open(location: str) -> ObjectStore:
    try:
        place = absolute_unless_remote(location)
    except ValueError as error:
        raise StorageError(f"the run {error}") from None
    if not place.startswith(S3) and not Path(place).is_dir():
        raise StorageError(f"{location} is no folder: name a run's, or s3://bucket/prefix/run")
    store = open_store(place)
    if place.startswith(S3):
        store.check()
    return store


def _download(store: ObjectStore, stored: StoredCheckpoint, parent: Path) -> None:
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with only_writer(parent), _progress() as progress:
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
            f"{path} is there already and is not this checkpoint, or is damaged: choose another "
            "--out, or delete it"
        )


def _bring_config(store: ObjectStore, parent: Path) -> None:
    if not (parent / CONFIG).exists():
        try:
            store.download(CONFIG, parent / CONFIG, lambda _: None)
        except MissingObjectError:
            return


def _base(adapter: Path) -> str:
    try:
        settings = json.loads((adapter / "adapter_config.json").read_bytes())
        return str(settings["base_model_name_or_path"])
    except (OSError, ValueError, KeyError, TypeError):
        return "the base model"


def _from_here(base: str, config: Path) -> str:
    """A base that is not here but lay where the run was started: its path within the project."""
    if Path(base).is_dir() or not config.exists():
        return base
    started_in = working_directory(config.read_text(errors="replace"))
    if started_in is None or not Path(base).is_relative_to(started_in):
        return base
    return str(Path(base).relative_to(started_in))


def _progress() -> Progress:
    return Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=24),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


if __name__ == "__main__":
    from jobs.cli import main

    main(["pull", *sys.argv[1:]])
