"""Evaluation of the servers' current policy on held-out scenes and on photographs."""

from collections.abc import Sequence

from cluster.inference.servers import InferenceServers
from cluster.rollout.workers import Rollouts
from cluster.runtime.stopping import StopRequest
from physrl.config.run import RunConfig
from physrl.config.study import Decoding
from physrl.config.task import TaskName
from physrl.data.photos import Photo
from physrl.evaluation.answers import photo_answer, photo_prompt
from physrl.evaluation.requests import SAMPLED
from physrl.evaluation.results import CellResult, PolicyResult
from physrl.evaluation.specs import Condition
from physrl.protocols import RolloutRequest, Sampling
from physrl.scene_source import scene_source
from physrl.tasks.prediction import request_prediction
from physrl.types import Split


def evaluate_policy(
    rollouts: Rollouts,
    servers: InferenceServers,
    config: RunConfig,
    policy: str,
    photos: Sequence[Photo],
    stop: StopRequest,
) -> PolicyResult:
    """Evaluate every configured task, greedy and sampled, and the photographs, greedy.

    Raises:
        Stopped: a stop was requested.
    """
    decodings: tuple[Decoding, ...] = ("greedy", "sampled")
    results = [
        evaluate_task(rollouts, config, task, "test", decoding, stop)
        for task in config.evaluation.tasks
        for decoding in decodings
    ]
    if photos:
        results.append(_evaluate_photos(servers, config, photos, stop))
    return PolicyResult(policy, tuple(results))


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
    prompts = [photo_prompt(photo, reasoning=config.model.reasoning) for photo in photos]
    if config.auxiliary is not None and config.auxiliary.predicts:
        prompts = [request_prediction(prompt) for prompt in prompts]
    generations = stop.wait_for(servers.answer(prompts, evaluation_sampling(config, "greedy")))
    answers = [
        photo_answer(photo, generation.completions[0])
        for photo, generation in zip(photos, generations, strict=True)
    ]
    return CellResult(Condition("stability", "real"), tuple(answers))
