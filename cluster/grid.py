"""The grid on Ray Tune: a trial trains one model, then adapts it to the other tasks.

    Tuner -> TrialRunner (a slot: one Cluster, reused by the next trial) -> train -> the store
                                                                         -> adapt -> the store

A trial's own checkpoints are the run's: what Tune restores begins again, and the run goes on where
it stopped. What is in the store is not computed again.
"""

import hashlib
import math
import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune

from cluster.adaptation import adapt
from cluster.cluster import Cluster
from cluster.placement import WORKER_CPUS, bundles, cpus
from cluster.stopping import StopRequest
from cluster.work_queue import ATTEMPTS, one_line
from physrl.config.run import RunConfig, RuntimeConfig
from physrl.evaluation.cells import CellStore, Trained, open_cell_store
from physrl.evaluation.plan import AdaptationSpec, StudyPlan, Subject
from physrl.metrics import read_metrics
from physrl.storage.checkpoints import Checkpoint
from physrl.storage.run_folder import open_run

RUNNER_CPUS = 0.25
"""Of a trial's own process, which mostly waits."""
REPORT_SECONDS = 5.0
"""Between two results of a trial."""
STOP_SECONDS = 120.0
"""How long a stopped trial may take to its next checkpoint."""
Train = Callable[[RunConfig, Cluster, StopRequest], tuple[Checkpoint, bool]]
"""All phases of a run; its last checkpoint, and whether it is finished."""
MakeCluster = Callable[[RunConfig], Cluster]


@dataclass(frozen=True, slots=True)
class TrialWork:
    """What one trial does; trained subjects are trained first."""

    subject: Subject
    config: RunConfig
    adaptations: tuple[AdaptationSpec, ...]

    @property
    def owes(self) -> dict[str, str]:
        """The keys of its results, and what they are called."""
        trained = {self.subject.key: self.subject.name} if self.subject.kind == "trained" else {}
        return trained | {
            spec.key: f"{spec.subject.name} to {spec.task}" for spec in self.adaptations
        }


class TrialRunner(tune.Trainable):
    """A slot of the grid. Its actors stay for the next trial of the same model and runtime."""

    def setup(
        self,
        config: dict[str, Any],
        works: Mapping[str, TrialWork],
        store: str,
        train: Train,
        make_cluster: MakeCluster,
    ) -> None:
        """Begin the first trial; Tune calls it, with what `run_trials` gives to all."""
        self._works, self._train_run, self._make_cluster = works, train, make_cluster
        self._results = open_cell_store(store)
        self._cluster: Cluster | None = None
        self._cluster_of: object = None
        self._begin(config["trial"]["key"])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin the next trial."""
        self._begin(new_config["trial"]["key"])
        return True

    def step(self) -> dict[str, Any]:
        """The newest training metrics, after a while or at the end.

        Raises:
            Exception: what ended the trial.
        """
        self._thread.join(REPORT_SECONDS)
        done = not self._thread.is_alive()
        if done and self._error is not None:
            raise self._error
        rows = read_metrics(self._work.config.folder)
        return (rows[-1] if rows else {}) | {"done": done, "steps": len(rows)}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: the run has checkpoints of its own."""

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Nothing: the run goes on from its own."""

    def cleanup(self) -> None:
        """Stop after the step under way, with a checkpoint, and end the actors."""
        self._stop.requested = True
        self._thread.join(STOP_SECONDS)
        if self._cluster is not None:
            self._cluster.stop()

    def _begin(self, key: str) -> None:
        self._work, self._stop = self._works[key], StopRequest()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True, name="trial")
        self._thread.start()

    def _run(self) -> None:
        try:
            checkpoint = self._train() if self._work.subject.kind == "trained" else None
            done = self._results.done()
            for spec in self._work.adaptations:
                if spec.key in done or self._stop.requested:
                    continue
                self._results.start(spec.key, self._work.owes[spec.key])
                self._results.write_adaptation(adapt(spec, checkpoint, self._actors()))
        except Exception as error:
            self._error = error

    def _train(self) -> Path:
        """The trained model's checkpoint, trained now unless the store knows it."""
        subject, config = self._work.subject, self._work.config
        known = self._results.read_trained(subject.key)
        if known is not None:
            return Path(known.checkpoint)
        self._results.start(subject.key, subject.name)
        began = time.monotonic()
        open_run(config, resume=True)
        checkpoint, finished = self._train_run(config, self._actors(), self._stop)
        if not finished:
            raise InterruptedError(f"stopped after step {checkpoint.step}")
        seconds = time.monotonic() - began
        rows = tuple(
            {name: float(value) for name, value in row.items()}
            for row in read_metrics(config.folder)
        )
        self._results.write_trained(
            Trained(subject.key, subject.name, str(checkpoint.path), seconds, rows)
        )
        return checkpoint.path

    def _actors(self) -> Cluster:
        config = self._work.config
        needed = (config.model, config.runtime)
        if self._cluster is None or self._cluster_of != needed:
            if self._cluster is not None:
                self._cluster.stop()
            self._cluster, self._cluster_of = self._make_cluster(config), needed
        return self._cluster


def trial_works(plan: StudyPlan, folder: Path) -> dict[str, TrialWork]:
    """What a study trains and adapts, by the subject's key; its runs lie in the study's folder."""
    works: dict[str, TrialWork] = {}
    for subject in plan.subjects:
        adaptations = tuple(spec for spec in plan.adaptations if spec.subject == subject)
        if subject.kind == "trained" or adaptations:
            place = {"output": folder / "trials", "name": _run_name(subject)}
            config = plan.config_of(subject).model_copy(update=place)
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
    train: Train,
    callbacks: Sequence[tune.Callback] = (),
    make_cluster: MakeCluster = Cluster,
) -> bool:
    """Train and adapt whatever is unfinished; a killed experiment of these trials is restored.

    What fails for good is recorded in the store. Needs a running Ray cluster.

    Returns:
        Whether it came to its end, and was not interrupted.
    """
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # which prints tables even where told not to
    path = folder / "tune" / _experiment_name(works)
    trainable = tune.with_resources(
        tune.with_parameters(
            TrialRunner,
            works=dict(works),
            store=store.location,
            train=train,
            make_cluster=make_cluster,
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
    results = tuner.fit()
    for result in results:
        if result.error is not None:
            _record(works[result.config["trial"]["key"]], store, one_line(result.error))
    return bool(results.num_errors + results.num_terminated == len(results))


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
