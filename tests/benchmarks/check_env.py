"""Checks of the environment's guarantees: physics, determinism, shortcuts and leakage.

    python tests/benchmarks/check_env.py

Prints a table per check and, last, a JSON line; exits with status 1 if a limit is exceeded.
Takes a quarter of an hour on two cores.
"""

import json
import multiprocessing
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from env_checks import (
    agreement,
    constants,
    determinism,
    leakage,
    pixels,
    readers,
    rules,
    shortcuts,
    strangers,
)
from rich.console import Console
from rich.progress import Progress

WORKERS = 2
CHECKS = (agreement, determinism, shortcuts, pixels, readers, constants, rules, strangers, leakage)
LIMITS = {
    "physics_errors": 0,
    "leaked_scenes": 0,
    "shortcut_max_deviation_points": 3.0,
    "best_rule_share": 0.45,
    "aligner_share": 0.7,
    "worst_reader_percent": 53.0,
}
"""Maximum of each figure."""


def failures(figures: dict[str, Any]) -> list[str]:
    """List the figures that exceed their limits."""
    exceeded = [name for name, limit in LIMITS.items() if figures[name] > limit]
    return exceeded if figures["hashes_equal"] else [*exceeded, "hashes_equal"]


def main() -> None:
    console = Console(width=160)
    figures: dict[str, Any] = {}
    with (
        Progress(console=Console(stderr=True), transient=True) as progress,
        ProcessPoolExecutor(WORKERS, multiprocessing.get_context("spawn")) as pool,
    ):

        def run(title: str, function: Callable[[Any], Any], jobs: Sequence[Any]) -> list[Any]:
            """Run all jobs in the pool and return their results in order, with a progress bar."""
            results = pool.map(function, jobs)
            return list(progress.track(results, total=len(jobs), description=title))

        for check in CHECKS:
            table, results = check.check(run)
            console.print(table)
            figures |= results
    print(json.dumps(figures))
    if failed := failures(figures):
        sys.exit(f"limits exceeded: {', '.join(failed)}")  # exits with status 1


if __name__ == "__main__":
    main()
