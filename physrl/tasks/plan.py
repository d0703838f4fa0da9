"""The ideal answers to a scene, one attempt after another."""

from collections.abc import Iterator
from dataclasses import dataclass

from physrl.environments.simulator import Simulator
from physrl.tasks.task import Task
from physrl.types import Action, Outcome, SceneSpec


@dataclass(frozen=True, slots=True)
class Step:
    """An attempt with the ideal answer."""

    scene: SceneSpec
    """Scene of this attempt."""
    action: Action
    outcome: Outcome


def ideal_plan(task: Task, scene: SceneSpec, simulator: Simulator) -> Iterator[Step]:
    """Simulate the ideal answers until one succeeds or no attempt is left.

    Raises:
        SimulationError: a position is not finite.
    """
    for left in reversed(range(task.attempts)):
        action = task.ideal(scene)
        outcome = task.act(scene, action, simulator)
        yield Step(scene, action, outcome)
        if outcome.success or not left:
            return
        scene = task.advance(scene, outcome)
