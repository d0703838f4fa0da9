"""SFT steps: demonstrations, made one step ahead, and an update on them."""

from concurrent.futures import Future
from pathlib import Path

import ray

from cluster.runtime.stopping import StopRequest
from cluster.training.actors import RunActors
from cluster.training.timing import StepMeter
from physrl.config.run import RunConfig
from physrl.errors import LostError
from physrl.rollout import step_indices
from physrl.scene_source import SceneSource
from physrl.storage.checkpoints import Checkpoint
from physrl.types import JSON, Metrics

NO_SCENES = (
    "all scenes of a step are in quarantine: fix the cause that earlier warnings name, and "
    "continue with --resume"
)


class SFTSteps:
    """`TrainingSteps` on demonstrations."""

    def __init__(
        self,
        config: RunConfig,
        actors: RunActors,
        meter: StepMeter,
        stop: StopRequest,
        source: SceneSource,
    ) -> None:
        self._config, self._actors, self._meter, self._stop = config, actors, meter, stop
        self._source = source
        self._requested: dict[int, Future[list[ray.ObjectRef]]] = {}

    def step(self, step: int, profile: Path | None) -> Metrics:
        for each in range(step, min(step + 2, self._config.algorithm.steps)):
            if each not in self._requested:
                indices = step_indices(self._config, each)
                self._requested[each] = self._actors.rollouts.demonstrate(self._source, indices)
        with self._meter.phase("demonstrating"):
            demonstrations = self._stop.wait_for(self._requested.pop(step))
        if not demonstrations:
            raise LostError(NO_SCENES)
        with self._actors.learning(), self._meter.phase("updating"):
            return self._actors.learner.update(step, demonstrations, profile)

    def publish(self) -> None:
        self._actors.weights.publish()

    def restore(self, checkpoint: Checkpoint | None) -> None:
        """Do nothing, since demonstrations are a function of the step."""

    def state(self) -> JSON:
        return {}

    def save(self, folder: Path) -> None:
        """Do nothing, since demonstrations are a function of the step."""

    def close(self) -> None:
        for future in self._requested.values():
            future.cancel()
