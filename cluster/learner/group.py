"""The learner, which outlives its ranks.

update, save, ... -> ranks -- one dies --> all ranks end, others start,
                                           the newest checkpoint is loaded,
                                           every batch since then is replayed
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import ray

from cluster.learner.rank import LearnerRank
from cluster.learner.ranks import Ranks
from cluster.runtime.placement import Placement
from physrl.algorithms.metrics import combine
from physrl.config.run import RunConfig
from physrl.config.runtime import RuntimeConfig
from physrl.errors import LearnerLostError
from physrl.storage.checkpoints import Checkpoint
from physrl.types import Metrics, TrainingExample

ATTEMPTS = 3
"""A call over which so many learners are lost ends the run."""
Result = TypeVar("Result")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Update:
    """A step's update, which can be replayed: its samples lie in the object store."""

    step: int
    samples: tuple[ray.ObjectRef, ...]

    def __call__(self, ranks: Ranks, profile: Path | None = None) -> Metrics:
        metrics = combine(ranks.call("update", self.step, profile, *self.samples))
        if profile is not None:
            ranks.fetch(profile)
        return metrics


class LearnerGroup:
    """All learner ranks together; they start with `start`, or when a model is first loaded.

    Samples stay in the object store until the next checkpoint, so that the successor of a lost
    learner comes to the same weights, bit by bit on a CPU. Ray spills them to the disk when there
    are many.

    Args:
        rank: class of the actors; another one in tests.

    Raises (all methods that call the ranks):
        LearnerLostError: the ranks are lost however often they are started again.
    """

    def __init__(
        self,
        runtime: RuntimeConfig,
        placement: Placement,
        rank: type[LearnerRank] = LearnerRank,
    ) -> None:
        self._make: Callable[[], Ranks] = lambda: Ranks(runtime, placement, rank)
        self._ranks: Ranks | None = None
        self._config: RunConfig | None = None
        self._checkpoint: Checkpoint | None = None
        self._updates: list[_Update] = []
        """The updates since that checkpoint."""
        self._restored = False
        """Whether the ranks hold the checkpoint and the updates."""
        self.recoveries_s: list[float] = []
        """Duration of each restart, replay included."""

    def start(self) -> Ranks:
        """Start the ranks in the background, unless there are any, and return them."""
        if self._ranks is None:
            self._ranks = self._make()
        return self._ranks

    def load(self, config: RunConfig, checkpoint: Checkpoint | None) -> None:
        """Load the configured model, and continue from a checkpoint or from nothing."""
        self._config, self._checkpoint = config, checkpoint
        self._updates = []
        self._restored = False
        self._recovering(lambda ranks: None)

    def update(
        self, step: int, samples: Sequence[ray.ObjectRef], profile: Path | None = None
    ) -> Metrics:
        """Train on a step's samples, and return the update's metrics.

        Args:
            samples: references to a `TrainingBatch`, or to lists of demonstrations.
            profile: a folder that gets a trace of each rank's operators.

        Raises:
            DivergedError: as `Learner.update`.
        """
        update = _Update(step, tuple(samples))
        metrics = self._recovering(lambda ranks: update(ranks, profile))
        self._updates.append(update)
        return metrics

    def logprobs(self, examples: Sequence[TrainingExample]) -> list[list[float]]:
        """Score the examples' completions under the current weights."""
        scores: list[list[list[float]]] = self._recovering(
            lambda ranks: ranks.call("logprobs", list(examples))
        )
        return scores[0]

    def weights(self) -> ray.ObjectRef:
        """Gather what is trained in the object store: an adapter's files, or a state dict."""
        return self._recovering(lambda ranks: ranks.gather("weights"))

    def save(self, folder: Path) -> None:
        """Write the model and the optimizer's state into a checkpoint's folder."""

        def write(ranks: Ranks) -> None:
            ranks.call("save_model", folder)
            ranks.call("save_state", folder / "learner")
            ranks.fetch(folder)

        self._recovering(write)

    def continue_from(self, checkpoint: Checkpoint) -> None:
        """Replay only the updates after this checkpoint from now on."""
        self._checkpoint = checkpoint
        self._updates = []

    def stop(self) -> None:
        """End all ranks."""
        if self._ranks is not None:
            self._ranks.stop()
        self._ranks, self._restored = None, False

    def _recovering(self, call: Callable[[Ranks], Result]) -> Result:
        """Call the ranks; where one is lost, all start again and catch up first."""
        lost_at = None
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._restore()
                if lost_at is not None:
                    self.recoveries_s.append(time.monotonic() - lost_at)
                    lost_at = None
                return call(self.start())
            except LearnerLostError as error:
                if attempt == ATTEMPTS:
                    raise LearnerLostError(
                        f"{error}, {ATTEMPTS} times in a row: mend that, and continue with --resume"
                    ) from error
                logger.warning("%s: all ranks start again", error)
                lost_at = time.monotonic()
                self.stop()
        raise AssertionError  # the last attempt returns or raises

    def _restore(self) -> None:
        """Bring the ranks to where the learner was, unless they are there."""
        if self._restored:
            return
        config = self._config
        assert config is not None  # loaded before
        state = None if self._checkpoint is None else self._checkpoint.path / "learner"
        ranks = self.start()
        ranks.join()
        for folder in (Path(config.model.path), config.model.adapter, state):
            if folder is not None and Path(folder).is_dir():
                ranks.send(Path(folder))
        ranks.call("load", config, state)
        for update in self._updates:
            update(ranks)
        self._restored = True
