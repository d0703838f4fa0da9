"""Tables of success counts with 95 % intervals, for a terminal and for a page."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE
from rich.table import Table

from physrl.config.study import Decoding
from physrl.evaluation.results import PHOTOGRAPHS, CellResult, PolicyResult
from physrl.tasks import TASKS

ROWS = (*TASKS, PHOTOGRAPHS)
DECODINGS: tuple[Decoding, ...] = ("greedy", "sampled")
HEADINGS = ("task", "decoding", "policy", "successes", "rate", "95% interval", "unparseable")
LEFT_ALIGNED = 3
"""Number of columns of text before those of numbers."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A policy's result on one task with one decoding."""

    policy: str
    result: CellResult


def measured(policies: Sequence[PolicyResult]) -> tuple[Measured, ...]:
    """List all results by task, then decoding, then policy."""
    results = (
        (policy.policy, policy.find(task, decoding))
        for task in ROWS
        for decoding in DECODINGS
        for policy in policies
    )
    return tuple(Measured(name, result) for name, result in results if result is not None)


def plain_rows(policies: Sequence[PolicyResult]) -> tuple[tuple[str, ...], ...]:
    """Format the rows of the table, in the columns of `HEADINGS`."""
    return tuple(_row(each) for each in measured(policies))


def make_table(policies: Sequence[PolicyResult], title: str) -> Table:
    """Make the table for a terminal."""
    table = Table(title=title, box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for column, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="left" if column < LEFT_ALIGNED else "right")
    previous = None
    for each in measured(policies):
        group = (each.result.task, each.result.decoding)
        if previous not in (None, group):
            table.add_section()
        table.add_row(*_row(each))
        previous = group
    return table


def _row(each: Measured) -> tuple[str, ...]:
    count = each.result.count
    low, high = count.interval
    return (
        each.result.task,
        each.result.decoding,
        each.policy,
        f"{count.successes} of {count.total}",
        f"{count.rate:.1%}",
        f"{low:.1%} to {high:.1%}",
        str(each.result.unparseable),
    )
