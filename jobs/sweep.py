"""The study: train the grid, measure every cell, report.

python -m jobs.sweep --config jobs/configs/sweep-smoke.yaml

plan -> trials on Ray Tune: train, adapt -> cells on warm servers -> probes -> report
                         (each result is kept once, in the store)
"""

import json
import os
import sys
import time
from pathlib import Path

from cluster.grid import run_trials, slots_runtime, trial_works, unfinished
from cluster.session import ray_session
from cluster.study import answer_cells
from cluster.work_queue import Finished
from jobs.console import console
from jobs.status import matrix_table
from jobs.sweep_progress import SweepProgress, TrialLines
from jobs.train import train
from physrl.config.run import RuntimeConfig
from physrl.config.study import StudyConfig
from physrl.evaluation.cells import CellStore
from physrl.evaluation.matrix import make_matrix
from physrl.evaluation.plan import StudyPlan


def run(config: StudyConfig, plan: StudyPlan, store: CellStore, at_once: int | None) -> bool:
    """Compute what is not in the store yet; whether nothing was interrupted.

    Args:
        at_once: trials of a cluster that is started here; a joined one takes what fits.

    Prints the matrix, where the report lies, and one JSON line.
    """
    began = time.monotonic()
    store.save_plan(plan)
    folder = study_folder(plan)
    works = trial_works(plan, folder)
    runtime = next(iter(plan.trials)).config.runtime
    slots = at_once or _slots(runtime)
    with ray_session(slots_runtime(runtime, slots)):
        left = unfinished(works, store)
        if left:
            console.print(f"{len(left)} of {len(works)} models to train or adapt")
            if not run_trials(works, store, folder, train, [TrialLines(len(left))]):
                console.print("stopped; the same command continues")
                return False
        _answer(config, plan, store, folder, workers=2 * slots)
    matrix = make_matrix(plan, store)
    console.print(matrix_table(plan, store))
    print(
        json.dumps(
            {
                "cells_done": matrix.count("done"),
                "cells_missing": len(matrix.entries) - matrix.count("done"),
                "seconds": round(time.monotonic() - began, 1),
            }
        )
    )
    return True


def study_folder(plan: StudyPlan) -> Path:
    """Where a study's runs and Tune's own files lie."""
    return next(iter(plan.trials)).config.output / plan.name


def _slots(runtime: RuntimeConfig) -> int:
    """A trial a core, or a single one where it takes whole GPUs."""
    return 1 if runtime.gpus_per_server or runtime.gpus_per_rank else os.cpu_count() or 1


def _answer(
    config: StudyConfig, plan: StudyPlan, store: CellStore, folder: Path, workers: int
) -> None:
    missing = {cell.key for cell in plan.cells} - store.done()
    if not missing:
        return
    with SweepProgress(console, "cells", len(missing)) as progress:
        events = answer_cells(plan, store, folder, config.evaluation.real_images, workers)
        for event in events:
            if not isinstance(event, Finished):
                store.start(event.key, event.name)
                progress.begin(event.name)
                continue
            if event.failure is not None:
                work = event.work
                store.fail(work.key, work.name, event.failure, work.tries)
                console.print(f"failed: {work.name}: {event.failure}", soft_wrap=True)
            progress.advance()


if __name__ == "__main__":
    from jobs.cli import main

    main(["sweep", *sys.argv[1:]])
