"""From scenes to prompts, and from completions to rollouts: parse, act, score.

The controller's workers and the reference loop both call these.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from physrl.config.algorithm import SFTConfig
from physrl.config.environment import EnvironmentConfig
from physrl.config.reward import RewardConfig
from physrl.config.run import RunConfig
from physrl.environments.renderer import Renderer
from physrl.environments.simulator import Simulator
from physrl.protocols import Sampling
from physrl.rewards.score import score
from physrl.tasks import TASKS
from physrl.tasks.task import make_prompt, make_scene
from physrl.types import (
    Action,
    Completion,
    Demonstration,
    Generation,
    Outcome,
    Prompt,
    Rollout,
    RolloutGroup,
    SceneSpec,
    Split,
)


@dataclass(frozen=True, slots=True)
class SceneSource:
    """Which stream of scenes is drawn from, and how it is asked about."""

    task: str
    environment: EnvironmentConfig
    seed: int
    split: Split
    reasoning: bool


def scene_source(config: RunConfig, task: str, split: Split) -> SceneSource:
    """A run's scenes of one task."""
    return SceneSource(task, config.environment, config.seed, split, config.model.reasoning)


def step_indices(config: RunConfig, step: int) -> range:
    """The scenes of a training step; steps count from 0."""
    count = config.algorithm.prompts_per_step
    return range(step * count, (step + 1) * count)


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
    task, settings = TASKS[source.task], source.environment
    scenes = [make_scene(task, settings, source.seed, source.split, index) for index in indices]
    prompts = [
        make_prompt(task, scene, renderer, settings.image_size, reasoning=source.reasoning)
        for scene in scenes
    ]
    return scenes, prompts


def demonstrate(
    source: SceneSource, indices: Iterable[int], renderer: Renderer
) -> list[Demonstration]:
    """Prompts with their ideal answers."""
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
    """Carry out every completion of every prompt.

    Raises:
        SimulationError: PyBullet gave values that are not finite.
    """
    return [
        RolloutGroup(
            scene,
            prompt,
            generation.prompt_token_ids,
            _carry_out(scene, generation.completions, reward, simulator),
        )
        for scene, prompt, generation in zip(scenes, prompts, generations, strict=True)
    ]


def _carry_out(
    scene: SceneSpec, completions: Sequence[Completion], reward: RewardConfig, simulator: Simulator
) -> tuple[Rollout, ...]:
    """Rollouts of one group; equal actions are simulated once."""
    task = TASKS[scene.task]
    outcomes: dict[Action, Outcome] = {}
    rollouts = []
    for completion in completions:
        action = task.parse(completion.text)
        if action not in outcomes:
            outcomes[action] = task.act(scene, action, simulator)
        outcome = outcomes[action]
        earned = score(scene, action, outcome, reward)
        rollouts.append(Rollout(completion, action, outcome, earned))
    return tuple(rollouts)
