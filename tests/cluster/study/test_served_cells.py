"""Cells of language models: their order, and their events with a fake of the servers."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from cluster.study.events import Finished, Started
from cluster.study.served_cells import cell_name, compute_served, order_cells
from cluster.weights.sync import Policy
from physrl.errors import LostCallError
from physrl.evaluation.cells import open_cell_store
from physrl.evaluation.results import CellResult
from physrl.evaluation.specs import CellSpec, Condition, Subject
from tests.support.answers import make_answer
from tests.support.small_studies import two_task_plan


def model_cells(*methods: str) -> list[CellSpec]:
    """List the cells of models by these methods, and of the base, under the default protocol."""
    return [
        cell
        for cell in two_task_plan().cells
        if cell.condition == Condition(cell.condition.task)
        and (cell.subject.kind == "base" or cell.subject.method in methods)
        and cell.subject.seed == 0
    ]


def policies_of(cells: Sequence[CellSpec], full: str = "") -> dict[Subject, Policy]:
    """Make adapters of all subjects, but full weights of those by one method."""
    return {
        cell.subject: Policy(
            cell.subject.key,
            form="weights" if full and cell.subject.method == full else "adapter",
            source="/nowhere",
        )
        for cell in cells
    }


class FakeServed:
    """A stand-in for `ServedCells` that fails on one condition."""

    def __init__(self, failing: Condition | None = None) -> None:
        self._failing = failing
        self.kept: list[int] = []
        """Number of conditions whose scenes are kept after each result."""

    def compute(self, cell: CellSpec, policy: Policy) -> CellResult:
        if cell.condition == self._failing:
            raise LostCallError("a scene\nkills every worker")
        return CellResult(cell.condition, (make_answer(0, True),))

    def forget_scenes(self, conditions: Sequence[Condition]) -> None:
        self.kept.append(len(set(conditions)))


def test_adapters_are_ordered_by_condition_and_full_weights_by_subject() -> None:
    cells = model_cells("grpo", "sft")
    assert len(cells) > 6
    ordered = order_cells(cells, policies_of(cells, full="sft"))
    assert sorted(cell.key for cell in ordered) == sorted(cell.key for cell in cells)
    is_full = [cell.subject.method == "sft" for cell in ordered]
    assert is_full == sorted(is_full)
    adapters = [cell.condition.task for cell in ordered if cell.subject.method != "sft"]
    assert adapters == sorted(adapters)
    full = [cell.subject.key for cell in ordered if cell.subject.method == "sft"]
    switches = sum(a != b for a, b in pairwise(full))
    assert switches == len(set(full)) - 1


def test_results_are_stored_and_failures_reported(tmp_path: Path) -> None:
    cells = model_cells("grpo")
    served: Any = FakeServed(failing=Condition("stability"))
    store = open_cell_store(str(tmp_path))
    events = list(compute_served(served, cells, policies_of(cells), store, at_once=2))
    started = {event.key for event in events if isinstance(event, Started)}
    finished = {event.key: event.failure for event in events if isinstance(event, Finished)}
    assert started == finished.keys() == {cell.key for cell in cells}
    for cell in cells:
        failed = cell.condition.task == "stability"
        assert finished[cell.key] == (
            "LostCallError: a scene kills every worker" if failed else None
        )
        assert (store.read_cell(cell.key) is None) == failed
    assert served.kept == sorted(served.kept, reverse=True)
    assert (served.kept[0], served.kept[-1]) == (2, 0)


def test_a_name_has_the_subject_and_the_condition() -> None:
    [cell] = [each for each in model_cells() if each.condition.task == "place"]
    assert cell_name(cell) == "tiny on place (iid, greedy)"
