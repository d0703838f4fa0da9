"""Checks become rows, whatever they raise."""

from collections.abc import Callable

import pytest

from jobs.gpu_check.rows import Check, Failed, Finding, Skipped, perform
from physrl.errors import UserError


def raising(error: BaseException) -> Callable[[], Finding]:
    def check() -> Finding:
        raise error

    return check


def test_each_check_is_a_row_of_its_own() -> None:
    checks = [
        Check("a", lambda: Finding("fine", {"speed": 2.0}), "buy"),
        Check("b", raising(Skipped("no GPU")), "buy"),
        Check("c", raising(Failed("too slow")), "tighten"),
        Check("d", lambda: Finding("fine"), "buy"),
    ]
    rows = list(perform(checks))
    assert [(row.name, row.status, row.found, row.remedy) for row in rows] == [
        ("a", "pass", "fine", ""),
        ("b", "skip", "no GPU", ""),
        ("c", "fail", "too slow", "tighten"),
        ("d", "pass", "fine", ""),
    ]
    assert rows[0].figures == {"speed": 2.0}


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (UserError("name is 3: use 4"), "name is 3: use 4"),
        (ValueError("first\nsecond   line"), "ValueError: second line"),
        (ZeroDivisionError(), "ZeroDivisionError: ZeroDivisionError"),
        (RuntimeError("x" * 1000), "RuntimeError: " + "x" * 286),
        (SystemError("\x1b[31mred"), "SystemError: \x1b[31mred"),
    ],
)
def test_any_error_is_a_failed_row_of_one_line(error: Exception, found: str) -> None:
    [row] = perform([Check("a", raising(error), "look")])
    assert (row.status, row.found, row.remedy) == ("fail", found, "look")


def test_an_interrupt_ends_the_checks() -> None:
    with pytest.raises(KeyboardInterrupt):
        list(perform([Check("a", raising(KeyboardInterrupt()), "")]))
