"""Run a study: all trials, all cells, all probes, the report.

python -m jobs.sweep --config jobs/configs/sweep-smoke.yaml

plan -> the form warm-up -> plan -> runs that choose learning rates -> plan
     -> trials on Ray Tune: train, adapt -> cells on shared servers -> probes -> report
                       (the store contains each result once)
"""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from cluster.baseline.ppo import train_baseline
from cluster.runtime.session import ray_session
from cluster.runtime.stopping import StopRequest, sigterm_as_interrupt, stop_on_signals
from cluster.study.cells import compute_cells
from cluster.study.events import ATTEMPTS, Finished, Started, error_summary
from cluster.study.grid import (
    plain_jobs,
    run_trials,
    slots_runtime,
    trial_jobs,
    unfinished,
)
from cluster.study.probes import compute_probes
from cluster.study.served_cells import ADAPTERS
from cluster.study.trial import TrialJob
from jobs.display.console import console
from jobs.display.progress import Bar, TrainingProgress, show_training
from jobs.display.trial_lines import TrialLines
from jobs.status import show_matrix
from physrl.config.baseline import BaselineConfig
from physrl.config.runtime import RuntimeConfig
from physrl.config.study import StudyConfig
from physrl.data.photos import load_photos
from physrl.errors import ConfigError, PhysRLError
from physrl.evaluation.cells import CellStore, Trained
from physrl.evaluation.plan import plan_study
from physrl.evaluation.selection import choose_rates, rate_accuracies
from physrl.evaluation.specs import StudyPlan
from physrl.evaluation.study_results import read_study_results
from physrl.metrics import read_metrics
from physrl.report.study import write_study_report
from physrl.report.study_summary import headline
from physrl.storage.provenance import versions


def run(config: StudyConfig, plan: StudyPlan, store: CellStore, at_once: int | None) -> bool:
    """Compute the results that are missing in the store, and report; return False if interrupted.

    Prints the matrix, the path of the report, and one line of JSON.

    Args:
        at_once: concurrent trials on a local cluster; a joined one runs as many as fit.
    """
    began = time.monotonic()
    plan = plan_further(config, plan, store)
    store.save_plan(plan)
    if not plan.keys <= store.done():
        runtime = next(iter(plan.trials)).config.runtime
        slots = at_once or _slots(runtime)
        with ray_session(slots_runtime(runtime, slots)), sigterm_as_interrupt():
            try:
                plan, finished = _prepare(config, plan, store)
                if finished:
                    for method, rate in rate_facts(plan, store).items():
                        console.print(f"{method}: {rate}")
                    finished = _train(plan, store)
                if finished:
                    _measure(config, plan, store, slots)
            except KeyboardInterrupt:
                finished = False
            if not finished:
                console.print("stopped; the same command continues")
                return False
    show_matrix(plan, store)
    _report(config, plan, store, time.monotonic() - began)
    return True


def _prepare(config: StudyConfig, plan: StudyPlan, store: CellStore) -> tuple[StudyPlan, bool]:
    """Run the form warm-up, then choose learning rates; return the plan that follows.

    The second value is False if it was interrupted.

    Raises:
        ConfigError: a form warm-up, or every rate of a method, has failed.
    """
    for kind in ("form", "rates"):
        trials = plan.form if kind == "form" else plan.selection
        if not _run_trials(kind, plain_jobs(plan, trials, study_folder(plan)), store):
            return plan, False
        for trial in plan.form:
            if trial.key not in store.done():
                reason = store.failures()[trial.key].reason
                raise ConfigError(f"form_warm_up of {trial.model} has failed: {reason}")
        plan = plan_further(config, plan, store)
        store.save_plan(plan)
    return plan, True


def plan_further(config: StudyConfig, plan: StudyPlan, store: CellStore) -> StudyPlan:
    """Plan the study from the form warm-up's checkpoints, and with the chosen learning rates.

    Each is done once all of its runs have ended.

    Raises:
        ConfigError: every rate of a method has failed.
    """
    done, failed, starts = store.done(), store.failures(), None
    if plan.form:
        found = {trial.model: store.read_trained(trial.key) for trial in plan.form}
        starts = {model: each.checkpoint for model, each in found.items() if each is not None}
        if len(starts) < len(found):
            return plan
        plan = plan_study(config, starts=starts)
    if not plan.selection or any(
        trial.key not in done and trial.key not in failed for trial in plan.selection
    ):
        return plan
    return plan_study(config, choose_rates(plan.selection, _read_selection(plan, store)), starts)


def rate_facts(plan: StudyPlan, store: CellStore) -> dict[str, str]:
    """Describe the chosen rates, and the validation accuracies that chose them."""
    trained = _read_selection(plan, store)
    facts = {}
    for (method, model), rate in choose_rates(plan.selection, trained).items():
        accuracies = rate_accuracies(plan.selection, trained, method, model)
        tried = ", ".join(f"{value:.1%} with {each:g}" for each, value in accuracies.items())
        facts[f"learning rate of {method} for {model}"] = f"{rate:g} (validation: {tried})"
    return facts


def _read_selection(plan: StudyPlan, store: CellStore) -> dict[str, Trained]:
    found = {trial.key: store.read_trained(trial.key) for trial in plan.selection}
    return {key: result for key, result in found.items() if result is not None}


def _run_trials(kind: str, jobs: Mapping[str, TrialJob], store: CellStore) -> bool:
    """Run the trials that are unfinished; return False if interrupted."""
    left = unfinished(jobs, store)
    if not left:
        return True
    console.print(f"{kind}: {len(left)} of {len(jobs)} models to train or adapt")
    folder = next(iter(jobs.values())).config.output.parent
    return run_trials(jobs, store, folder, show_training, [TrialLines(len(left))])


def _train(plan: StudyPlan, store: CellStore) -> bool:
    """Train and adapt all models, then train the networks; return False if interrupted."""
    folder = study_folder(plan)
    if not _run_trials("trials", trial_jobs(plan, folder), store):
        return False
    with stop_on_signals() as stop:
        for key, run in plan.baselines.items():
            if key not in store.done() and not stop.requested:
                _train_network(key, run, store, folder, stop)
    return not stop.requested


def _train_network(
    key: str, planned: BaselineConfig, store: CellStore, folder: Path, stop: StopRequest
) -> None:
    """Train a network without language, and store its checkpoint or its failure."""
    from ray.exceptions import RayError  # after `cluster`, which sets the token

    run = planned.model_copy(update={"output": folder / "trials"})
    store.start(key, run.name)
    began = time.monotonic()
    try:
        with TrainingProgress(console, run.name, run.ppo.iterations) as progress:
            checkpoint = train_baseline(run, progress, stop)
    except (RayError, PhysRLError) as error:
        store.fail(key, run.name, error_summary(error), tries=1)
        console.print(f"failed: {run.name}: {error_summary(error)}", soft_wrap=True)
        return
    if checkpoint.step == run.ppo.iterations:
        seconds, rows = time.monotonic() - began, tuple(read_metrics(run.folder))
        store.write_trained(Trained(key, run.name, str(checkpoint.path), seconds, rows))


def _measure(config: StudyConfig, plan: StudyPlan, store: CellStore, slots: int) -> None:
    """Compute all missing cells and probes whose models are available."""
    done = store.done()
    runtime = next(iter(plan.trials)).config.runtime
    # On GPUs, enough cells at once to fill the batches of each server.
    at_once = ADAPTERS if _has_gpus(runtime) else 2 * slots
    cells = compute_cells(plan, store, config.evaluation.real_images, at_once)
    _show("cells", len({cell.key for cell in plan.cells} - done), store, cells)
    probes = compute_probes(plan, store, at_once=slots)
    _show("probes", len({spec.key for spec in plan.probes} - done), store, probes)


def _report(config: StudyConfig, plan: StudyPlan, store: CellStore, seconds: float) -> None:
    """Write the report, print its path, and summarize the study in one line of JSON."""
    real = config.evaluation.real_images
    results = read_study_results(plan, store, () if real is None else load_photos(real))
    folder = study_folder(plan)
    facts = {"this run (s)": f"{seconds:.0f}", "store": store.location}
    facts |= rate_facts(plan, store) | versions()
    page = write_study_report(results, folder / "report", facts)
    console.print(f"report: {page}\nTensorBoard: tensorboard --logdir {folder}", soft_wrap=True)
    print(json.dumps(headline(results) | {"seconds": round(seconds, 1)}))


def study_folder(plan: StudyPlan) -> Path:
    """Return the folder of a study's runs and of Tune's files."""
    return next(iter(plan.trials)).config.output / plan.name


def _slots(runtime: RuntimeConfig) -> int:
    """Return the default number of concurrent trials: one for each core, or one if on GPUs."""
    return 1 if _has_gpus(runtime) else os.cpu_count() or 1


def _has_gpus(runtime: RuntimeConfig) -> bool:
    return bool(runtime.gpus_per_server or runtime.gpus_per_rank)


def _show(name: str, total: int, store: CellStore, events: Iterator[Started | Finished]) -> None:
    """Show the progress of results, and store the failures."""
    if not total:
        return
    done = 0
    with Bar(console, name, total) as progress:
        for event in events:
            if not isinstance(event, Finished):
                store.start(event.key, event.name)
                progress.begin(event.name)
                continue
            if event.failure is not None:
                store.fail(event.key, event.name, event.failure, ATTEMPTS)
                console.print(f"failed: {event.name}: {event.failure}", soft_wrap=True)
            done += 1
            progress.done(done)


if __name__ == "__main__":
    from jobs.cli import main

    main(["sweep", *sys.argv[1:]])
