"""Holds the environment against what it promises: physics, determinism, shortcuts, leakage.

    python tests/benchmarks/check_env.py

Prints a table a promise and, last, one JSON line; exits with 1 if one is broken.
Takes a few minutes on two cores.
"""

import json
import multiprocessing
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from env_checks import agreement, constants, determinism, leakage, pixels, shortcuts
from rich.console import Console
from rich.progress import Progress

WORKERS = 2
CHECKS = (agreement, determinism, shortcuts, pixels, constants, leakage)
LIMITS = {"physics_errors": 0, "leaked_scenes": 0, "shortcut_max_deviation_points": 3.0}
"""The greatest that each figure may be."""


def broken(figures: dict[str, Any]) -> list[str]:
    """The figures that are beyond their limit."""
    beyond = [name for name, limit in LIMITS.items() if figures[name] > limit]
    return beyond if figures["hashes_equal"] else [*beyond, "hashes_equal"]


def main() -> None:
    console = Console(width=110)
    figures: dict[str, Any] = {}
    with (
        Progress(console=Console(stderr=True), transient=True) as progress,
        ProcessPoolExecutor(WORKERS, multiprocessing.get_context("spawn")) as pool,
    ):

        def run(title: str, function: Callable[[Any], Any], jobs: Sequence[Any]) -> list[Any]:
            """All jobs in the pool, their results in order, with a bar."""
            results = pool.map(function, jobs)
            return list(progress.track(results, total=len(jobs), description=title))

        for check in CHECKS:
            table, found = check.check(run)
            console.print(table)
            figures |= found
    print(json.dumps(figures))
    if beyond := broken(figures):
        sys.exit(f"broken: {', '.join(beyond)}")  # a text is status 1


if __name__ == "__main__":
    main()
