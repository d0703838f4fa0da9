"""Demonstrations: prompts with target answers, which SFT trains on."""

from collections.abc import Iterable
from itertools import pairwise

from physrl.config.auxiliary import OutcomeConfig
from physrl.environments.randomness import stream
from physrl.environments.renderer import Renderer
from physrl.environments.simulator import Simulator
from physrl.scene_source import SceneSource, dataset, draw_scene, prepare
from physrl.tasks import TASKS
from physrl.tasks.plan import ideal_plan
from physrl.tasks.prediction import (
    hypothetical_action,
    prediction_prompt,
    prediction_text,
    true_motion,
)
from physrl.training_records import Demonstration
from physrl.turns import continue_prompt
from physrl.types import Prompt, SceneSpec

SHUFFLED_SCENES = 1 << 20
"""Number of scenes that a shuffled answer is drawn from."""


def demonstrate(
    source: SceneSource, indices: Iterable[int], renderer: Renderer, simulator: Simulator
) -> list[Demonstration]:
    """Make the demonstrations of scenes: ideal answers, those of other scenes, or outcomes.

    An auxiliary task prepends a prediction to each answer, or adds a second demonstration. A task
    of several moves adds one for each further move; shuffled or auxiliary ones show the first only.

    Raises:
        SimulationError: PyBullet returned values that are not finite.
    """
    indices = list(indices)
    scenes, prompts = prepare(source, indices, renderer)
    if source.targets == "outcomes":
        return [
            _observe(source, index, scene, prompt, simulator)
            for index, scene, prompt in zip(indices, scenes, prompts, strict=True)
        ]
    if source.targets == "shuffled":
        targets = [_load_target(source, _shuffled_index(source, index)) for index in indices]
    elif source.data is not None:
        targets = [_load_target(source, index) for index in indices]
    else:
        targets = [(scene, TASKS[scene.task].target(scene)) for scene in scenes]
    demonstrations = []
    for scene, prompt, (other, target) in zip(scenes, prompts, targets, strict=True):
        demonstrations += _demonstrations(source.auxiliary, scene, prompt, other, target, simulator)
        if source.auxiliary is None and source.targets == "ideal":
            demonstrations += _later_demonstrations(source, scene, prompt, renderer, simulator)
    return demonstrations


def _later_demonstrations(
    source: SceneSource,
    scene: SceneSpec,
    prompt: Prompt,
    renderer: Renderer,
    simulator: Simulator,
) -> list[Demonstration]:
    """Make the demonstrations of further moves after ideal ones."""
    task, demonstrations = TASKS[scene.task], list[Demonstration]()
    if task.attempts == 1:
        return demonstrations
    steps = list(ideal_plan(task, scene, simulator))
    for number, (step, following) in enumerate(pairwise(steps), 1):
        prompt = continue_prompt(
            prompt, step.scene, step.action, step.outcome, f"0.{number}", renderer, source
        )
        demonstrations.append(Demonstration(prompt, task.target(following.scene)))
    return demonstrations


def _demonstrations(
    auxiliary: OutcomeConfig | None,
    scene: SceneSpec,
    prompt: Prompt,
    other: SceneSpec,
    target: str,
    simulator: Simulator,
) -> list[Demonstration]:
    """Make the demonstrations of a scene.

    Args:
        other: scene that the target is of; the same scene unless targets are shuffled.
    """
    task = TASKS[scene.task]
    if auxiliary is None:
        return [Demonstration(prompt, target)]
    if auxiliary.predicts:
        motion = true_motion(task, other, task.ideal(other), simulator)
        return [Demonstration(prompt, prediction_text(motion) + target)]
    motion = true_motion(task, other, hypothetical_action(task, other), simulator)
    second = prediction_prompt(prompt, task, hypothetical_action(task, scene))
    return [
        Demonstration(prompt, target),
        Demonstration(second, prediction_text(motion), auxiliary.weight),
    ]


def _observe(
    source: SceneSource, index: int, scene: SceneSpec, prompt: Prompt, simulator: Simulator
) -> Demonstration:
    """Ask for the outcome of an action that another policy takes in the scene.

    Half of the actions are a guesser's, the ideal ones of other scenes; the others, and those that
    are illegal here, are an imprecise expert's.
    """
    task = TASKS[scene.task]
    expert = hypothetical_action(task, scene)
    guess = task.ideal(_load_target(source, _shuffled_index(source, index))[0])
    guesses = bool(stream(f"{source.seed}/{source.task}/observed", index).integers(2))
    for action in (guess, expert) if guesses else (expert,):
        motion = task.act(scene, action, simulator).motion
        if motion is not None:
            return Demonstration(prediction_prompt(prompt, task, action), prediction_text(motion))
    raise AssertionError(f"{expert} is not carried out in {scene.scene_id}")


def _load_target(source: SceneSource, index: int) -> tuple[SceneSpec, str]:
    """Return a scene and its ideal answer."""
    if source.data is not None:
        scene, _, target = dataset(source.data)[index]
        return scene, target
    scene = draw_scene(source, index)
    return scene, TASKS[scene.task].target(scene)


def _shuffled_index(source: SceneSource, index: int) -> int:
    """Draw the index of an unrelated scene of the same task."""
    count = SHUFFLED_SCENES if source.data is None else len(dataset(source.data))
    drawn = int(stream(f"{source.seed}/{source.task}/shuffled", index).integers(count))
    tasks = len(source.tasks)
    return drawn // tasks * tasks + index % tasks
