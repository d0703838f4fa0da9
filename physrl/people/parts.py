"""The parts of an experiment, one for each task and test set of a study that people can answer."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import Any

from physrl.config.people import ExperimentConfig
from physrl.data.images import encode_image
from physrl.data.photos import Photo
from physrl.environments.randomness import stream
from physrl.errors import ConfigError
from physrl.evaluation.answers import STABILITY
from physrl.evaluation.keys import content_key, photos_content
from physrl.evaluation.requests import cell_source
from physrl.evaluation.specs import CellSpec, Condition, StudyPlan
from physrl.people.silhouette import Silhouette, red_silhouette
from physrl.scene_source import SceneSource, draw_scene
from physrl.tasks import TASKS
from physrl.tasks.answers import format_action
from physrl.tasks.task import Task, scene_image
from physrl.types import Image, SceneSpec, Verdict
from physrl.world import World

REQUEST = re.compile(r"\s*Answer [^.]*\.\s*$")
"""Sentence of a question that tells a model the form of the answer; people have buttons."""
CROSS = (0.6, 0.8)
"""How far from the red block the cross of a catch trial is, by axis, in block widths."""


@dataclass(frozen=True, slots=True)
class Item:
    """What a page shows once: an image, its question, and where a block can be put."""

    scene: str
    """Id of the scene, or file name of the photograph."""
    png: bytes
    question: str
    silhouette: Silhouette | None
    answer: str | None = None
    """Ideal answer in practice, requested answer in catch trials; None in trials that count."""

    @property
    def file(self) -> str:
        """Name of the image's file, which tells nothing about the scene."""
        return f"{hashlib.sha256(self.png).hexdigest()[:16]}.png"

    @property
    def shown(self) -> dict[str, Any]:
        """The item as the page reads it."""
        outline = None if self.silhouette is None else asdict(self.silhouette)
        return {
            "scene": self.scene,
            "image": f"images/{self.file}",
            "question": self.question,
            "silhouette": outline,
            "answer": self.answer,
        }


@dataclass(frozen=True, slots=True)
class Part:
    """The trials of one task and test set."""

    condition: Condition
    key: str
    """Digest of what the answers depend on; an import compares it with the study's."""
    axes: tuple[str, ...]
    """Axes along which a block is moved; empty for verdicts."""
    practice: tuple[Item, ...]
    catches: tuple[Item, ...]
    lists: tuple[tuple[Item, ...], ...]

    @property
    def items(self) -> Iterator[Item]:
        yield from self.practice
        yield from self.catches
        for items in self.lists:
            yield from items


def people_cells(plan: StudyPlan) -> dict[Condition, CellSpec]:
    """Find a cell of each condition that people can answer: one attempt, no examples, greedy."""
    cells: dict[Condition, CellSpec] = {}
    for cell in plan.cells:
        condition = cell.condition
        plain = condition == Condition(condition.task, condition.test_set)
        if plain and TASKS[condition.task].attempts == 1:
            cells.setdefault(condition, cell)
    return cells


def part_key(cell: CellSpec) -> str:
    """Digest what people's answers to a cell's scenes depend on, whatever the subject is."""
    settings = cell.settings
    return content_key(
        people=[cell.condition, settings.seed, settings.environment, settings.photos]
    )


def make_parts(
    plan: StudyPlan, config: ExperimentConfig, photos: Sequence[Photo]
) -> tuple[Part, ...]:
    """Make the parts of a study's experiment, in the plan's order.

    Raises:
        ConfigError: the study has no such task or test set, too few scenes, or other photographs.
    """
    cells = people_cells(plan)
    asked = _asked(plan, config, cells)
    with closing(World()) as world:
        return tuple(
            _photo_part(cells[each], config, photos, world)
            if each.test_set == "real"
            else _scene_part(cells[each], config, world)
            for each in asked
        )


def _asked(
    plan: StudyPlan, config: ExperimentConfig, cells: dict[Condition, CellSpec]
) -> list[Condition]:
    for name in config.test_sets:
        if not any(each.test_set == name for each in cells):
            known = ", ".join(dict.fromkeys(each.test_set for each in cells)) or "none"
            raise ConfigError(
                f"test_sets has {name}, but study {plan.name} has {known}: name these"
            )
    known_tasks = dict.fromkeys(each.task for each in cells if each.test_set != "real")
    for task in config.tasks or ():
        if task not in known_tasks:
            raise ConfigError(
                f"tasks has {task}, but study {plan.name} asks people about "
                f"{', '.join(known_tasks) or 'none'}: name these (tasks of several attempts need a "
                "simulator)"
            )
    tasks = config.tasks or tuple(known_tasks)
    return [
        each
        for each in cells
        if each.test_set in config.test_sets and (each.test_set == "real" or each.task in tasks)
    ]


class _Drawer:
    """The items of a cell's scenes; the question is put to people, without examples."""

    def __init__(self, cell: CellSpec, config: ExperimentConfig, world: World) -> None:
        self.task = TASKS[cell.condition.task]
        self._test = replace(cell_source(cell), reasoning=False, auxiliary=None)
        self._size = config.image_size or cell.settings.environment.image_size
        self._world = world

    def items(self, indices: Iterable[int]) -> list[Item]:
        """Draw scenes of the test stream."""
        return [self._item(self._test, index)[1] for index in indices]

    def practice(self, indices: Iterable[int]) -> list[Item]:
        """Draw scenes of the warm stream, with their ideal answers."""
        drawn = (self._item(replace(self._test, split="warm"), index) for index in indices)
        return [
            replace(item, answer=format_action(self.task.ideal(scene), self.task.axes))
            for scene, item in drawn
        ]

    def _item(self, source: SceneSource, index: int) -> tuple[SceneSpec, Item]:
        scene = draw_scene(source, index)
        image = scene_image(scene, self._world.renderer(source.environment), self._size)
        silhouette = red_silhouette(scene) if self.task.axes else None
        question = _question(self.task, scene.wording)
        return scene, Item(scene.scene_id, _png(image), question, silhouette)


def _scene_part(cell: CellSpec, config: ExperimentConfig, world: World) -> Part:
    drawer, known = _Drawer(cell, config, world), cell.settings.scenes
    if config.scenes * config.lists > known:
        raise ConfigError(
            f"scenes x lists is {config.scenes} x {config.lists}, but the study has {known} scenes "
            f"of {cell.condition.task}: lower them"
        )
    caught = range(config.practice, config.practice + config.catches)
    lists = [
        drawer.items(range(number * config.scenes, (number + 1) * config.scenes))
        for number in range(config.lists)
    ]
    return Part(
        condition=cell.condition,
        key=part_key(cell),
        axes=drawer.task.axes,
        practice=tuple(drawer.practice(range(config.practice))),
        catches=_catches(drawer.practice(caught), drawer.task),
        lists=tuple(tuple(_mixed(items, cell.condition.task)) for items in lists),
    )


def _photo_part(
    cell: CellSpec, config: ExperimentConfig, photos: Sequence[Photo], world: World
) -> Part:
    """Make the part about photographs: each person sees all; practice is on rendered towers."""
    if not photos:
        raise ConfigError("test_sets has real, but real_images is not set: name the photographs")
    if cell.settings.photos != photos_content(photos):
        raise ConfigError(
            "real_images are not the photographs of the study: name those that it was run with"
        )
    rendered = _Drawer(replace(cell, condition=Condition(STABILITY.name)), config, world)
    items = [Item(each.file, _png(each.image), _question(STABILITY, 0), None) for each in photos]
    return Part(
        condition=cell.condition,
        key=part_key(cell),
        axes=(),
        practice=tuple(rendered.practice(range(config.practice))),
        catches=_catches([items[i % len(items)] for i in range(config.catches)], STABILITY),
        lists=(tuple(_mixed(items, "real")),),
    )


def _catches(items: Sequence[Item], task: Task) -> tuple[Item, ...]:
    """Let catch trials request an answer in words, or by a cross: no physics excludes anybody."""
    found = []
    for number, item in enumerate(items):
        if not task.axes:
            answer = format_action(Verdict(number % 2 == 0), ())
            text = f"This time, please answer {answer}, whatever the image shows."
        else:
            sides = {"x": CROSS[0] if number % 2 else -CROSS[0], "y": CROSS[1]}
            answer = " ".join(str(round(100 * sides[axis])) for axis in task.axes)
            text = "This time, please put the block on the cross, whether or not it would stand."
        found.append(replace(item, question=text, answer=answer))
    return tuple(found)


def _mixed(items: Sequence[Item], name: str) -> list[Item]:
    """Shuffle items in an order of their own, so that twins do not follow each other."""
    return [items[index] for index in stream(f"people/{name}", 0).permutation(len(items))]


def _question(task: Task, wording: int) -> str:
    return REQUEST.sub("", task.wordings[wording])


def _png(image: Image) -> bytes:
    data: bytes = encode_image(image)["bytes"]
    return data
