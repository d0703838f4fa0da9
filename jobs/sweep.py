"""The study: train the grid, measure every cell, report.

python -m jobs.sweep --config jobs/configs/sweep-smoke.yaml

plan -> trials on Ray Tune: train, adapt -> cells on warm servers -> probes -> report
                         (each result is kept once, in the store)
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from cluster.baseline import train_baseline
from cluster.grid import run_trials, slots_runtime, trial_works, unfinished
from cluster.session import ray_session
from cluster.stopping import StopRequest, stop_on_signals
from cluster.study import answer_cells, probe_models
from cluster.work_queue import Finished, Work
from jobs.console import console
from jobs.progress import TrainingProgress
from jobs.status import show_matrix
from jobs.sweep_progress import SweepProgress, TrialLines
from jobs.train import train
from physrl.config.run import RuntimeConfig
from physrl.config.study import StudyConfig
from physrl.evaluation.cells import CellStore, Trained
from physrl.evaluation.generalization import Generalization
from physrl.evaluation.matrix import Matrix, make_matrix, read_done
from physrl.evaluation.plan import Condition, StudyPlan
from physrl.evaluation.resampling import Estimate
from physrl.evaluation.trials import SHUFFLED
from physrl.metrics import read_metrics


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
        with stop_on_signals() as stop:
            if not _train_baselines(plan, store, folder, stop):
                console.print("stopped; the same command continues")
                return False
        real_images = config.evaluation.real_images
        cells = answer_cells(plan, store, folder, real_images, workers=2 * slots)
        done = store.done()
        _show("cells", len({cell.key for cell in plan.cells} - done), store, cells)
        probes = probe_models(plan, store, workers=slots)
        _show("probes", len({spec.key for spec in plan.probes} - done), store, probes)
    matrix = make_matrix(plan, store)
    show_matrix(plan, store)
    console.print(f"TensorBoard: tensorboard --logdir {folder}", soft_wrap=True)
    figures = headline(matrix, Generalization(matrix, read_done(matrix, store)))
    print(json.dumps(figures | {"seconds": round(time.monotonic() - began, 1)}))
    return True


def headline(matrix: Matrix, found: Generalization) -> dict[str, float | int | None]:
    """The study in one line: gains over the base on held-out scenes, and the photographs.

    The diagonal is what a model was trained on, asked as in training; `_low` is the lower end of
    the 95 % interval. None where nothing is there.
    """

    def gain(trained_on: bool) -> Estimate | None:
        return found.gain(
            found.places(
                lambda family, condition: (
                    family.kind == "trained"
                    and family.method != SHUFFLED
                    and condition == Condition(condition.task)
                    and (condition.task in family.trained_on) == trained_on
                )
            )
        )

    diagonal, others = gain(trained_on=True), gain(trained_on=False)
    real = [
        share.value
        for family, condition in found.places(
            lambda family, condition: family.kind == "trained" and condition.test_set == "real"
        )
        if (share := found.share(family, condition)) is not None
    ]
    done = matrix.count("done")
    return {
        "cells_done": done,
        "cells_missing": len(matrix.entries) - done,
        "diagonal_gain": None if diagonal is None else _rounded(diagonal.value),
        "diagonal_gain_low": None if diagonal is None else _rounded(diagonal.low),
        "off_diagonal_gain": None if others is None else _rounded(others.value),
        "real_accuracy": _rounded(sum(real) / len(real)) if real else None,
    }


def _rounded(value: float) -> float:
    return round(value, 4)


def study_folder(plan: StudyPlan) -> Path:
    """Where a study's runs and Tune's own files lie."""
    return next(iter(plan.trials)).config.output / plan.name


def _train_baselines(plan: StudyPlan, store: CellStore, folder: Path, stop: StopRequest) -> bool:
    """Train the networks without language that are not there; whether nothing was interrupted."""
    done = store.done()
    for key, planned in plan.baselines.items():
        if key in done:
            continue
        run = planned.model_copy(update={"output": folder / "trials"})
        store.start(key, run.name)
        began = time.monotonic()
        with TrainingProgress(console, run.name, run.ppo.iterations) as progress:
            checkpoint = train_baseline(run, progress, stop)
        if checkpoint.step < run.ppo.iterations:
            return False
        seconds = time.monotonic() - began
        rows = tuple(read_metrics(run.folder))
        store.write_trained(Trained(key, run.name, str(checkpoint.path), seconds, rows))
    return True


def _slots(runtime: RuntimeConfig) -> int:
    """A trial a core, or a single one where it takes whole GPUs."""
    return 1 if runtime.gpus_per_server or runtime.gpus_per_rank else os.cpu_count() or 1


def _show(name: str, total: int, store: CellStore, events: Iterator[Work | Finished]) -> None:
    """Follow results as they come, and keep why one does not."""
    if not total:
        return
    with SweepProgress(console, name, total) as progress:
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
