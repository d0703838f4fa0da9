"""SFT steps: demonstrations, made one step ahead, and an update on them."""

from concurrent.futures import Future
from pathlib import Path

import ray

from cluster.runtime.stopping import StopRequest
from cluster.training.actors import RunActors
from cluster.training.steps import NO_SCENES, TrainingSteps
from cluster.training.timing import StepMeter
from physrl.config.run import RunConfig
from physrl.errors import LostError
from physrl.question_source import Source
from physrl.rollout import step_indices
from physrl.types import Metrics


class SFTSteps(TrainingSteps):
    """Steps on demonstrations, which are a function of the step and need no state."""

    def __init__(
        self,
        config: RunConfig,
        actors: RunActors,
        meter: StepMeter,
        stop: StopRequest,
        source: Source,
    ) -> None:
        super().__init__(config, actors, meter, stop, source)
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

    def close(self) -> None:
        for future in self._requested.values():
            future.cancel()
