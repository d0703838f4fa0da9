"""The policies of a study or a run whose answers can be compared, and their answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from pydantic import TypeAdapter

from jobs.watch.listed_store import ListedStore
from jobs.watch.studies import StudyView
from physrl.errors import PhysRLError
from physrl.evaluation.cells import find_cells
from physrl.evaluation.measurements import CELL, FOLDER
from physrl.evaluation.results import CellResult
from physrl.evaluation.specs import CellSpec, Condition

Read = Callable[[], CellResult | None]


@dataclass(frozen=True, slots=True)
class Policies:
    """Policies with their cells."""

    origin: Mapping[str, str]
    """Part of the address that names the study or the run."""
    names: Mapping[str, str]
    """Names of the policies by key."""
    cells: Mapping[str, Mapping[Condition, Read]]
    """Cells that exist by the policy's key and condition, each with what reads it."""

    def tasks(self, first: str, second: str) -> list[str]:
        """List the tasks that two policies have both answered."""
        shared = [each for each in self.cells.get(first, {}) if each in self.cells.get(second, {})]
        return list(dict.fromkeys(condition.task for condition in shared))

    def read(
        self, first: str, second: str, task: str
    ) -> tuple[list[tuple[CellResult, CellResult]], list[str]]:
        """Read both policies' cells of a task on all its sets of scenes, as it is asked first.

        Returns also the reasons why cells cannot be read.
        """
        both = self.cells.get(first, {}), self.cells.get(second, {})
        shared = [each for each in both[0] if each in both[1] and each.task == task]
        wanted = [each for each in shared if _same_protocol(each, shared[0])]
        found, problems = [], []
        for condition in wanted:
            try:
                pair = both[0][condition](), both[1][condition]()
            except (PhysRLError, ValueError) as error:
                problems.append(" ".join(str(error).split()))
                continue
            if pair[0] is not None and pair[1] is not None:
                found.append((pair[0], pair[1]))
        return found, problems


def study_policies(study: StudyView) -> Policies:
    """Find the subjects of a study that have answered anything."""
    store = find_cells(study.store)
    assert store is not None  # the study is in it
    cells: dict[str, dict[Condition, Read]] = {}
    names = {}
    for cell in study.outline.cells:
        if cell.key in study.done:
            names[cell.subject.key] = cell.subject.name
            of_subject = cells.setdefault(cell.subject.key, {})
            of_subject[cell.condition] = partial(store.read_cell, cell.key)
    return Policies({"store": study.store.location, "study": study.name}, names, cells)


def run_policies(run: ListedStore) -> Policies:
    """Find the policies that were evaluated in a run; files that cannot be read are left out."""
    from physrl.evaluation.result_files import parse_results

    cells: dict[str, dict[Condition, Read]] = {}
    names = {}
    for name in run.keys(f"{FOLDER}/"):
        if not name.endswith(".parquet"):
            continue
        try:
            (result,), metadata = parse_results(run.get(name))
            spec = TypeAdapter(CellSpec).validate_json(metadata[CELL])
        except (PhysRLError, ValueError, KeyError, RecursionError):
            continue
        names[spec.subject.key] = spec.subject.name
        cells.setdefault(spec.subject.key, {})[spec.condition] = partial(_known, result)
    return Policies({"run": run.location}, names, cells)


def _known(result: CellResult) -> CellResult:
    return result


def _same_protocol(condition: Condition, other: Condition) -> bool:
    """Tell whether two conditions differ in their set of scenes alone."""
    return replace(condition, test_set=other.test_set) == other
