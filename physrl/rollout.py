"""From scenes to prompts, and from completions to rollouts: parse, act, score.

The controller's workers and the reference loop both call these.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from physrl.config.algorithm import SFTConfig
from physrl.config.environment import EnvironmentConfig, GeneratorName
from physrl.config.reward import RewardConfig
from physrl.config.run import RunConfig, TaskName
from physrl.data.dataset import open_dataset
from physrl.environments.generators import GENERATORS
from physrl.environments.renderer import Renderer
from physrl.environments.simulator import Simulator, start_pose
from physrl.protocols import Sampling
from physrl.rewards.score import score
from physrl.tasks import TASKS
from physrl.tasks.answers import LARGEST_OFFSET, answer_text, words
from physrl.tasks.task import Task, feedback_text, make_prompt, make_scene
from physrl.types import (
    Action,
    Attempt,
    Completion,
    Demonstration,
    Generation,
    Offset,
    Outcome,
    Prompt,
    Rollout,
    RolloutGroup,
    SceneSpec,
    Split,
    Turn,
    scene_id,
)


@dataclass(frozen=True, slots=True)
class SceneSource:
    """Which stream of scenes is drawn from, and how it is asked about."""

    task: str
    environment: EnvironmentConfig
    seed: int
    split: Split
    reasoning: bool
    generator: GeneratorName = "iid"
    """Which named set `environment` describes."""
    data: str | None = None
    """A collected dataset that holds the scenes; None draws them."""

    def scene_id(self, index: int) -> str:
        """The name of one of its scenes."""
        return scene_id(self.task, self.split, self.generator, self.seed, index)


_dataset = lru_cache(maxsize=16)(open_dataset)
"""A process reads a manifest once; what it lists does not change."""


def scene_source(
    config: RunConfig, task: TaskName, split: Split, generator: GeneratorName = "iid"
) -> SceneSource:
    """A run's scenes of one task, or those of a named set that differs from them.

    They come from the dataset that is configured for them, or are newly drawn.

    Raises:
        ConfigError: the generator has nothing to offer beside these settings.
    """
    data = None
    if generator == "iid" and (task, split) == (config.task, "train"):
        data = config.data
    elif generator == "iid" and split == "test":
        data = config.evaluation.data.get(task)
    settings = GENERATORS[generator](config.environment)
    return SceneSource(task, settings, config.seed, split, config.model.reasoning, generator, data)


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


def prepare(
    source: SceneSource, indices: Iterable[int], renderer: Renderer
) -> tuple[list[SceneSpec], list[Prompt]]:
    """Scenes and their pictures with the question."""
    if source.data is not None:
        stored = [_dataset(source.data)[index] for index in indices]
        return [scene for scene, _, _ in stored], [prompt for _, prompt, _ in stored]
    task, settings = TASKS[source.task], source.environment
    scenes = [
        make_scene(task, settings, source.seed, source.split, index, source.generator)
        for index in indices
    ]
    prompts = [
        make_prompt(task, scene, renderer, settings.image_size, reasoning=source.reasoning)
        for scene in scenes
    ]
    return scenes, prompts


def demonstrate(
    source: SceneSource, indices: Iterable[int], renderer: Renderer
) -> list[Demonstration]:
    """Prompts with their ideal answers."""
    if source.data is not None:
        stored = [_dataset(source.data)[index] for index in indices]
        return [Demonstration(prompt, target) for _, prompt, target in stored]
    task = TASKS[source.task]
    return [
        Demonstration(prompt, task.target(scene))
        for scene, prompt in zip(*prepare(source, indices, renderer), strict=True)
    ]


def roll_out(
    scenes: Sequence[SceneSpec],
    prompts: Sequence[Prompt],
    generations: Sequence[Generation],
    reward: RewardConfig,
    simulator: Simulator,
) -> list[RolloutGroup]:
    """Carry out every completion of every prompt: each rollout's first attempt.

    Raises:
        SimulationError: PyBullet gave values that are not finite.
    """
    groups = []
    for scene, prompt, generation in zip(scenes, prompts, generations, strict=True):
        carry_out = _Scene(scene, simulator)
        rollouts = []
        for completion in generation.completions:
            attempts = (carry_out(prompt, generation.prompt_token_ids, completion),)
            rollouts.append(Rollout(attempts, score(scene, attempts, reward)))
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
            prompts.append(Prompt(f"{group.prompt.prompt_id}#{place}.{count}", turns))
    return prompts


def longest_conversation(source: SceneSource, renderer: Renderer) -> Prompt:
    """The last attempt's prompt in the first scene, as long as any can be."""
    task = TASKS[source.task]
    (scene,), (prompt,) = prepare(source, [0], renderer)
    answered = Turn("assistant", repeated(Offset(-LARGEST_OFFSET, -LARGEST_OFFSET), task))
    failed = Outcome("illegal", success=False)
    asked = Turn("user", feedback_text(failed, reasoning=source.reasoning), prompt.images)
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
) -> list[RolloutGroup]:
    """Carry out the next attempt of every rollout that may try again; the others stay.

    Args:
        prompts: from `follow_ups`.
        generations: one a prompt, of one completion each.
    """
    answers = iter(list(zip(prompts, generations, strict=True)))
    retried = []
    for group in groups:
        task = TASKS[group.scene.task]
        carry_out = _Scene(group.scene, simulator)
        rollouts = []
        for rollout in group.rollouts:
            if _may_retry(rollout, task):
                prompt, generation = next(answers)
                (completion,) = generation.completions
                attempt = carry_out(prompt, generation.prompt_token_ids, completion)
                attempts = (*rollout.attempts, attempt)
                rollout = Rollout(attempts, score(group.scene, attempts, reward))
            rollouts.append(rollout)
        retried.append(replace(group, rollouts=tuple(rollouts)))
    return retried


def _may_retry(rollout: Rollout, task: Task) -> bool:
    return not rollout.last.outcome.success and len(rollout.attempts) < task.attempts


class _Scene:
    """Carries completions out in one scene; equal actions are simulated once."""

    def __init__(self, scene: SceneSpec, simulator: Simulator) -> None:
        self._scene, self._simulator = scene, simulator
        self._outcomes: dict[Action, Outcome] = {}

    def __call__(
        self, prompt: Prompt, prompt_token_ids: tuple[int, ...], completion: Completion
    ) -> Attempt:
        task = TASKS[self._scene.task]
        action = task.parse(completion.text)
        if action not in self._outcomes:
            self._outcomes[action] = task.act(self._scene, action, self._simulator)
        return Attempt(prompt, prompt_token_ids, completion, action, self._outcomes[action])
