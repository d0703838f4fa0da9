"""The base class of training steps."""

from pathlib import Path

from cluster.runtime.stopping import StopRequest
from cluster.training.actors import RunActors
from cluster.training.timing import StepMeter
from physrl.config.run import RunConfig
from physrl.question_source import Source
from physrl.storage.checkpoints import Checkpoint
from physrl.types import JSON, Metrics

NO_SCENES = (
    "all scenes of a step are in quarantine: fix the cause that earlier warnings name, and "
    "continue with --resume"
)


class TrainingSteps:
    """The steps of a phase, which run in order; steps count from 0."""

    def __init__(
        self,
        config: RunConfig,
        actors: RunActors,
        meter: StepMeter,
        stop: StopRequest,
        source: Source,
    ) -> None:
        self._config, self._actors, self._source = config, actors, source
        self._meter, self._stop = meter, stop

    def step(self, step: int, profile: Path | None) -> Metrics:
        """Run one step: obtain samples and update on them.

        Args:
            profile: folder for a trace of the update's operators.

        Raises:
            Stopped: a stop was requested before the update.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Cancel pending requests, and finish writing files."""

    def publish(self) -> None:
        """Publish the learner's weights to the servers, unless every step does."""

    def restore(self, checkpoint: Checkpoint | None) -> None:
        """Restore the state of a checkpoint that the learner has loaded, or begin without one."""

    def state(self) -> JSON:
        """Return the entries of a checkpoint's state.json."""
        return {}

    def save(self, folder: Path) -> None:
        """Write further files of a checkpoint."""
