"""Turns of a rollout: execution and scoring of completions, and prompts for further attempts."""

from collections.abc import Sequence
from dataclasses import replace

from physrl.config.auxiliary import OutcomeConfig
from physrl.config.reward import RewardConfig
from physrl.environments.renderer import Renderer
from physrl.environments.simulator import Simulator
from physrl.rewards.score import score
from physrl.scene_source import SceneSource, prepare
from physrl.tasks import TASKS
from physrl.tasks.answers import LARGEST_OFFSET, answer_text, format_action
from physrl.tasks.examples import blank_images
from physrl.tasks.prediction import parse_prediction
from physrl.tasks.task import Task, feedback_image, feedback_text
from physrl.types import (
    Action,
    Attempt,
    Completion,
    Generation,
    Offset,
    Outcome,
    Pose,
    Prompt,
    Rollout,
    RolloutGroup,
    SceneSpec,
    Turn,
)

NO_ANSWER = "No answer."
"""Text that replaces an unparseable answer in the prompt of the next attempt."""


def carry_out(
    group: RolloutGroup,
    prompts: Sequence[Prompt],
    generations: Sequence[Generation],
    reward: RewardConfig,
    simulator: Simulator,
    auxiliary: OutcomeConfig | None = None,
) -> RolloutGroup:
    """Execute and score the completions of one turn of a group.

    Args:
        prompts: the first prompt of the group, or those of `follow_ups`.
        generations: completions of each prompt: the whole group in the first turn, later one each.
        auxiliary: auxiliary prediction that the prompts request, if any.

    Raises:
        SimulationError: PyBullet returned values that are not finite.
    """
    scene = _scene(group)
    act, task, scenes = _Executor(simulator, auxiliary), TASKS[scene.task], [scene]
    if group.rollouts:
        going_on = [rollout for rollout in group.rollouts if _may_retry(rollout, task)]
        scenes = [next_scene(scene, rollout.attempts) for rollout in going_on]
    attempts = [
        act(scene, prompt, generation.prompt_token_ids, completion)
        for prompt, generation, scene in zip(prompts, generations, scenes, strict=True)
        for completion in generation.completions
    ]
    if group.rollouts:
        new = iter(attempts)
        histories = [
            (*rollout.attempts, next(new)) if _may_retry(rollout, task) else rollout.attempts
            for rollout in group.rollouts
        ]
    else:
        histories = [(attempt,) for attempt in attempts]
    rollouts = tuple(
        Rollout(history, score(scene, history, reward, auxiliary)) for history in histories
    )
    return replace(group, rollouts=rollouts)


def follow_ups(group: RolloutGroup, renderer: Renderer, source: SceneSource) -> tuple[Prompt, ...]:
    """Make the next prompt of each rollout that may try again, in their order.

    A prompt quotes only the answers of earlier completions: thoughts would make it long, and other
    text could contain special tokens of the chat template.
    """
    task = TASKS[group.scene.task]
    return tuple(
        _follow_up(group, number, renderer, source)
        for number, rollout in enumerate(group.rollouts)
        if _may_retry(rollout, task)
    )


def _follow_up(group: RolloutGroup, number: int, renderer: Renderer, source: SceneSource) -> Prompt:
    """Extend a rollout's conversation by its last answer, the outcome, and another question."""
    rollout = group.rollouts[number]
    scene = next_scene(_scene(group), rollout.attempts[:-1])
    last, label = rollout.last, f"{number}.{len(rollout.attempts)}"
    prompt = continue_prompt(last.prompt, scene, last.action, last.outcome, label, renderer, source)
    return blank_images(prompt) if source.blank else prompt


def next_scene(scene: SceneSpec, attempts: Sequence[Attempt]) -> SceneSpec:
    """Return the scene that is left for the next attempt."""
    for attempt in attempts:
        scene = TASKS[scene.task].advance(scene, attempt.outcome)
    return scene


def continue_prompt(
    prompt: Prompt,
    scene: SceneSpec,
    action: Action,
    outcome: Outcome,
    label: str,
    renderer: Renderer,
    source: SceneSource,
) -> Prompt:
    """Extend a conversation by an answer, the image of what is left after it, and a question.

    Args:
        scene: scene of the answer.
    """
    task, size = TASKS[scene.task], source.environment.image_size
    image = feedback_image(scene, task.advance(scene, outcome), outcome, renderer, size)
    turns = (
        *prompt.turns,
        Turn("assistant", quote_answer(action, task)),
        Turn("user", feedback_text(task, outcome, reasoning=source.reasoning), (image,)),
    )
    return source.with_auxiliary(Prompt(scene.scene_id, turns, label))


def longest_conversation(source: SceneSource, renderer: Renderer) -> Prompt:
    """Build the longest prompt of a source's task: that of the last attempt."""
    task = TASKS[source.task]
    (scene,), (prompt,) = prepare(source, [0], renderer)
    if task.attempts == 1:
        return prompt
    answer = Turn("assistant", quote_answer(Offset(-LARGEST_OFFSET, -LARGEST_OFFSET), task))
    failed = Outcome("illegal", success=False)
    shown = prompt.turns[-1].images  # without those of examples
    question = Turn("user", feedback_text(task, failed, reasoning=source.reasoning), shown)
    (question,) = source.with_auxiliary(Prompt(scene.scene_id, (question,))).turns
    return Prompt(scene.scene_id, prompt.turns + (answer, question) * (task.attempts - 1))


def quote_answer(action: Action, task: Task) -> str:
    """Format an earlier answer for the prompt of the next attempt."""
    answer = format_action(action, task.axes)
    return answer_text(answer) if answer else NO_ANSWER


def _scene(group: RolloutGroup) -> SceneSpec:
    assert isinstance(group.scene, SceneSpec)  # `World` answers questions by `physrl.replies`
    return group.scene


def _may_retry(rollout: Rollout, task: Task) -> bool:
    return not rollout.last.outcome.success and len(rollout.attempts) < task.attempts


class _Executor:
    """The execution of completions; equal actions in equal scenes are simulated once."""

    def __init__(self, simulator: Simulator, auxiliary: OutcomeConfig | None) -> None:
        self._simulator = simulator
        self._predicts = auxiliary is not None and auxiliary.predicts
        self._outcomes: dict[tuple[tuple[Pose, ...], Action], Outcome] = {}

    def __call__(
        self,
        scene: SceneSpec,
        prompt: Prompt,
        prompt_token_ids: tuple[int, ...],
        completion: Completion,
    ) -> Attempt:
        task = TASKS[scene.task]
        prediction, answer = (
            parse_prediction(completion.text) if self._predicts else (None, completion.text)
        )
        action = task.parse(answer)
        key = (scene.rest, action)
        if key not in self._outcomes:
            self._outcomes[key] = task.act(scene, action, self._simulator)
        outcome = self._outcomes[key]
        return Attempt(prompt, prompt_token_ids, completion, action, outcome, prediction)
