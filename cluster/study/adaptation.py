"""Adaptation of a model to another task: a few steps of SFT with evaluations in between."""

from contextlib import closing
from itertools import pairwise
from pathlib import Path

import ray

from cluster.evaluation.evaluate import evaluate_task
from cluster.runtime.stopping import StopRequest
from cluster.training.actors import RunActors
from cluster.training.phases import trained_model
from physrl.config.run import RunConfig
from physrl.evaluation.adaptation import AdaptationCurve
from physrl.evaluation.specs import AdaptationSpec
from physrl.rollout import step_indices
from physrl.scene_source import scene_source
from physrl.world import World


def adapt(spec: AdaptationSpec, checkpoint: Path | None, actors: RunActors) -> AdaptationCurve:
    """Train the subject's model on the task, and record its greedy successes along the way.

    Args:
        checkpoint: checkpoint of the subject; None for the model before training.
        actors: actors of the same base model; they hold the adapted model afterwards.
    """
    config = _started(spec, checkpoint)
    demonstrated = config.model_copy(update={"seed": spec.seed})
    source = scene_source(demonstrated, config.task, "train")
    successes: list[tuple[bool, ...]] = []

    def measure() -> None:
        actors.weights.publish()
        result = evaluate_task(
            actors.rollouts, config, config.task, "test", "greedy", StopRequest()
        )
        successes.append(tuple(answer.success for answer in result.answers))

    with actors.learning():
        actors.learner.load(config, None)
    measure()
    with closing(World()) as world:
        for measured, following in pairwise(spec.steps):
            with actors.learning():
                for step in range(measured, following):
                    demonstrations = world.demonstrate(source, step_indices(config, step))
                    actors.learner.update(step, [ray.put(demonstrations)])
            measure()
    return AdaptationCurve(
        spec.key, spec.steps, config.algorithm.prompts_per_step, tuple(successes)
    )


def _started(spec: AdaptationSpec, checkpoint: Path | None) -> RunConfig:
    """Return the run with the subject's weights and the number of scenes of the spec."""
    config = spec.config
    model = config.model if checkpoint is None else trained_model(config.model, checkpoint)
    evaluation = config.evaluation.model_copy(update={"scenes": spec.scenes})
    return config.model_copy(update={"model": model, "evaluation": evaluation})
