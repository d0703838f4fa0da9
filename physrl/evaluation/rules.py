"""Rules that answer without physics: what they reach is no evidence of physics.

Each rule sees the least that it needs, taken from the scene itself: the side to which the red
block has to move, its right height, or nothing. What it does not see it answers as fits most scenes
of the warm stream. Tasks add rules of their own (`Task.shortcuts`), such as alignment.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from physrl.config.environment import EnvironmentConfig
from physrl.environments.geometry import margin
from physrl.environments.renderer import Renderer
from physrl.tasks import TASKS
from physrl.tasks.answers import UNITS
from physrl.tasks.task import Task, make_scene, scene_image
from physrl.types import Action, Family, Offset, SceneSpec, Verdict

Rule = Callable[[SceneSpec], Action]

EXAMPLES = 512
"""Scenes of the warm stream that a rule knows, with their ideal answers."""
TRIED = 192
"""Scenes of the warm stream in which the rules of a family are compared."""
TOLERANCES = {"x": 0.25, "y": 0.075}
"""Half of the width of a typical scene's successful answers, in block widths."""
WIDE = 256
"""Largest distance of a right answer from the ideal one, in hundredths of a block width."""
PIXELS = 32
"""Width and height of the images in which neighbors are looked up."""


@dataclass(frozen=True)
class Known:
    """What a rule knows of a task: scenes with their ideal answers."""

    task: Task
    scenes: tuple[SceneSpec, ...]
    ideals: tuple[Action, ...]

    def usual(self, like: Callable[[Action], bool] = lambda ideal: True) -> Action:
        """Return the answer that is near most of the ideal ones, of those that are alike."""
        ideals = [ideal for ideal in self.ideals if like(ideal)] or list(self.ideals)
        if not self.task.axes:
            return max((Verdict(True), Verdict(False)), key=ideals.count)
        scaled = np.array(
            [
                [getattr(ideal, axis) / TOLERANCES[axis] for axis in self.task.axes]
                for ideal in ideals
            ]
        )
        near = (np.abs(scaled[:, None] - scaled) <= 1).all(axis=2).sum(axis=1)
        return ideals[int(near.argmax())]


def make_rule(
    name: str, task: Task, settings: EnvironmentConfig, seed: int, renderer: Renderer
) -> Rule:
    """Return a rule that knows a task's warm scenes.

    Args:
        settings: Settings of training scenes.
        renderer: Renderer of the images in which `nearest` looks.

    Raises:
        KeyError: the task has no such rule.
    """
    if name in task.shortcuts:
        return task.shortcuts[name]
    if name in task.families:
        scenes = tuple(make_scene(task, settings, seed, "warm", index) for index in range(TRIED))
        return _best_of_family(task, task.families[name], scenes)
    known = _known(task.name, settings, seed)
    return _MAKERS[name](known) if name != "nearest" else _nearest(known, renderer)


@lru_cache(maxsize=8)
def _known(name: str, settings: EnvironmentConfig, seed: int) -> Known:
    """Draw the scenes that all rules of a task know."""
    task = TASKS[name]
    scenes = tuple(make_scene(task, settings, seed, "warm", index) for index in range(EXAMPLES))
    return Known(task, scenes, tuple(map(task.ideal, scenes)))


def _best_of_family(task: Task, family: Family, scenes: Sequence[SceneSpec]) -> Rule:
    """Answer by the rule that is right most often in known scenes with the same rules."""
    right: dict[frozenset[Hashable], Counter[Hashable]] = {}
    for scene in scenes:
        answers = family(scene)
        low, high = right_interval(task, scene)
        counts = right.setdefault(frozenset(answers), Counter())
        counts.update(rule for rule, answer in answers.items() if low < _offset(answer).x < high)

    def rule(scene: SceneSpec) -> Action:
        answers = family(scene)
        counts = right.get(frozenset(answers)) or Counter({next(iter(answers)): 1})
        return answers[counts.most_common(1)[0][0]]

    return rule


def right_interval(task: Task, scene: SceneSpec) -> tuple[float, float]:
    """Bracket the answers about x, near the ideal one, after which the blocks stand.

    By the exact criterion; both ends are wrong answers, in hundredths of a block width.
    """
    ideal = _offset(task.ideal(scene))

    def stands(units: int) -> bool:
        release = task.release(scene, replace(ideal, x=units / UNITS))
        return release is not None and margin(release.upright) > 0

    def end(side: int) -> float:
        middle = round(ideal.x * UNITS)
        inside, outside = 0, WIDE
        while outside - inside > 1:
            tried = (inside + outside) // 2
            inside, outside = (tried, outside) if stands(middle + side * tried) else (inside, tried)
        return (middle + side * outside) / UNITS

    return end(-1), end(1)


def _constant(known: Known) -> Rule:
    answer = known.usual()
    return lambda scene: answer


def _side(known: Known) -> Rule:
    sides = _usual_by_side(known)
    return lambda scene: sides[_goes_right(known.task.ideal(scene))]


def _height(known: Known) -> Rule:
    usual = _offset(known.usual())
    return lambda scene: Offset(usual.x, _offset(known.task.ideal(scene)).y)


def _side_and_height(known: Known) -> Rule:
    sides = _usual_by_side(known)

    def rule(scene: SceneSpec) -> Action:
        ideal = known.task.ideal(scene)
        return Offset(sides[_goes_right(ideal)].x, _offset(ideal).y)

    return rule


def _exact_x(known: Known) -> Rule:
    usual = _offset(known.usual())
    return lambda scene: Offset(_offset(known.task.ideal(scene)).x, usual.y)


def _nearest(known: Known, renderer: Renderer) -> Rule:
    """Answer as is ideal in the scene with the most similar image."""
    images = np.array([_look(scene, renderer) for scene in known.scenes])

    def rule(scene: SceneSpec) -> Action:
        distances = np.abs(images - _look(scene, renderer)).sum(axis=1)
        return known.ideals[int(distances.argmin())]

    return rule


def _usual_by_side(known: Known) -> dict[bool, Offset]:
    left = known.usual(lambda ideal: not _goes_right(ideal))
    return {False: _offset(left), True: _offset(known.usual(_goes_right))}


def _goes_right(ideal: Action) -> bool:
    return _offset(ideal).x > 0


def _offset(answer: Action) -> Offset:
    """Return an answer to a task with numbers."""
    assert isinstance(answer, Offset)
    return answer


_MAKERS: Mapping[str, Callable[[Known], Rule]] = {
    "constant": _constant,
    "side": _side,
    "height": _height,
    "side_and_height": _side_and_height,
    "exact_x": _exact_x,
}


def _look(scene: SceneSpec, renderer: Renderer) -> NDArray[np.float32]:
    return scene_image(scene, renderer, PIXELS).astype(np.float32).ravel()
