"""The command line: each command reads and checks its configuration, then imports its job.

physrl demo                                             everything at laptop size
physrl train --config FILE algorithm.lr=1e-5 seed=1     overrides are key.path=value
"""

import logging
import os
import sys
from collections.abc import Sequence

import typer
from typer.exceptions import TyperException

from jobs.commands import machine, policies, runs, studies
from jobs.last_resort import INTERRUPTED, USER_ERROR, fail, last_resort

app = typer.Typer(
    help="Reinforcement learning from physical interaction for vision-language models.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for commands in (runs, policies, studies, machine):
    app.add_typer(commands.app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; an error is one line on stderr (`last_resort`).

    Args:
        arguments: replace those of the process.
    """
    # DeepSpeed looks for ninja on the path, where a virtual environment need not be, and for the
    # operator that `make install` compiled for this environment.
    os.environ["PATH"] = os.pathsep.join((f"{sys.prefix}/bin", os.environ.get("PATH", "")))
    os.environ.setdefault("TORCH_EXTENSIONS_DIR", f"{sys.prefix}/torch-extensions")
    logging.captureWarnings(True)  # of libraries: a run writes them into its folder
    warned = logging.getLogger("py.warnings")
    warned.addHandler(logging.NullHandler())
    warned.propagate = False
    with last_resort():
        try:
            code = app(arguments, prog_name="physrl", standalone_mode=False)
        except TyperException as error:
            fail(error.format_message(), USER_ERROR)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in ("physrl", "cluster", "jobs"):
                raise
            fail(f"{error.name} is not installed: make install, which this needs", USER_ERROR)
    if code == INTERRUPTED:
        typer.echo("interrupted", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
