"""The learner that outlives its ranks: what it had learned since a checkpoint is learned again.

update, save, ... -> LearnerGroup -- a rank dies --> all ranks end, others start,
                                                     the newest checkpoint is loaded,
                                                     every batch since then is replayed
"""

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import ray

from cluster.learner.group import LearnerGroup
from physrl.config.run import RunConfig
from physrl.errors import LearnerLostError
from physrl.storage.checkpoints import Checkpoint
from physrl.types import Metrics, TrainingBatch, TrainingExample

ATTEMPTS = 3
"""As many learners that are lost over one call end the run."""
Result = TypeVar("Result")
logger = logging.getLogger(__name__)


class Trainer:
    """One learner at a time; its ranks start with `start`, or when a model is first loaded.

    Batches stay in the object store until the next checkpoint, so that a lost learner's successor
    comes to the same weights, bit by bit on a CPU. Ray moves them to the disk when there are many.

    Args:
        make: starts the ranks.
    """

    def __init__(self, make: Callable[[], LearnerGroup]) -> None:
        self._make = make
        self._group: LearnerGroup | None = None
        self._config: RunConfig | None = None
        self._checkpoint: Checkpoint | None = None
        self._since: list[Callable[[LearnerGroup], Metrics]] = []
        """The updates since that checkpoint."""
        self.recoveries_s: list[float] = []
        """How long each restart took, replay included."""
        self._caught_up = False
        """Whether the ranks hold what was learned."""

    def start(self) -> None:
        """Start the ranks in the background, so that they are there when a model is loaded."""
        if self._group is None:
            self._group = self._make()

    def load(self, config: RunConfig, checkpoint: Checkpoint | None) -> None:
        """Load the configured model and continue from a checkpoint, or from nothing."""
        self._config, self._checkpoint = config, checkpoint
        self._since = []
        self._caught_up = False
        self._surely(lambda group: None)

    def update(self, batch: TrainingBatch, step: int) -> Metrics:
        """Train on rollouts; returns the update's metrics.

        Raises:
            LearnerLostError: the ranks are lost however often they are started again.
            DivergedError: as `Learner.update`.
        """
        return self._learn(partial(LearnerGroup.update, batch=ray.put(batch), step=step))

    def profiled_update(self, batch: TrainingBatch, step: int, folder: Path) -> Metrics:
        """The same, with a trace of each rank's operators in the folder."""
        reference = ray.put(batch)
        return self._learn(
            partial(LearnerGroup.profiled_update, batch=reference, step=step, folder=folder)
        )

    def imitate(self, demonstrations: Sequence[ray.ObjectRef], step: int) -> Metrics:
        """Train on demonstrations that lie in the object store; as `update`."""
        return self._learn(partial(LearnerGroup.imitate, demonstrations=demonstrations, step=step))

    def logprobs(self, examples: Sequence[TrainingExample]) -> list[list[float]]:
        """Log-probabilities of completions under the current weights."""
        return self._surely(partial(LearnerGroup.logprobs, examples=examples))

    def weights(self) -> ray.ObjectRef:
        """What is trained: a reference into the object store."""
        return self._surely(LearnerGroup.weights)

    def adapter(self) -> ray.ObjectRef:
        """The adapter's files by name: a reference."""
        return self._surely(LearnerGroup.adapter)

    def save(self, folder: Path) -> None:
        """Write the model and the optimizer's state into a checkpoint's folder."""

        def write(group: LearnerGroup) -> None:
            group.save_model(folder)
            group.save_state(folder / "learner")

        self._surely(write)

    def continue_from(self, checkpoint: Checkpoint) -> None:
        """What was learned until now is in this checkpoint: it need not be replayed."""
        self._checkpoint = checkpoint
        self._since = []

    @property
    def group(self) -> LearnerGroup:
        """The ranks that there are now."""
        assert self._group is not None  # loaded before
        return self._group

    def stop(self) -> None:
        """End all ranks."""
        if self._group is not None:
            self._group.stop()
        self._group, self._caught_up = None, False

    def _learn(self, update: Callable[[LearnerGroup], Metrics]) -> Metrics:
        metrics = self._surely(update)
        self._since.append(update)
        return metrics

    def _surely(self, call: Callable[[LearnerGroup], Result]) -> Result:
        lost_at = None
        for attempt in range(1, ATTEMPTS + 1):
            try:
                group = self._ready_group()
                if lost_at is not None:
                    self.recoveries_s.append(time.monotonic() - lost_at)
                    lost_at = None
                return call(group)
            except LearnerLostError as error:
                if attempt == ATTEMPTS:
                    raise LearnerLostError(
                        f"{error}, {ATTEMPTS} times in a row: mend that, and continue with --resume"
                    ) from error
                logger.warning("%s: all ranks start again", error)
                lost_at = time.monotonic()
                self.stop()
        raise AssertionError  # the last attempt returns or raises

    def _ready_group(self) -> LearnerGroup:
        """The ranks, brought to where they were if need be."""
        assert self._config is not None  # loaded before
        self.start()
        if not self._caught_up:
            self.group.load(self._config)
            if self._checkpoint is not None:
                self.group.load_state(self._checkpoint.path / "learner")
            for update in self._since:
                update(self.group)
            self._caught_up = True
        return self.group
