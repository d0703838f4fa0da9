"""Checks and their results: the rows of the table."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from cluster.runtime.faults import last_line, user_error
from physrl.types import Metrics

Status = Literal["pass", "fail", "skip"]
LONGEST = 300
"""Characters of an error that the table shows."""


class Skipped(Exception):
    """A check does not apply to this machine, or another one that it needs has failed."""


class Failed(Exception):
    """A check found something wrong."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check that passed has found."""

    text: str
    figures: Metrics = field(default_factory=dict)
    """Figures by their names in the last line."""


@dataclass(frozen=True, slots=True)
class Check:
    """A check, by the function that makes it."""

    name: str
    run: Callable[[], Finding]
    remedy: str
    """What to do if it fails."""


@dataclass(frozen=True, slots=True)
class Row:
    """The result of a check."""

    name: str
    status: Status
    found: str
    seconds: float
    remedy: str = ""
    """What to do; empty unless the check has failed."""
    figures: Metrics = field(default_factory=dict)


def perform(checks: Iterable[Check]) -> Iterator[Row]:
    """Perform checks in their order; an error of any kind is the failure of its check alone."""
    for check in checks:
        began = time.monotonic()
        try:
            finding = check.run()
        except Skipped as reason:
            yield Row(check.name, "skip", str(reason), time.monotonic() - began)
        except Exception as error:
            spent = time.monotonic() - began
            yield Row(check.name, "fail", _reason(error), spent, check.remedy)
        else:
            spent = time.monotonic() - began
            yield Row(check.name, "pass", finding.text, spent, figures=finding.figures)


def _reason(error: Exception) -> str:
    """Describe an error in one line."""
    known = user_error(error) or (error if isinstance(error, Failed) else None)
    text = str(known) if known is not None else f"{type(error).__name__}: {last_line(error)}"
    return " ".join(text.split())[:LONGEST]
