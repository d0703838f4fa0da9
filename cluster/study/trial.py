"""The Tune trainable of a study's trials, which trains a model and adapts it to other tasks.

Tune's checkpoints are not used: a restored trial starts anew, but its run resumes from its own
checkpoints, and results in the store are not computed again.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune

from cluster.runtime.stopping import StopRequest
from cluster.study.adaptation import adapt
from cluster.training.actors import RunActors
from cluster.training.reporter import Progress
from physrl.config.run import RunConfig
from physrl.evaluation.cells import Trained, open_cell_store
from physrl.evaluation.specs import AdaptationSpec, Subject
from physrl.metrics import read_metrics
from physrl.metrics.event_file import write_hyperparameters
from physrl.storage.checkpoints import Checkpoint
from physrl.storage.run_folder import open_run

REPORT_SECONDS = 5.0
"""Longest interval between two results that a trial reports to Tune."""
STOP_SECONDS = 120.0
"""Longest wait for the checkpoint of a trial that was stopped."""
MakeActors = Callable[[RunConfig], RunActors]
Train = Callable[[RunConfig, RunActors, StopRequest, Progress], tuple[Checkpoint, bool]]
"""Signature of `phases.train`."""


@dataclass(frozen=True, slots=True)
class TrialJob:
    """The training of a subject, unless it is a base, and its adaptations."""

    subject: Subject
    config: RunConfig
    adaptations: tuple[AdaptationSpec, ...]

    @property
    def result_names(self) -> dict[str, str]:
        """Names of the trial's results by their keys."""
        trained = {self.subject.key: self.subject.name} if self.subject.kind == "trained" else {}
        return trained | {
            spec.key: f"{spec.subject.name} to {spec.task}, seed {spec.seed}"
            for spec in self.adaptations
        }

    @property
    def hyperparameters(self) -> dict[str, str | float]:
        """Parameters of the trial in tables of many trials."""
        subject, config = self.subject, self.config
        lora = config.model.lora
        return {
            "task": "+".join(subject.trained_on) or "none",
            "method": subject.method or subject.kind,
            "model": subject.model or "none",
            "seed": subject.seed,
            "variant": subject.variant or "none",
            "steps": config.algorithm.steps,
            "lr": config.algorithm.lr,
            "rank": 0 if lora is None else lora.rank,
        }


class TrialRunner(tune.Trainable):
    """A slot that runs trials one after the other, and keeps actors of equal model and runtime."""

    _thread: threading.Thread | None = None

    def setup(
        self,
        config: dict[str, Any],
        jobs: Mapping[str, TrialJob],
        store: str,
        progress: Progress,
        make_actors: MakeActors,
        train: Train,
    ) -> None:
        """Assign the first trial; the other arguments are the same for all trials."""
        self._jobs, self._progress = jobs, progress
        self._make_actors, self._train_run = make_actors, train
        self._results = open_cell_store(store)
        self._actors: RunActors | None = None
        self._actors_of: object = None
        self._assign(config["trial"]["key"])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Assign the next trial."""
        self._assign(new_config["trial"]["key"])
        return True

    def step(self) -> dict[str, Any]:
        """Return the newest training metrics, after `REPORT_SECONDS` or at the end.

        Raises:
            Exception: the error that ended the trial.
        """
        if self._thread is None:  # not in `setup`, which Tune also calls for actors that stay idle
            self._thread = threading.Thread(target=self._run, daemon=True, name="trial")
            self._thread.start()
        self._thread.join(REPORT_SECONDS)
        done = not self._thread.is_alive()
        if done and self._error is not None:
            raise self._error
        rows = read_metrics(self._job.config.folder)
        return (rows[-1] if rows else {}) | {"done": done, "steps": len(rows)}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Do nothing, since the run has checkpoints of its own."""

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Do nothing, since the run resumes from its own checkpoints."""

    def cleanup(self) -> None:
        """Stop after the current step, with a checkpoint, and stop the actors."""
        self._stop.requested = True
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)
        if self._actors is not None:
            self._actors.stop()

    def _assign(self, key: str) -> None:
        self._job, self._stop = self._jobs[key], StopRequest()
        self._error: Exception | None = None
        self._thread = None

    def _run(self) -> None:
        try:
            checkpoint = self._train() if self._job.subject.kind == "trained" else None
            done = self._results.done()
            for spec in self._job.adaptations:
                if spec.key in done or self._stop.requested:
                    continue
                self._results.start(spec.key, self._job.result_names[spec.key])
                self._results.write_adaptation(adapt(spec, checkpoint, self._ready_actors()))
        except Exception as error:
            self._error = error

    def _train(self) -> Path:
        """Train the model, unless the store has a checkpoint of it, and return the checkpoint."""
        subject, config = self._job.subject, self._job.config
        trained = self._results.read_trained(subject.key)
        if trained is not None:
            return Path(trained.checkpoint)
        self._results.start(subject.key, subject.name)
        began = time.monotonic()
        folder = open_run(config, resume=True)
        write_hyperparameters(folder, subject.name, self._job.hyperparameters)
        checkpoint, finished = self._train_run(
            config, self._ready_actors(), self._stop, self._progress
        )
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

    def _ready_actors(self) -> RunActors:
        """Return the slot's actors; start others if the trial needs another model or runtime."""
        config = self._job.config
        needed = (config.model, config.runtime)
        if self._actors is None or self._actors_of != needed:
            if self._actors is not None:
                self._actors.stop()
            self._actors, self._actors_of = self._make_actors(config), needed
        return self._actors
