"""The grid on Ray Tune: a trial for each model.

Tuner -> TrialRunner (a slot: one Cluster, reused by the next trial) -> train -> the store
                                                                     -> adapt -> the store
"""

import hashlib
import math
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ray import tune

from cluster.runtime.placement import WORKER_CPUS, bundles, cpus
from cluster.runtime.stopping import stop_on_signals
from cluster.study.events import ATTEMPTS, one_line
from cluster.study.trial import MakeActors, Train, TrialRunner, TrialWork
from cluster.training.actors import RunActors
from cluster.training.phases import train
from cluster.training.reporter import Progress
from physrl.config.runtime import RuntimeConfig
from physrl.evaluation.cells import CellStore
from physrl.evaluation.specs import StudyPlan, Subject

RUNNER_CPUS = 0.25
"""Of a trial's own process, which mostly waits."""


def trial_works(plan: StudyPlan, folder: Path) -> dict[str, TrialWork]:
    """What a study trains and adapts, by the subject's key; its runs lie in the study's folder."""
    works: dict[str, TrialWork] = {}
    for subject in plan.subjects:
        adaptations = tuple(spec for spec in plan.adaptations if spec.subject == subject)
        if subject.kind == "trained" or adaptations:
            config = plan.config_of(subject)
            place: dict[str, object] = {"output": folder / "trials", "name": _run_name(subject)}
            if config.storage is not None:
                place["storage"] = f"{config.storage}/{plan.name}/trials"
            config = config.model_copy(update=place)
            works[subject.key] = TrialWork(subject, config, adaptations)
    return works


def unfinished(works: Mapping[str, TrialWork], store: CellStore) -> dict[str, TrialWork]:
    """Those of which something is not in the store."""
    done = store.done()
    return {key: work for key, work in works.items() if not set(work.owes) <= done}


def run_trials(
    works: Mapping[str, TrialWork],
    store: CellStore,
    folder: Path,
    progress: Progress,
    callbacks: Sequence[tune.Callback] = (),
    make_actors: MakeActors = RunActors,
    train: Train = train,
) -> bool:
    """Train and adapt whatever is unfinished; a killed experiment of these trials is restored.

    What fails for good is recorded in the store. Needs a running Ray cluster.

    Returns:
        Whether it came to its end, and was not interrupted.
    """
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # which prints tables even where told not to
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # it does not say that it was interrupted
    path = folder / "tune" / _experiment_name(works)
    trainable = tune.with_resources(
        tune.with_parameters(
            TrialRunner,
            works=dict(works),
            store=store.location,
            progress=progress,
            make_actors=make_actors,
            train=train,
        ),
        lambda config: tune.PlacementGroupFactory(
            trial_bundles(works[config["trial"]["key"]].config.runtime)
        ),
    )
    restored = _restored(path, trainable)
    if restored is not None and not _end(restored, works, store):
        return False
    left = {
        key: work
        for key, work in unfinished(works, store).items()
        if restored is None or key not in store.failures()
    }
    if not left:
        return True
    # Also what was in the store when a restored experiment ended, and has been deleted since.
    shutil.rmtree(path, ignore_errors=True)
    return _end(_fresh(path, trainable, left, callbacks), works, store)


def _restored(path: Path, trainable: Any) -> tune.Tuner | None:
    if not tune.Tuner.can_restore(str(path)):
        return None
    return tune.Tuner.restore(str(path), trainable, resume_unfinished=True, restart_errored=True)


def _fresh(
    path: Path, trainable: Any, works: Mapping[str, TrialWork], callbacks: Sequence[tune.Callback]
) -> tune.Tuner:
    return tune.Tuner(
        trainable,
        param_space={"trial": tune.grid_search([_shown(work) for work in works.values()])},
        tune_config=tune.TuneConfig(
            reuse_actors=True,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=tune.RunConfig(
            name=path.name,
            storage_path=str(path.parent),
            failure_config=tune.FailureConfig(max_failures=ATTEMPTS - 1),
            callbacks=list(callbacks),
            verbose=0,
        ),
    )


def _end(tuner: tune.Tuner, works: Mapping[str, TrialWork], store: CellStore) -> bool:
    """Run an experiment and record what failed; whether it came to its end."""
    with stop_on_signals(then=_end_tune) as stop:
        results = tuner.fit()
    for result in results:
        if result.error is not None:
            _record(works[result.config["trial"]["key"]], store, one_line(result.error))
    return not stop.requested


def _end_tune() -> None:
    """Have Tune keep its state and end, which it does at this signal once it runs."""
    if not callable(signal.getsignal(signal.SIGUSR1)):
        raise KeyboardInterrupt  # it does not run yet
    signal.raise_signal(signal.SIGUSR1)


def trial_bundles(runtime: RuntimeConfig) -> list[dict[str, float]]:
    """What a trial reserves at once: its own process, then what its run does."""
    return [{"CPU": RUNNER_CPUS}, *bundles(runtime)]


def slots_runtime(runtime: RuntimeConfig, slots: int) -> RuntimeConfig:
    """A runtime that is placed on as much as so many trials at once: what to start Ray for."""
    reserved = slots * sum(bundle["CPU"] for bundle in trial_bundles(runtime))
    more = {
        "inference_servers": runtime.inference_servers * slots,
        "learner_ranks": runtime.learner_ranks * slots,
    }
    others = cpus(runtime.model_copy(update=more | {"rollout_workers": 0}))
    workers = math.ceil((reserved - others) / WORKER_CPUS)
    return runtime.model_copy(update=more | {"rollout_workers": workers})


def _record(work: TrialWork, store: CellStore, reason: str) -> None:
    """Say of everything that the failed trial owed why it is not there."""
    done = store.done()
    for key, name in work.owes.items():
        if key not in done:
            store.fail(key, name, reason, ATTEMPTS)


def _shown(work: TrialWork) -> dict[str, Any]:
    """What Tune and TensorBoard's HParams know of a trial."""
    subject, config = work.subject, work.config
    lora = config.model.lora
    return {
        "key": subject.key,
        "name": _run_name(subject),
        "task": "+".join(subject.trained_on) or "none",
        "method": subject.method or subject.kind,
        "model": subject.model,
        "seed": subject.seed,
        "variant": subject.variant or "none",
        "steps": config.algorithm.steps,
        "lr": config.algorithm.lr,
        "rank": 0 if lora is None else lora.rank,
    }


def _run_name(subject: Subject) -> str:
    return subject.name if subject.kind == "trained" else f"{subject.name}-untrained"


def _trial_name(trial: Any) -> str:
    return str(trial.config["trial"]["name"])


def _experiment_name(works: Mapping[str, TrialWork]) -> str:
    """The same for the same trials: what was killed is found again."""
    return hashlib.sha256(" ".join(sorted(works)).encode()).hexdigest()[:12]
