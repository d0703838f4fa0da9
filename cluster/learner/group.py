"""The learner: all its ranks, and recovery from lost ranks.

update, save, ... -> ranks -- one dies --> all ranks are restarted,
                                           the newest checkpoint is loaded,
                                           every update since then is replayed
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import ray
from ray.exceptions import ObjectLostError

from cluster.learner.rank import LearnerRank
from cluster.learner.ranks import Ranks
from cluster.runtime.placement import Placement
from physrl.algorithms.metrics import combine
from physrl.config.run import RunConfig
from physrl.config.runtime import RuntimeConfig
from physrl.errors import LearnerLostError, LostError
from physrl.storage.checkpoints import Checkpoint
from physrl.training_records import TrainingExample
from physrl.types import Metrics

ATTEMPTS = 3
"""Number of attempts at a call before the loss of ranks ends the run."""
Result = TypeVar("Result")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Update:
    """An update that can be replayed, since its samples are in the object store."""

    step: int
    samples: tuple[ray.ObjectRef, ...]

    def __call__(self, ranks: Ranks, profile: Path | None = None) -> Metrics:
        ranks.call("receive", *self.samples)
        metrics = combine(ranks.call("update", self.step, profile))
        if profile is not None:
            ranks.fetch(profile)
        return metrics


class LearnerGroup:
    """The group of all learner ranks, which recovers from lost ranks.

    The ranks start with `start`, or when a model is first loaded. Samples stay in the object store
    until the next checkpoint, so that restarted ranks reach the same weights, bit by bit on a CPU.
    Ray spills them to disk if there are many.

    Args:
        rank: class of the actors; another one in tests.

    Raises (all methods that call the ranks):
        LearnerLostError: ranks were lost in every attempt.
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
        """Updates since the checkpoint."""
        self._restored = False
        """True if the ranks have loaded the checkpoint and replayed the updates."""
        self.recoveries_s: list[float] = []
        """Duration of each recovery, replay included."""

    def start(self) -> Ranks:
        """Start the ranks in the background, unless they are running, and return them."""
        if self._ranks is None:
            self._ranks = self._make()
        return self._ranks

    def load(self, config: RunConfig, checkpoint: Checkpoint | None) -> None:
        """Load the configured model, and the state of a checkpoint if there is one."""
        self._config, self._checkpoint = config, checkpoint
        self._updates = []
        self._restored = False
        self._with_recovery(lambda ranks: None)

    def update(
        self, step: int, samples: Sequence[ray.ObjectRef], profile: Path | None = None
    ) -> Metrics:
        """Train on a step's samples, and return the update's metrics.

        Args:
            samples: references to `StepRollouts` or a `TrainingBatch`, or to lists of
                demonstrations.
            profile: folder for a trace of each rank's operators.

        Raises:
            ObjectLostError: samples were lost with a machine; the ranks have not begun to update.
            DivergedError: too many updates were not finite, see `Learner.update`.
        """
        update = _Update(step, tuple(samples))
        metrics = self._with_recovery(lambda ranks: update(ranks, profile))
        self._updates.append(update)
        return metrics

    def logprobs(self, examples: Sequence[TrainingExample]) -> list[list[float]]:
        """Compute the log-probabilities of the examples' completions under the current weights."""
        scores: list[list[list[float]]] = self._with_recovery(
            lambda ranks: ranks.call("logprobs", list(examples))
        )
        return scores[0]

    def free_cache(self) -> None:
        """Return the GPU memory that PyTorch caches between updates."""
        self._with_recovery(lambda ranks: ranks.call("free_cache"))

    def weights(self) -> ray.ObjectRef:
        """Gather the trained weights in the object store: an adapter's files, or a state dict."""
        return self._with_recovery(lambda ranks: ranks.gather("weights"))

    def save(self, folder: Path) -> None:
        """Write the model and the optimizer's state into a checkpoint's folder."""

        def write(ranks: Ranks) -> None:
            ranks.call("save_model", folder)
            ranks.call("save_state", folder / "learner")
            ranks.fetch(folder)

        self._with_recovery(write)

    def continue_from(self, checkpoint: Checkpoint) -> None:
        """Recover from this checkpoint from now on, and forget the updates before it."""
        self._checkpoint = checkpoint
        self._updates = []

    def stop(self) -> None:
        """Kill all ranks."""
        if self._ranks is not None:
            self._ranks.stop()
        self._ranks, self._restored = None, False

    def _with_recovery(self, call: Callable[[Ranks], Result]) -> Result:
        """Call the ranks; if one is lost, restart and restore all of them and retry."""
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
                        f"{error}, {ATTEMPTS} times in a row: fix the cause and continue with "
                        "--resume"
                    ) from error
                logger.warning("%s: restarting all ranks", error)
                lost_at = time.monotonic()
                self.stop()
        raise AssertionError  # the last attempt returns or raises

    def _restore(self) -> None:
        """Load the checkpoint and replay the updates since, unless the ranks hold them."""
        if self._restored:
            return
        config = self._config
        assert config is not None  # `load` comes first
        state = None if self._checkpoint is None else self._checkpoint.path / "learner"
        ranks = self.start()
        ranks.join()
        for folder in (Path(config.model.path), config.model.adapter, state):
            if folder is not None and Path(folder).is_dir():
                ranks.send(Path(folder))
        ranks.call("load", config, state)
        for update in self._updates:
            try:
                update(ranks)
            except ObjectLostError as error:
                raise LostError(
                    f"step {update.step + 1} cannot be repeated, since its samples were lost with "
                    "a machine: continue with --resume"
                ) from error
        self._restored = True
