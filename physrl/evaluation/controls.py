"""Controls: the exact criterion, a guesser that sees nothing, and rules without physics."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import count, repeat

import numpy as np

from physrl.data.photos import Photo
from physrl.environments.randomness import stream
from physrl.environments.renderer import make_renderer
from physrl.environments.simulator import Simulator
from physrl.evaluation.answers import STABILITY, photo_prompt
from physrl.evaluation.local import evaluate_cell
from physrl.evaluation.requests import cell_source
from physrl.evaluation.results import CellResult
from physrl.evaluation.rules import make_rule
from physrl.evaluation.specs import CONTROLS, CellSpec
from physrl.protocols import Sampling
from physrl.scene_source import draw_scene
from physrl.tasks import TASKS
from physrl.tasks.answers import answer_text, format_action
from physrl.tasks.plan import ideal_plan
from physrl.tasks.task import Task, make_scene
from physrl.types import (
    Appearance,
    Camera,
    Completion,
    Generation,
    Image,
    Pose,
    Prompt,
    SceneSpec,
)
from physrl.world import World

GUESSER_SCENES = 4096
"""Number of scenes of the warm stream whose ideal answers the guesser draws from."""


def evaluate_control(cell: CellSpec, photos: Sequence[Photo]) -> CellResult:
    """Execute and score the answers of the cell's control like those of a model.

    `physics` gives the ideal answer of each scene; its errors are scenes on which the simulator and
    the criterion disagree. `guesser` gives the ideal answer of a random scene of the task from the
    warm stream: the score of a model that knows only the distribution of answers. Rules see part of
    the scene and answer without physics (`physrl.evaluation.rules`).

    Args:
        photos: photographs of the test set `real`, for which the guesser alone is defined.

    Raises:
        ValueError: the subject is not a control, or is not defined for photographs.
    """
    kind = cell.subject.kind
    if kind not in CONTROLS:
        raise ValueError(f"{cell.subject.name} is a {kind} subject, not a control")
    with closing(World(make_renderer=lambda settings: NoRenderer())) as world:
        return evaluate_cell(cell, _ScriptedGenerator(_answers(cell, photos)), world, photos)


def _answers(cell: CellSpec, photos: Sequence[Photo]) -> dict[str, Iterator[str]]:
    """Return the answers of the control to successive attempts, by scene or photograph id."""
    task = TASKS[cell.condition.task]
    if cell.subject.kind == "guesser" and cell.condition.test_set == "real":
        names = [photo_prompt(photo, reasoning=False).scene_id for photo in photos]
        return {name: _guesses(cell, STABILITY, index) for index, name in enumerate(names)}
    source = cell_source(cell)
    indices = range(cell.settings.scenes)
    if cell.subject.kind == "guesser":
        return {source.scene_id(index): _guesses(cell, task, index) for index in indices}
    if cell.subject.kind == "rule":
        return _rule_answers(cell, task, [draw_scene(source, index) for index in indices])
    return {source.scene_id(index): _ideal(task, draw_scene(source, index)) for index in indices}


def _ideal(task: Task, scene: SceneSpec) -> Iterator[str]:
    """Yield the ideal answer to each attempt."""
    if task.attempts == 1:
        yield task.target(scene)
        return
    with closing(Simulator()) as simulator:
        for step in ideal_plan(task, scene, simulator):
            yield task.target(step.scene)


def _rule_answers(
    cell: CellSpec, task: Task, scenes: Sequence[SceneSpec]
) -> dict[str, Iterator[str]]:
    """Return a rule's answers; it knows scenes like those of training alone."""
    settings = cell.settings
    with closing(make_renderer(settings.environment)) as renderer:
        rule = make_rule(cell.subject.name, task, settings.environment, settings.seed, renderer)
        return {
            scene.scene_id: repeat(answer_text(format_action(rule(scene), task.axes)))
            for scene in scenes
        }


def _guesses(cell: CellSpec, task: Task, index: int) -> Iterator[str]:
    """Yield the ideal answer of a random scene for each attempt."""
    settings = cell.settings
    for attempt in count():
        rng = stream(f"{settings.seed}/{task.name}/guesser/{attempt}", index)
        guessed = int(rng.integers(GUESSER_SCENES))
        yield task.target(make_scene(task, settings.environment, settings.seed, "warm", guessed))


class _ScriptedGenerator:
    """A `Generator` of predetermined answers."""

    def __init__(self, answers: Mapping[str, Iterator[str]]) -> None:
        self._answers = answers

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Generation]:
        texts = [next(self._answers[prompt.scene_id]) for prompt in prompts]
        return [Generation((), (Completion(text, (), (), False, 0),)) for text in texts]


class NoRenderer:
    """A `Renderer` of empty images, for answers that are there already."""

    def render(
        self, poses: Sequence[Pose], camera: Camera, appearance: Appearance, size: int
    ) -> Image:
        return np.zeros((1, 1, 3), np.uint8)

    def close(self) -> None:
        """Do nothing."""
