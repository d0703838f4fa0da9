"""The last resort of a command: any error in one line, with the place of its log."""

import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from jobs.display.printable import printable
from physrl.errors import PhysRLError, UserError, one_line

FAILURE = 1
USER_ERROR = 2
INTERRUPTED = 130
"""Exit codes: as Python's own, as of usage errors, as of a process that Ctrl+C ended."""


@contextmanager
def last_resort() -> Iterator[None]:
    """End the process with one line on stderr if the block raises an error.

    The exit code is 2 for a mistake of the user, else 1. An error that nobody foresaw is written
    to a log, whose place the line names.
    """
    try:
        yield
    except BrokenPipeError:
        sys.exit(FAILURE)  # whoever read the output has left
    except PhysRLError as error:
        # The text of an actor's error is a remote traceback; the original error is its cause.
        message = str(getattr(error, "cause", error))
        fail(message, USER_ERROR if isinstance(error, UserError) else FAILURE)
    except Exception as error:
        cause = getattr(error, "cause", None) or error
        what = f"{type(cause).__name__}: {one_line(str(cause))}"
        fail(f"{what} (unforeseen; all of it is in {_write_log()})", FAILURE)


def fail(message: str, code: int) -> NoReturn:
    """Print an error in one line, and end the process."""
    print(f"error: {printable(' '.join(message.split()))}", file=sys.stderr)
    sys.exit(code)


def _write_log() -> Path | str:
    """Write the traceback of the present error to a new file."""
    text = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {sys.argv[0]}\n{traceback.format_exc()}"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="physrl-", suffix=".log", delete=False, errors="backslashreplace"
        ) as log:
            log.write(text)
        return Path(log.name)
    except OSError as error:
        return f"no file, since {error.strerror}"
