"""The interface of training steps, and the choice between RL and SFT."""

from pathlib import Path
from typing import Protocol

from cluster.runtime.stopping import StopRequest
from cluster.training.actors import RunActors
from cluster.training.rl_steps import RLSteps
from cluster.training.sft_steps import SFTSteps
from cluster.training.timing import StepMeter
from physrl.config.run import RunConfig
from physrl.scene_source import scene_source
from physrl.storage.checkpoints import Checkpoint
from physrl.types import JSON, Metrics, Split


class TrainingSteps(Protocol):
    """The steps of a phase, which run in order; steps count from 0."""

    def step(self, step: int, profile: Path | None) -> Metrics:
        """Run one step: obtain samples and update on them.

        Args:
            profile: folder for a trace of the update's operators.

        Raises:
            Stopped: a stop was requested before the update.
        """
        ...

    def publish(self) -> None:
        """Publish the learner's weights to the servers, unless every step does."""
        ...

    def restore(self, checkpoint: Checkpoint | None) -> None:
        """Restore the state of a checkpoint that the learner has loaded, or begin without one."""
        ...

    def state(self) -> JSON:
        """Return the entries of a checkpoint's state.json."""
        ...

    def save(self, folder: Path) -> None:
        """Write further files of a checkpoint."""
        ...

    def close(self) -> None:
        """Cancel pending requests, and finish writing files."""
        ...


def make_steps(
    config: RunConfig, actors: RunActors, meter: StepMeter, stop: StopRequest, split: Split
) -> TrainingSteps:
    """Make the steps of the configured algorithm."""
    source, algorithm = scene_source(config, config.task, split), config.algorithm
    if algorithm.uses_rollouts:
        return RLSteps(config, algorithm, actors, meter, stop, source)
    return SFTSteps(config, actors, meter, stop, source)
