"""The places that are watched, and the runs and stores of studies in them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jobs.watch.listed import Listed, ListedBucket, ListedFolder
from jobs.watch.listed_store import ListedStore
from physrl.config.location import parse_place
from physrl.errors import DataError
from physrl.evaluation.cells import FORMAT_KEY
from physrl.storage.checkpoints import FOLDER as CHECKPOINTS
from physrl.storage.object_store import open_store
from physrl.storage.run_files import CONFIG

SKIPPED = (CHECKPOINTS, "rollouts", "evaluation", "report")
"""Folders of a run that hold no runs."""


@dataclass
class Place:
    """A place with the stores in it that were opened."""

    listed: Listed
    _opened: dict[str, ListedStore] = field(default_factory=dict)

    def stores(self) -> list[ListedStore]:
        """Open the stores of studies, in order."""
        return [self.open(folder) for folder in self._with(FORMAT_KEY)]

    def runs(self) -> list[ListedStore]:
        """Open the runs, in order; a folder inside a run's checkpoints or rollouts is none."""
        folders = self._with(CONFIG)
        inside = tuple(
            f"{run}/{name}/" if run else f"{name}/" for run in folders for name in SKIPPED
        )
        return [self.open(folder) for folder in folders if not f"{folder}/".startswith(inside)]

    def open(self, folder: str) -> ListedStore:
        """Open a folder; the same one is opened once."""
        if folder not in self._opened:
            self._opened[folder] = ListedStore(self.listed, folder)
        return self._opened[folder]

    def forget(self) -> None:
        """Close the folders that do not exist any more."""
        self._opened = {
            folder: store for folder, store in self._opened.items() if folder in self.listed.folders
        }

    def _with(self, name: str) -> list[str]:
        return sorted(folder for folder, names in self.listed.folders.items() if name in names)


class Places:
    """All places, listed anew by each `refresh`."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self._places = [Place(_listed(name)) for name in names]
        self._runs: dict[str, ListedStore] = {}

    def refresh(self) -> None:
        """List every place anew; one that cannot be listed keeps its last listing."""
        for place in self._places:
            place.listed.refresh()
            place.forget()
        found = (run for place in self._places for run in place.runs())
        self._runs = {run.location: run for run in found}

    @property
    def problems(self) -> list[str]:
        """Reasons why places could not be listed."""
        return [place.listed.problem for place in self._places if place.listed.problem]

    def stores(self) -> Iterator[ListedStore]:
        """Open the stores of studies at all places, each once."""
        found = (store for place in self._places for store in place.stores())
        yield from {store.location: store for store in found}.values()

    def runs(self) -> list[ListedStore]:
        """Return the runs at all places, each once."""
        return list(self._runs.values())

    def find_run(self, location: str) -> ListedStore | None:
        """Find a run by its location, which an address names."""
        return self._runs.get(location)


def check_places(names: Sequence[str]) -> None:
    """Check that each name is one of a place.

    Raises:
        DataError: it is none, or a folder that does not exist.
    """
    for name in names:
        try:
            place = parse_place(name)
        except ValueError as error:
            raise DataError(f"PLACE {error}") from None
        if place.bucket is None and not Path(place.path).is_dir():
            raise DataError(
                f"PLACE is {name}, which does not exist: name a study's or run's folder"
            )


def _listed(name: str) -> Listed:
    place = parse_place(name)
    return (
        ListedFolder(Path(place.path)) if place.bucket is None else ListedBucket(open_store(name))
    )
