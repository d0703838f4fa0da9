"""How fast a model learns another task: a few steps of SFT, measured in between."""

from itertools import pairwise
from pathlib import Path

import ray

from cluster.evaluation.policy import evaluate_task
from cluster.inference.cell_server import policy_files
from cluster.runtime.stopping import StopRequest
from cluster.training.actors import Cluster
from physrl.config.run import RunConfig
from physrl.demonstrations import demonstrate
from physrl.environments.renderer import make_renderer
from physrl.environments.simulator import Simulator
from physrl.evaluation.adaptation import AdaptationCurve
from physrl.evaluation.specs import AdaptationSpec
from physrl.protocols import Sampling
from physrl.rollout import step_indices
from physrl.scene_source import scene_source


def adapt(spec: AdaptationSpec, checkpoint: Path | None, cluster: Cluster) -> AdaptationCurve:
    """Train the subject's model on the task, and count its greedy successes on the way.

    Args:
        checkpoint: the subject's; None: the model before training.
        cluster: one whose servers hold the same base; they hold the adapted model afterwards.
    """
    config = _started(spec, checkpoint)
    greedy = Sampling(1, 0.0, config.model.max_completion_tokens, seed=config.seed)
    source = scene_source(config, config.task, "train")
    renderer, simulator = make_renderer(config.environment), Simulator()
    successes: list[tuple[bool, ...]] = []

    def measure() -> None:
        cluster.publish()
        result = evaluate_task(
            cluster, config, config.task, "test", "greedy", greedy, StopRequest()
        )
        successes.append(tuple(answer.success for answer in result.answers))

    cluster.learners.load(config, None)
    measure()
    for measured, following in pairwise(spec.steps):
        with cluster.learning():
            for step in range(measured, following):
                shown = demonstrate(source, step_indices(config, step), renderer, simulator)
                cluster.learners.imitate([ray.put(shown)], step)
        measure()
    renderer.close()
    simulator.close()
    return AdaptationCurve(
        spec.key, spec.steps, config.algorithm.prompts_per_step, tuple(successes)
    )


def _started(spec: AdaptationSpec, checkpoint: Path | None) -> RunConfig:
    """The run from the subject's weights, measured on as many scenes as the spec says."""
    config = spec.config
    model = config.model
    if checkpoint is not None:
        files = policy_files(spec.subject.key, checkpoint)
        model = model.model_copy(
            update={"path": files.model or model.path, "adapter": files.adapter or model.adapter}
        )
    evaluation = config.evaluation.model_copy(update={"scenes": spec.scenes})
    return config.model_copy(update={"model": model, "evaluation": evaluation})
