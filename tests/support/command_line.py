"""The command line, called in the process of a test."""

import pytest

from jobs.cli import main


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run a command, and return its exit code, stdout and stderr."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    code = end.value.code or 0
    assert isinstance(code, int)
    return code, captured.out, captured.err


def call_refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a command that refuses a user's mistake, and return its one line on stderr."""
    code, printed, errors = call(capsys, *arguments)
    assert code == 2
    assert printed == ""
    (line,) = errors.splitlines()
    return line
