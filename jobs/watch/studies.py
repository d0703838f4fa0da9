"""Studies in the watched places, as their stores show them at one moment."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from jobs.watch.factors import Values, find_factors
from jobs.watch.listed_store import ListedStore
from jobs.watch.page_lock import PageLock
from jobs.watch.places import Places
from jobs.watch.reading import Reading
from physrl.errors import PhysRLError
from physrl.evaluation import cells as files
from physrl.evaluation.cells import CellStore, Failure, Running, find_cells
from physrl.evaluation.families import Family, group_families
from physrl.evaluation.matrix import STATUSES, Entry, Matrix, arrange_cells
from physrl.evaluation.plan_file import StudyOutline
from physrl.evaluation.specs import Condition, Subject
from physrl.storage.object_store import Entry as File

Mark = TypeVar("Mark", Running, Failure)
KINDS = (files.TRAINED, files.CELLS, files.ADAPTATION, files.PROBES)


@dataclass(frozen=True, eq=False)
class StudyIndex:
    """What of a plan is looked up again and again."""

    outline: StudyOutline

    @cached_property
    def keys(self) -> frozenset[str]:
        """The keys of all results."""
        return frozenset(_all_keys(self.outline))

    @cached_property
    def factors(self) -> Values:
        """What the trials differ in."""
        return find_factors(self.outline.trials)

    @cached_property
    def own_cells(self) -> dict[tuple[str, str], str]:
        """Keys of the cells in which trials answer without examples, by trial and task."""
        conditions = {cell.condition for cell in self.outline.cells}
        plain = {each for each in conditions if each == Condition(each.task)}
        return {
            (cell.subject.key, cell.condition.task): cell.key
            for cell in self.outline.cells
            if cell.subject.kind == "trained" and cell.condition in plain
        }

    @cached_property
    def families(self) -> dict[Family, list[Subject]]:
        """The subjects by family."""
        return group_families(self.outline.subjects)


@dataclass(frozen=True, eq=False)
class StudyView:
    """A study's plan, and what of it exists."""

    store: ListedStore
    index: StudyIndex
    matrix: Matrix
    done: frozenset[str]
    running: Mapping[str, Running]
    failures: Mapping[str, Failure]
    """Reasons by key, of this study alone, as above."""
    reading: Reading
    problems: tuple[str, ...]
    """Reasons why marks of running and failed results cannot be read."""

    @property
    def outline(self) -> StudyOutline:
        return self.index.outline

    @property
    def name(self) -> str:
        return self.outline.name

    @cached_property
    def by_status(self) -> dict[str, list[Entry]]:
        """The cells by status, in the plan's order."""
        found: dict[str, list[Entry]] = {status: [] for status in STATUSES}
        for entry in self.matrix.entries.values():
            found[entry.status].append(entry)
        return found

    @cached_property
    def ready(self) -> list[Entry]:
        """The missing cells that need nothing but their turn."""
        return [entry for entry in self.by_status["missing"] if not entry.reason]

    def written_at(self, key: str) -> float | None:
        """Return when a result was written, in seconds since 1970; None if it does not exist."""
        for kind in KINDS:
            ending = "parquet" if kind == files.CELLS else "json"
            entry = self.store.entry(f"{kind}/{key}.{ending}")
            if entry is not None:
                return entry.modified
        return None


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """What a store's listing says; equal states need no new view."""

    plan: File | None
    names: tuple[tuple[str, ...], ...]
    """Names of the results by kind."""
    marks: tuple[File | None, ...]
    """Times of the marks of running and failed results."""

    def same(self, other: "_State") -> bool:
        """Tell whether two states show the same."""
        return (self.plan, self.marks, self.names) == (other.plan, other.marks, other.names)


class Studies:
    """Reads studies; each part again only after its files have changed."""

    def __init__(self, page_lock: PageLock) -> None:
        self._page_lock = page_lock
        self._indexes: dict[tuple[str, str], tuple[File | None, StudyIndex]] = {}
        self._views: dict[tuple[str, str], tuple[_State, StudyView]] = {}

    def read(self, places: Places) -> tuple[list[StudyView], list[str]]:
        """Read all studies, and the reasons why some cannot be read."""
        views: list[StudyView] = []
        problems = []
        for store in places.stores():
            try:
                cells = find_cells(store)
                names = () if cells is None else cells.studies()
            except PhysRLError as error:
                problems.append(str(error))
                continue
            if not names:
                problems.append(f"store {store.location} holds no study yet")
            for name in names:
                assert cells is not None  # it has names
                try:
                    views.append(self._view(store, cells, name))
                except PhysRLError as error:
                    problems.append(str(error))
        self._forget(views)
        return views, problems

    def _view(self, store: ListedStore, cells: CellStore, name: str) -> StudyView:
        known = self._views.get((store.location, name))
        state = _state(store, name)
        if known is not None and known[0].same(state):
            return known[1]
        index = self._index(store, cells, name, state.plan)
        outline = index.outline
        done, planned = cells.done(), index.keys
        running, unread = _marks(store, files.RUNNING, cells.read_running, planned)
        failures, others = _marks(store, files.FAILED, cells.read_failure, planned)
        matrix = arrange_cells(outline, done, running, failures)
        reading = known[1].reading if known and known[1].outline is outline else None
        if known and reading is None:
            known[1].reading.close()
        reading = reading or Reading(cells, outline, self._page_lock)
        problems = (*unread, *others)
        view = StudyView(store, index, matrix, done, running, failures, reading, problems)
        self._views[store.location, name] = state, view
        return view

    def _index(
        self, store: ListedStore, cells: CellStore, name: str, plan: File | None
    ) -> StudyIndex:
        known = self._indexes.get((store.location, name))
        if known is None or known[0] != plan:
            index = StudyIndex(cells.read_outline(name))
            known = self._indexes[store.location, name] = plan, index
        return known[1]

    def _forget(self, views: list[StudyView]) -> None:
        """Close the readings of studies that are gone."""
        present = {(view.store.location, view.name) for view in views}
        for place in [place for place in self._views if place not in present]:
            self._views.pop(place)[1].reading.close()
            self._indexes.pop(place, None)


def _state(store: ListedStore, name: str) -> _State:
    marks = [
        store.entry(f"{folder}/{file}")
        for folder in (files.RUNNING, files.FAILED)
        for file in store.names(folder)
    ]
    names = tuple(store.names(kind) for kind in (*KINDS, files.RUNNING, files.FAILED))
    return _State(store.entry(f"{files.PLANS}/{name}.json"), names, tuple(marks))


def _marks(
    store: ListedStore, folder: str, read: Callable[[str], Mark | None], planned: frozenset[str]
) -> tuple[dict[str, Mark], list[str]]:
    """Read the marks in a folder of a store; one that cannot be read leaves the others."""
    found, problems = {}, []
    for name in store.names(folder):
        key = name.removesuffix(".json")
        if key not in planned:
            continue
        try:
            mark = read(key)
        except PhysRLError as error:
            problems.append(str(error))
            continue
        if mark is not None:
            found[key] = mark
    return found, problems


def _all_keys(outline: StudyOutline) -> Iterator[str]:
    runs = (*outline.form, *outline.selection, *outline.trials)
    for specs in (runs, outline.cells, outline.adaptations, outline.probes):
        yield from (spec.key for spec in specs)
