"""Tables of success counts with 95 % intervals, for a terminal and for a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.box import SIMPLE
from rich.table import Table

from physrl.config.environment import TestSet
from physrl.config.study import Decoding
from physrl.evaluation.results import PHOTOGRAPHS, CellResult, PolicyResult
from physrl.tasks import TASKS
from physrl.types import QUESTIONS

ROWS = (*TASKS, QUESTIONS, PHOTOGRAPHS)
DECODINGS: tuple[Decoding, ...] = ("greedy", "sampled")
HEADINGS = ("task", "decoding", "policy", "successes", "rate", "95% interval")
UNPARSEABLE = "no answer"
"""Heading of the number of completions without a valid answer, where there are any."""
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


def headings(policies: Sequence[PolicyResult]) -> tuple[str, ...]:
    """Return the headings of the table; without unparseable completions their column is omitted."""
    some = any(result.unparseable for policy in policies for result in policy.results)
    return (*HEADINGS, UNPARSEABLE) if some else HEADINGS


def plain_rows(policies: Sequence[PolicyResult]) -> tuple[tuple[str, ...], ...]:
    """Format the rows of the table, in the columns of `headings`."""
    width = len(headings(policies))
    return tuple(_row(each)[:width] for each in measured(policies))


def make_tables(policies: Sequence[PolicyResult], title: str) -> list[Table]:
    """Make the tables for a terminal, one for each test set."""
    sets = dict.fromkeys(r.condition.test_set for policy in policies for r in policy.results)
    return [_make_table(_only(policies, each), f"{title}: {each}") for each in sets]


def _only(policies: Sequence[PolicyResult], test_set: TestSet) -> list[PolicyResult]:
    """Select the results on one test set."""
    return [
        PolicyResult(
            policy.policy, tuple(r for r in policy.results if r.condition.test_set == test_set)
        )
        for policy in policies
    ]


def _make_table(policies: Sequence[PolicyResult], title: str) -> Table:
    table = Table(title=title, box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for column, heading in enumerate(headings(policies)):
        justify: Literal["left", "right"] = "left" if column < LEFT_ALIGNED else "right"
        is_policy = heading == "policy"  # long names take several lines, nothing is cut
        table.add_column(heading, justify=justify, no_wrap=not is_policy, overflow="fold")
    previous = None
    for each, row in zip(measured(policies), plain_rows(policies), strict=True):
        group = (each.result.task, each.result.decoding)
        if previous not in (None, group):
            table.add_section()
        table.add_row(*row)
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
        f"{100 * low:.1f} to {100 * high:.1f}%",
        str(each.result.unparseable),
    )
