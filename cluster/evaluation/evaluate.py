"""Evaluation of the servers' current policy on held-out scenes and on photographs."""

from collections.abc import Callable, Sequence
from functools import partial

from cluster.inference.servers import InferenceServers
from cluster.rollout.workers import Rollouts
from cluster.runtime.stopping import StopRequest
from physrl.config.run import RunConfig
from physrl.config.study import Decoding
from physrl.config.task import TaskName
from physrl.data.photos import Photo
from physrl.evaluation.answers import photo_answer
from physrl.evaluation.requests import SAMPLED, run_photo_prompts
from physrl.evaluation.results import CellResult, PolicyResult
from physrl.evaluation.specs import Condition
from physrl.protocols import RolloutRequest, Sampling
from physrl.scene_source import scene_source
from physrl.types import Split


def evaluate_policy(
    rollouts: Rollouts,
    servers: InferenceServers,
    config: RunConfig,
    policy: str,
    photos: Sequence[Photo],
    stop: StopRequest,
    save: Callable[[PolicyResult], None],
) -> PolicyResult:
    """Evaluate every configured task, greedy and sampled, and the photographs, greedy.

    Args:
        save: is called with all results so far after each, so that a failure loses none of them.

    Raises:
        Stopped: a stop was requested.
    """
    decodings: tuple[Decoding, ...] = ("greedy", "sampled")
    measures: list[Callable[[], CellResult]] = [
        partial(evaluate_task, rollouts, config, task, "test", decoding, stop)
        for task in config.evaluation.tasks
        for decoding in decodings
    ]
    if photos:
        measures.append(partial(_evaluate_photos, servers, config, photos, stop))
    result = PolicyResult(policy, ())
    for measure in measures:
        result = PolicyResult(policy, (*result.results, measure()))
        save(result)
    return result


def evaluate_task(
    rollouts: Rollouts,
    config: RunConfig,
    task: TaskName,
    split: Split,
    decoding: Decoding,
    stop: StopRequest,
) -> CellResult:
    """Evaluate one task on the configured number of held-out scenes.

    Raises:
        Stopped: a stop was requested.
    """
    request = RolloutRequest(
        scene_source(config, task, split),
        range(config.evaluation.scenes),
        evaluation_sampling(config, decoding),
        config.reward,
    )
    groups = stop.wait_for(rollouts.submit(request))
    answers = stop.wait_for(rollouts.answers(groups))
    return CellResult(Condition(task, decoding=decoding), tuple(answers))


def evaluation_sampling(config: RunConfig, decoding: Decoding) -> Sampling:
    """Return the sampling parameters of a run's evaluation: one completion for each prompt."""
    longest = config.model.max_completion_tokens
    if decoding == "greedy":
        return Sampling(1, 0.0, longest, seed=config.seed)
    return Sampling(1, config.temperature, longest, seed=config.seed + SAMPLED)


def _evaluate_photos(
    servers: InferenceServers, config: RunConfig, photos: Sequence[Photo], stop: StopRequest
) -> CellResult:
    prompts = run_photo_prompts(config, photos)
    generations = stop.wait_for(servers.answer(prompts, evaluation_sampling(config, "greedy")))
    answers = [
        photo_answer(photo, generation.completions[0])
        for photo, generation in zip(photos, generations, strict=True)
    ]
    return CellResult(Condition("stability", "real"), tuple(answers))
