"""One trial: trains a model and adapts it to other tasks, with actors that stay for the next trial.

A trial's own checkpoints are the run's: what Tune restores begins again, and the run goes on where
it stopped. What is in the store is not computed again.
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
from physrl.storage.checkpoints import Checkpoint
from physrl.storage.run_folder import open_run

REPORT_SECONDS = 5.0
"""Between two results of a trial."""
STOP_SECONDS = 120.0
"""How long a stopped trial may take to its next checkpoint."""
MakeActors = Callable[[RunConfig], RunActors]
Train = Callable[[RunConfig, RunActors, StopRequest, Progress], tuple[Checkpoint, bool]]
"""As `phases.train`."""


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

    _thread: threading.Thread | None = None

    def setup(
        self,
        config: dict[str, Any],
        works: Mapping[str, TrialWork],
        store: str,
        progress: Progress,
        make_actors: MakeActors,
        train: Train,
    ) -> None:
        """Take the first trial; Tune calls it, with what `run_trials` gives to all."""
        self._works, self._progress = works, progress
        self._make_actors, self._train_run = make_actors, train
        self._results = open_cell_store(store)
        self._actors: RunActors | None = None
        self._actors_of: object = None
        self._take(config["trial"]["key"])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial."""
        self._take(new_config["trial"]["key"])
        return True

    def step(self) -> dict[str, Any]:
        """The newest training metrics, after a while or at the end.

        Raises:
            Exception: what ended the trial.
        """
        if self._thread is None:  # not before: Tune also sets actors up that it then does without
            self._thread = threading.Thread(target=self._run, daemon=True, name="trial")
            self._thread.start()
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
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)
        if self._actors is not None:
            self._actors.stop()

    def _take(self, key: str) -> None:
        self._work, self._stop = self._works[key], StopRequest()
        self._error: Exception | None = None
        self._thread = None

    def _run(self) -> None:
        try:
            checkpoint = self._train() if self._work.subject.kind == "trained" else None
            done = self._results.done()
            for spec in self._work.adaptations:
                if spec.key in done or self._stop.requested:
                    continue
                self._results.start(spec.key, self._work.owes[spec.key])
                self._results.write_adaptation(adapt(spec, checkpoint, self._ready_actors()))
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
        """Return the slot's actors, made anew where the trial needs others."""
        config = self._work.config
        needed = (config.model, config.runtime)
        if self._actors is None or self._actors_of != needed:
            if self._actors is not None:
                self._actors.stop()
            self._actors, self._actors_of = self._make_actors(config), needed
        return self._actors
