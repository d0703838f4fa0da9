"""Successes of n with their 95 % intervals, for a terminal and for a page."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE
from rich.table import Table

from physrl.evaluation.results import Decoding, EvaluationTask, PolicyResult, TaskResult
from physrl.tasks import TASKS as SIMULATED

TASKS: tuple[EvaluationTask, ...] = (*SIMULATED, "real")
DECODINGS: tuple[Decoding, ...] = ("greedy", "sampled")
HEADINGS = ("task", "decoding", "policy", "successes", "share", "95% interval", "unparseable")
LEFT_ALIGNED = 3
"""The first columns are words, the others numbers."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A policy's result on one task under one decoding."""

    policy: str
    result: TaskResult


def measured(policies: Sequence[PolicyResult]) -> tuple[Measured, ...]:
    """All results, those that are to be compared next to each other: by task, decoding, policy."""
    found = (
        (policy.policy, policy.find(task, decoding))
        for task in TASKS
        for decoding in DECODINGS
        for policy in policies
    )
    return tuple(Measured(name, result) for name, result in found if result is not None)


def plain_rows(policies: Sequence[PolicyResult]) -> tuple[tuple[str, ...], ...]:
    """The table's cells as text, under `HEADINGS`."""
    return tuple(_cells(each) for each in measured(policies))


def make_table(policies: Sequence[PolicyResult], title: str) -> Table:
    """The table for a terminal."""
    table = Table(title=title, box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for column, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="left" if column < LEFT_ALIGNED else "right")
    previous = None
    for each in measured(policies):
        group = (each.result.task, each.result.decoding)
        if previous not in (None, group):
            table.add_section()
        table.add_row(*_cells(each))
        previous = group
    return table


def _cells(each: Measured) -> tuple[str, ...]:
    count = each.result.count
    low, high = count.interval
    return (
        each.result.task,
        each.result.decoding,
        each.policy,
        f"{count.successes} of {count.total}",
        f"{count.share:.1%}",
        f"{low:.1%} to {high:.1%}",
        str(each.result.unparseable),
    )
