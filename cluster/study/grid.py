"""The trials of a study on Ray Tune.

Tuner -> TrialRunner (a slot, whose actors the next trial reuses) -> train -> the store
                                                                  -> adapt -> the store
"""

import hashlib
import logging
import math
import os
import shutil
import signal
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.logger import JsonLoggerCallback

from cluster.runtime.placement import (
    WORKER_CPUS,
    announced_groups,
    required_cpus,
    run_bundles,
)
from cluster.runtime.stopping import stop_on_signals
from cluster.study.events import ATTEMPTS, error_summary
from cluster.study.trial import MakeActors, Train, TrialJob, TrialRunner
from cluster.training.actors import RunActors
from cluster.training.phases import train
from cluster.training.reporter import Progress
from physrl.config.runtime import RuntimeConfig
from physrl.errors import reason_of
from physrl.evaluation.cells import CellStore
from physrl.evaluation.specs import StudyPlan
from physrl.evaluation.subjects import trained_subject
from physrl.evaluation.trial_runs import place_run, run_name, trial_config
from physrl.evaluation.trials import TrialSpec

_logger = logging.getLogger(__name__)
RUNNER_CPUS = 0.25
"""Cores of a trial's own process, which mostly waits."""


def trial_jobs(plan: StudyPlan, folder: Path) -> dict[str, TrialJob]:
    """Make the trials of a study, by the subject's key; their runs are in the study's folder."""
    jobs: dict[str, TrialJob] = {}
    for subject in plan.subjects:
        adaptations = tuple(spec for spec in plan.adaptations if spec.subject == subject)
        if subject.kind == "trained" or adaptations:
            config = trial_config(plan, subject, folder)
            jobs[subject.key] = TrialJob(subject, config, adaptations)
    return jobs


def plain_jobs(plan: StudyPlan, trials: Sequence[TrialSpec], folder: Path) -> dict[str, TrialJob]:
    """Make runs that are no subjects, by their keys: the form warm-up, and the choice of rates."""
    jobs = {}
    for trial in trials:
        subject = trained_subject(trial)
        jobs[trial.key] = TrialJob(subject, place_run(plan, subject, trial.config, folder), ())
    return jobs


def unfinished(jobs: Mapping[str, TrialJob], store: CellStore) -> dict[str, TrialJob]:
    """Select the trials with results that are missing in the store."""
    done = store.done()
    return {key: job for key, job in jobs.items() if not set(job.result_names) <= done}


def run_trials(
    jobs: Mapping[str, TrialJob],
    store: CellStore,
    folder: Path,
    progress: Progress,
    callbacks: Sequence[tune.Callback] = (),
    make_actors: MakeActors = RunActors,
    train: Train = train,
) -> bool:
    """Run the unfinished trials; an interrupted Tune experiment of the same trials is restored.

    If its state is damaged, it begins anew: trials that finished are in the store.

    Failures are recorded in the store. Needs a running Ray cluster.

    Returns:
        True if all trials ended, False if a stop was requested.
    """
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # it prints tables in spite of verbose=0
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # it hides that the experiment was interrupted
    # Its event files would show each trial in TensorBoard again, beside those of the run.
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    path = folder / "tune" / _experiment_name(jobs)
    groups = announced_groups()
    trainable = tune.with_resources(
        tune.with_parameters(
            TrialRunner,
            jobs=dict(jobs),
            store=store.location,
            progress=progress,
            make_actors=make_actors,
            train=train,
        ),
        lambda config: tune.PlacementGroupFactory(
            trial_bundles(jobs[config["trial"]["key"]].config.runtime, groups)
        ),
    )
    restored = tune.Tuner.can_restore(str(path))
    if restored:
        try:
            tuner = tune.Tuner.restore(
                str(path), trainable, resume_unfinished=True, restart_errored=True
            )
            if not _fit(tuner, jobs, store):
                return False
        except Exception as error:  # of a damaged file, anything: the store holds every result
            restored = False
            _logger.warning(
                "Tune's state in %s cannot be read (%s): it is made anew", path, reason_of(error)
            )
    left = {
        key: job
        for key, job in unfinished(jobs, store).items()
        if not restored or key not in store.failures()
    }
    if not left:
        return True
    # Results may have been deleted since a restored experiment ended.
    shutil.rmtree(path, ignore_errors=True)
    return _fit(_make_tuner(path, trainable, left, callbacks), jobs, store)


def _make_tuner(
    path: Path, trainable: Any, jobs: Mapping[str, TrialJob], callbacks: Sequence[tune.Callback]
) -> tune.Tuner:
    named = [
        {"key": key, "name": run_name(job.subject), **job.hyperparameters}
        for key, job in jobs.items()
    ]
    return tune.Tuner(
        trainable,
        param_space={"trial": tune.grid_search(named)},
        tune_config=tune.TuneConfig(
            reuse_actors=True,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=tune.RunConfig(
            name=path.name,
            storage_path=str(path.parent),
            failure_config=tune.FailureConfig(max_failures=ATTEMPTS - 1),
            callbacks=[JsonLoggerCallback(), *callbacks],
            verbose=0,
        ),
    )


def _fit(tuner: tune.Tuner, jobs: Mapping[str, TrialJob], store: CellStore) -> bool:
    """Run an experiment and record its failures; return False if a stop was requested."""
    with stop_on_signals(on_request=_stop_tune) as stop:
        results = tuner.fit()
    for result in results:
        if result.error is not None:
            _record(jobs[result.config["trial"]["key"]], store, error_summary(result.error))
    return not stop.requested


def _stop_tune() -> None:
    """Send Tune the signal at which it saves its state and ends."""
    if not callable(signal.getsignal(signal.SIGUSR1)):
        raise KeyboardInterrupt  # Tune has not started yet
    signal.raise_signal(signal.SIGUSR1)


def trial_bundles(runtime: RuntimeConfig, groups: Collection[str] = ()) -> list[dict[str, float]]:
    """List the bundles that a trial reserves: that of its own process, then those of its run."""
    return [{"CPU": RUNNER_CPUS}, *run_bundles(runtime, groups)]


def slots_runtime(runtime: RuntimeConfig, slots: int) -> RuntimeConfig:
    """Make a runtime that reserves as many cores and GPUs as `slots` concurrent trials."""
    reserved = slots * sum(bundle["CPU"] for bundle in trial_bundles(runtime))
    more = {
        "inference_servers": runtime.inference_servers * slots,
        "learner_ranks": runtime.learner_ranks * slots,
    }
    others = required_cpus(runtime.model_copy(update=more | {"rollout_workers": 0}))
    workers = math.ceil((reserved - others) / WORKER_CPUS)
    return runtime.model_copy(update=more | {"rollout_workers": workers})


def _record(job: TrialJob, store: CellStore, reason: str) -> None:
    """Record the failure of all missing results of a trial."""
    done = store.done()
    for key, name in job.result_names.items():
        if key not in done:
            store.fail(key, name, reason, ATTEMPTS)


def _trial_name(trial: Any) -> str:
    return str(trial.config["trial"]["name"])


def _experiment_name(jobs: Mapping[str, TrialJob]) -> str:
    """Derive a name from the trials, so that an interrupted experiment is found again."""
    return hashlib.sha256(" ".join(sorted(jobs)).encode()).hexdigest()[:12]
