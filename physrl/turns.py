"""Turns of a rollout: carry completions out, score them, and ask again where a task allows it."""

from collections.abc import Sequence
from dataclasses import replace

from physrl.config.auxiliary import OutcomeConfig
from physrl.config.reward import RewardConfig
from physrl.environments.renderer import Renderer
from physrl.environments.simulator import Simulator, start_pose
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

NO_ANSWER = "No answer."
"""Repeated to the model in place of an answer that could not be parsed."""


def carry_out(
    group: RolloutGroup,
    prompts: Sequence[Prompt],
    generations: Sequence[Generation],
    reward: RewardConfig,
    simulator: Simulator,
    auxiliary: OutcomeConfig | None = None,
) -> RolloutGroup:
    """Carry out one turn of a group: its first completions, or the next attempts.

    Args:
        prompts: the group's first prompt, or those of `follow_ups`.
        generations: one a prompt; the first turn's holds the whole group, later ones hold one.
        auxiliary: the auxiliary prediction that the prompts ask for.

    Raises:
        SimulationError: PyBullet gave values that are not finite.
    """
    act = _Scene(group.scene, simulator, auxiliary)
    attempts = [
        act(prompt, generation.prompt_token_ids, completion)
        for prompt, generation in zip(prompts, generations, strict=True)
        for completion in generation.completions
    ]
    if not group.rollouts:
        before: list[tuple[Attempt, ...]] = [() for _ in attempts]
        goes_on = [True] * len(attempts)
    else:
        before = [rollout.attempts for rollout in group.rollouts]
        goes_on = [_may_retry(rollout, TASKS[group.scene.task]) for rollout in group.rollouts]
    new = iter(attempts)
    all_attempts = [
        (*tried, next(new)) if goes else tried for tried, goes in zip(before, goes_on, strict=True)
    ]
    rollouts = tuple(
        Rollout(tried, score(group.scene, tried, reward, auxiliary)) for tried in all_attempts
    )
    return replace(group, rollouts=rollouts)


def follow_ups(group: RolloutGroup, renderer: Renderer, source: SceneSource) -> tuple[Prompt, ...]:
    """Ask each rollout that may try again, in their order.

    Of a completion only the answer is repeated: thoughts would fill the prompt, and text that is
    no answer might spell the template's own tokens.
    """
    task = TASKS[group.scene.task]
    return tuple(
        _follow_up(group, number, renderer, source)
        for number, rollout in enumerate(group.rollouts)
        if _may_retry(rollout, task)
    )


def _follow_up(group: RolloutGroup, number: int, renderer: Renderer, source: SceneSource) -> Prompt:
    """Show a rollout the result of its last attempt, and ask again."""
    rollout, scene = group.rollouts[number], group.scene
    last = rollout.last
    poses = last.outcome.poses or tuple(map(start_pose, scene.blocks))
    image = renderer.render(poses, scene.camera, scene.appearance, source.environment.image_size)
    turns = (
        *last.prompt.turns,
        Turn("assistant", repeated(last.action, TASKS[scene.task])),
        Turn("user", feedback_text(last.outcome, reasoning=source.reasoning), (image,)),
    )
    prompt = source.asked(Prompt(scene.scene_id, turns, f"{number}.{len(rollout.attempts)}"))
    return blanked(prompt) if source.blank else prompt


def longest_conversation(source: SceneSource, renderer: Renderer) -> Prompt:
    """Build the longest prompt that a source's single task can lead to: its last attempt's."""
    task = TASKS[source.task]
    (scene,), (prompt,) = prepare(source, [0], renderer)
    answer = Turn("assistant", repeated(Offset(-LARGEST_OFFSET, -LARGEST_OFFSET), task))
    failed = Outcome("illegal", success=False)
    question = Turn("user", feedback_text(failed, reasoning=source.reasoning), prompt.images)
    (question,) = source.asked(Prompt(scene.scene_id, (question,))).turns
    return Prompt(scene.scene_id, prompt.turns + (answer, question) * (task.attempts - 1))


def repeated(action: Action, task: Task) -> str:
    """Write an earlier answer as the model is reminded of it."""
    return answer_text(words(action, task.axes)) if words(action, task.axes) else NO_ANSWER


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
        prediction, answer = (
            parse_prediction(completion.text) if self._predicts else (None, completion.text)
        )
        action = task.parse(answer)
        if action not in self._outcomes:
            self._outcomes[action] = task.act(self._scene, action, self._simulator)
        outcome = self._outcomes[action]
        return Attempt(prompt, prompt_token_ids, completion, action, outcome, prediction)
