"""The two kinds of training steps: on rollouts (RL), and on demonstrations (SFT)."""

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
    """Runs the steps of a phase, in order; steps count from 0."""

    def step(self, step: int, profile: Path | None) -> Metrics:
        """Run one step, samples and update.

        Args:
            profile: a folder that gets a trace of the update's operators.

        Raises:
            Stopped: a stop was requested before the update.
        """
        ...

    def publish(self) -> None:
        """Have the servers sample from the learner's weights, unless they do."""
        ...

    def restore(self, checkpoint: Checkpoint | None) -> None:
        """Continue from a checkpoint that the learner has loaded, or begin."""
        ...

    def state(self) -> JSON:
        """Return what a checkpoint's state.json holds of the steps."""
        ...

    def save(self, folder: Path) -> None:
        """Write what else a checkpoint's folder holds of the steps."""
        ...

    def close(self) -> None:
        """Give up what is under way, and write down what was made."""
        ...


def make_steps(
    config: RunConfig, actors: RunActors, meter: StepMeter, stop: StopRequest, split: Split
) -> TrainingSteps:
    """Choose the steps of the configured algorithm."""
    source, algorithm = scene_source(config, config.task, split), config.algorithm
    if algorithm.uses_rollouts:
        return RLSteps(config, algorithm, actors, meter, stop, source)
    return SFTSteps(config, actors, meter, stop, source)
