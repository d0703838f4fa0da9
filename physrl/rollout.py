"""From completions to rollouts: parse, act, score, ask again.

The controller's workers and the reference loop both call these.
"""

from collections.abc import Sequence
from dataclasses import replace

from physrl.config.algorithm import SFTConfig
from physrl.config.auxiliary import OutcomeConfig
from physrl.config.reward import RewardConfig
from physrl.config.run import RunConfig
from physrl.environments.renderer import Renderer
from physrl.environments.simulator import Simulator, start_pose
from physrl.protocols import Sampling
from physrl.rewards.score import score
from physrl.scene_source import SceneSource, prepare
from physrl.tasks import TASKS
from physrl.tasks.answers import LARGEST_OFFSET, answer_text, words
from physrl.tasks.examples import blanked
from physrl.tasks.prediction import parse_prediction
from physrl.tasks.task import Task, feedback_text
from physrl.types import (
    Action,
    Attempt,
    Completion,
    Generation,
    Offset,
    Outcome,
    Prompt,
    Rollout,
    RolloutGroup,
    SceneSpec,
    Turn,
)


def step_indices(config: RunConfig, step: int) -> range:
    """The scenes of a training step; steps count from 0."""
    count = config.algorithm.prompts_per_step
    return range(step * count, (step + 1) * count)


def retry_sampling(sampling: Sampling) -> Sampling:
    """How later attempts of a rollout are drawn: each goes on alone."""
    return replace(sampling, group_size=1)


def training_sampling(config: RunConfig, step: int) -> Sampling:
    """How the completions of a training step are drawn."""
    algorithm = config.algorithm
    assert not isinstance(algorithm, SFTConfig)  # it samples nothing
    return Sampling(
        group_size=algorithm.group_size,
        temperature=config.temperature,
        max_tokens=config.model.max_completion_tokens,
        seed=config.seed + step,
    )


def roll_out(
    scenes: Sequence[SceneSpec],
    prompts: Sequence[Prompt],
    generations: Sequence[Generation],
    reward: RewardConfig,
    simulator: Simulator,
    auxiliary: OutcomeConfig | None = None,
) -> list[RolloutGroup]:
    """Carry out every completion of every prompt: each rollout's first attempt.

    Args:
        auxiliary: that of the prompts' source.

    Raises:
        SimulationError: PyBullet gave values that are not finite.
    """
    groups = []
    for scene, prompt, generation in zip(scenes, prompts, generations, strict=True):
        carry_out = _Scene(scene, simulator, auxiliary)
        rollouts = []
        for completion in generation.completions:
            attempts = (carry_out(prompt, generation.prompt_token_ids, completion),)
            rollouts.append(Rollout(attempts, score(scene, attempts, reward, auxiliary)))
        groups.append(RolloutGroup(scene, prompt, tuple(rollouts)))
    return groups


def follow_ups(
    groups: Sequence[RolloutGroup], renderer: Renderer, source: SceneSource
) -> list[Prompt]:
    """What the model is asked next: one prompt for each rollout that may try again, in order.

    Of what it said only the answer is repeated: thoughts would fill the prompt, and words that are
    no answer might spell the template's own tokens.
    """
    prompts = []
    for group in groups:
        task = TASKS[group.scene.task]
        for place, rollout in enumerate(group.rollouts):
            if not _may_retry(rollout, task):
                continue
            last, count = rollout.last, len(rollout.attempts)
            poses = last.outcome.poses or tuple(map(start_pose, group.scene.blocks))
            image = renderer.render(
                poses, group.scene.camera, group.scene.appearance, source.environment.image_size
            )
            turns = (
                *last.prompt.turns,
                Turn("assistant", repeated(last.action, task)),
                Turn("user", feedback_text(last.outcome, reasoning=source.reasoning), (image,)),
            )
            asked = source.asked(Prompt(f"{group.prompt.prompt_id}#{place}.{count}", turns))
            prompts.append(blanked(asked) if source.blank else asked)
    return prompts


def longest_conversation(source: SceneSource, renderer: Renderer) -> Prompt:
    """The last attempt's prompt in the first scene, as long as any can be; of one task."""
    task = TASKS[source.task]
    (scene,), (prompt,) = prepare(source, [0], renderer)
    answered = Turn("assistant", repeated(Offset(-LARGEST_OFFSET, -LARGEST_OFFSET), task))
    failed = Outcome("illegal", success=False)
    asked = Turn("user", feedback_text(failed, reasoning=source.reasoning), prompt.images)
    (asked,) = source.asked(Prompt(scene.scene_id, (asked,))).turns
    return Prompt(scene.scene_id, prompt.turns + (answered, asked) * (task.attempts - 1))


def repeated(action: Action, task: Task) -> str:
    """What the model is reminded of having answered."""
    return answer_text(words(action, task.axes)) if words(action, task.axes) else "No answer."


def retry(
    groups: Sequence[RolloutGroup],
    prompts: Sequence[Prompt],
    generations: Sequence[Generation],
    reward: RewardConfig,
    simulator: Simulator,
    auxiliary: OutcomeConfig | None = None,
) -> list[RolloutGroup]:
    """Carry out the next attempt of every rollout that may try again; the others stay.

    Args:
        prompts: from `follow_ups`.
        generations: one a prompt, of one completion each.
        auxiliary: that of the prompts' source.
    """
    answers = iter(list(zip(prompts, generations, strict=True)))
    retried = []
    for group in groups:
        task = TASKS[group.scene.task]
        carry_out = _Scene(group.scene, simulator, auxiliary)
        rollouts = []
        for rollout in group.rollouts:
            if _may_retry(rollout, task):
                prompt, generation = next(answers)
                (completion,) = generation.completions
                attempt = carry_out(prompt, generation.prompt_token_ids, completion)
                attempts = (*rollout.attempts, attempt)
                rollout = Rollout(attempts, score(group.scene, attempts, reward, auxiliary))
            rollouts.append(rollout)
        retried.append(replace(group, rollouts=tuple(rollouts)))
    return retried


def _may_retry(rollout: Rollout, task: Task) -> bool:
    return not rollout.last.outcome.success and len(rollout.attempts) < task.attempts


class _Scene:
    """Carries completions out in one scene; equal actions are simulated once."""

    def __init__(
        self, scene: SceneSpec, simulator: Simulator, auxiliary: OutcomeConfig | None
    ) -> None:
        self._scene, self._simulator = scene, simulator
        self._predicts = auxiliary is not None and auxiliary.predicts
        self._outcomes: dict[Action, Outcome] = {}

    def __call__(
        self, prompt: Prompt, prompt_token_ids: tuple[int, ...], completion: Completion
    ) -> Attempt:
        task = TASKS[self._scene.task]
        said, answer = (
            parse_prediction(completion.text) if self._predicts else (None, completion.text)
        )
        action = task.parse(answer)
        if action not in self._outcomes:
            self._outcomes[action] = task.act(self._scene, action, self._simulator)
        outcome = self._outcomes[action]
        return Attempt(prompt, prompt_token_ids, completion, action, outcome, said)
