"""What the servers' current policy can do, on held-out scenes and on photographs."""

from collections.abc import Sequence

import ray

from cluster.cluster import Cluster
from cluster.rollout_pool import SceneSource
from physrl.config.run import RunConfig, TaskName
from physrl.data.photos import Photo
from physrl.evaluation.evaluator import answered, answered_photo, photo_prompt
from physrl.evaluation.results import Decoding, PolicyResult, TaskResult
from physrl.protocols import Sampling
from physrl.types import Split


def evaluate_policy(
    cluster: Cluster, config: RunConfig, policy: str, photos: Sequence[Photo], split: Split = "test"
) -> PolicyResult:
    """Every configured task, greedy and sampled, and the photographs, greedy."""
    greedy = Sampling(1, 0.0, config.model.max_completion_tokens, seed=config.seed)
    # Far from the seeds of training steps, which count up from the run's.
    sampled = Sampling(
        config.evaluation.samples,
        config.temperature,
        config.model.max_completion_tokens,
        seed=config.seed + 2**31,
    )
    decodings: dict[Decoding, Sampling] = {"greedy": greedy, "sampled": sampled}
    results = [
        evaluate_task(cluster, config, task, split, decoding, sampling)
        for task in config.evaluation.tasks
        for decoding, sampling in decodings.items()
    ]
    if photos:
        prompts = [photo_prompt(photo, reasoning=config.model.reasoning) for photo in photos]
        generations = cluster.servers.generate(prompts, greedy)
        answers = [
            answered_photo(photo, generation.completions[0])
            for photo, generation in zip(photos, generations, strict=True)
        ]
        results.append(TaskResult("real", "greedy", tuple(answers)))
    return PolicyResult(policy, tuple(results))


def evaluate_task(
    cluster: Cluster,
    config: RunConfig,
    task: TaskName,
    split: Split,
    decoding: Decoding,
    sampling: Sampling,
) -> TaskResult:
    """The configured number of held-out scenes of one task, under one way of decoding."""
    source = SceneSource(task, config.environment, config.seed, split, config.model.reasoning)
    prepared = cluster.pool.prepare(source, range(config.evaluation.scenes))
    generated: list[ray.ObjectRef] = [
        cluster.servers.submit(chunk.prompts, sampling) for chunk in prepared
    ]
    groups = cluster.pool.roll_out(prepared, generated, config.reward)
    answers = [answered(group.scene, rollout) for group in groups for rollout in group.rollouts]
    return TaskResult(task, decoding, tuple(answers))
