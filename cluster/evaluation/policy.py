"""What the servers' current policy can do, on held-out scenes and on photographs."""

from collections.abc import Sequence

from cluster.rollout.pipeline import Order
from cluster.runtime.stopping import StopRequest
from cluster.training.actors import Cluster
from physrl.config.run import RunConfig
from physrl.config.task import TaskName
from physrl.data.photos import Photo
from physrl.evaluation.evaluator import answered, answered_photo, photo_prompt
from physrl.evaluation.results import Decoding, PolicyResult, TaskResult
from physrl.protocols import Generator, Sampling
from physrl.scene_source import scene_source
from physrl.tasks.prediction import request_prediction
from physrl.types import Split


def evaluate_policy(
    cluster: Cluster, config: RunConfig, policy: str, photos: Sequence[Photo], stop: StopRequest
) -> PolicyResult:
    """Every configured task on test scenes, greedy and sampled; the photographs, greedy.

    Raises:
        Stopped: a stop was requested meanwhile.
    """
    greedy = Sampling(1, 0.0, config.model.max_completion_tokens, seed=config.seed)
    # Far from the seeds of training steps, which count up from the run's.
    sampled = Sampling(
        1, config.temperature, config.model.max_completion_tokens, seed=config.seed + 2**31
    )
    decodings: dict[Decoding, Sampling] = {"greedy": greedy, "sampled": sampled}
    results = [
        evaluate_task(cluster, config, task, "test", decoding, sampling, stop)
        for task in config.evaluation.tasks
        for decoding, sampling in decodings.items()
    ]
    if photos:
        results.append(_evaluate_photos(cluster.servers, config, photos, greedy))
    return PolicyResult(policy, tuple(results))


def evaluate_task(
    cluster: Cluster,
    config: RunConfig,
    task: TaskName,
    split: Split,
    decoding: Decoding,
    sampling: Sampling,
    stop: StopRequest,
) -> TaskResult:
    """The configured number of held-out scenes of one task, under one way of decoding."""
    source = scene_source(config, task, split)
    order = Order(source, range(config.evaluation.scenes), sampling, config.reward)
    groups = stop.wait_for(cluster.rollouts.submit(order))
    answers = [answered(group.scene, rollout) for _, group in groups for rollout in group.rollouts]
    return TaskResult(task, decoding, tuple(answers))


def _evaluate_photos(
    generator: Generator, config: RunConfig, photos: Sequence[Photo], sampling: Sampling
) -> TaskResult:
    prompts = [photo_prompt(photo, reasoning=config.model.reasoning) for photo in photos]
    if config.auxiliary is not None and config.auxiliary.predicts:
        prompts = [request_prediction(prompt) for prompt in prompts]
    generations = generator.generate(prompts, sampling)
    answers = [
        answered_photo(photo, generation.completions[0])
        for photo, generation in zip(photos, generations, strict=True)
    ]
    return TaskResult("real", "greedy", tuple(answers))
