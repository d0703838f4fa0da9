"""Solved examples that stand before a question, and pictures that show nothing."""

from dataclasses import dataclass, replace

import numpy as np

from physrl.config.environment import EnvironmentConfig
from physrl.environments.renderer import Renderer
from physrl.tasks.task import Task, make_prompt, make_scene
from physrl.types import Prompt, Turn

BLANK = 128
"""The grey of a picture that shows nothing."""


@dataclass(frozen=True, slots=True)
class Examples:
    """The first scenes of the warm stream, which no test asks about; the same for every question.

    Of `stability` they are pairs: half of an even number fall.
    """

    count: int
    environment: EnvironmentConfig
    """Which scenes: those that were trained on, whatever set is asked about."""
    seed: int


def solved(task: Task, examples: Examples, renderer: Renderer) -> tuple[Turn, ...]:
    """Each example's picture and question, and the ideal answer to it."""
    turns: list[Turn] = []
    for index in range(examples.count):
        scene = make_scene(task, examples.environment, examples.seed, "warm", index)
        size = examples.environment.image_size
        # The answers hold no thoughts, so the questions ask for none.
        question = make_prompt(task, scene, renderer, size, reasoning=False)
        turns += [*question.turns, Turn("assistant", task.target(scene))]
    return tuple(turns)


def blanked(prompt: Prompt) -> Prompt:
    """The conversation with grey pictures of the same sizes."""
    turns = (
        replace(turn, images=tuple(np.full_like(image, BLANK) for image in turn.images))
        for turn in prompt.turns
    )
    return replace(prompt, turns=tuple(turns))
