"""Prompts with answers to learn from: what SFT trains on."""

from collections.abc import Iterable

from physrl.config.auxiliary import OutcomeConfig
from physrl.environments.randomness import stream
from physrl.environments.renderer import Renderer
from physrl.environments.simulator import Simulator
from physrl.scene_source import SceneSource, dataset, draw_scene, prepare
from physrl.tasks import TASKS
from physrl.tasks.prediction import (
    hypothetical_action,
    prediction_prompt,
    prediction_text,
    true_motion,
)
from physrl.types import Demonstration, Prompt, SceneSpec

OTHERS = 1 << 20
"""Scenes that a shuffled answer may be of."""


def demonstrate(
    source: SceneSource, indices: Iterable[int], renderer: Renderer, simulator: Simulator
) -> list[Demonstration]:
    """Prompts with their ideal answers, or with other scenes' where the source is shuffled.

    An auxiliary puts what will happen before each answer, or adds a second question of its own.

    Raises:
        SimulationError: PyBullet gave values that are not finite.
    """
    wanted = list(indices)
    scenes, prompts = prepare(source, wanted, renderer)
    if source.shuffled:
        answered = [_solved(source, _other(source, index)) for index in wanted]
    elif source.data is not None:
        answered = [_solved(source, index) for index in wanted]
    else:
        answered = [(scene, TASKS[scene.task].target(scene)) for scene in scenes]
    shown = []
    for scene, prompt, (other, target) in zip(scenes, prompts, answered, strict=True):
        shown += _demonstrations(source.auxiliary, scene, prompt, other, target, simulator)
    return shown


def _demonstrations(
    auxiliary: OutcomeConfig | None,
    scene: SceneSpec,
    prompt: Prompt,
    other: SceneSpec,
    target: str,
    simulator: Simulator,
) -> list[Demonstration]:
    """What is shown of a scene, with the answers of `other`, mostly the same one."""
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


def _solved(source: SceneSource, index: int) -> tuple[SceneSpec, str]:
    """A scene and the ideal answer to it."""
    if source.data is not None:
        scene, _, target = dataset(source.data)[index]
        return scene, target
    scene = draw_scene(source, index)
    return scene, TASKS[scene.task].target(scene)


def _other(source: SceneSource, index: int) -> int:
    """A scene of the same task that has nothing to do with this one."""
    count = OTHERS if source.data is None else len(dataset(source.data))
    drawn = int(stream(f"{source.seed}/{source.task}/shuffled", index).integers(count))
    kinds = len(source.tasks)
    return drawn // kinds * kinds + index % kinds
