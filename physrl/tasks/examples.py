"""Examples before a question (few-shot prompting), and prompts with blank images."""

from dataclasses import dataclass, replace

import numpy as np

from physrl.config.environment import EnvironmentConfig
from physrl.config.study import ExampleKind
from physrl.environments.renderer import Renderer
from physrl.tasks.task import Task, make_prompt, make_scene
from physrl.types import Prompt, Turn

BLANK = 128
"""Grey value of a blank image."""


@dataclass(frozen=True, slots=True)
class Examples:
    """A choice of examples: the first scenes of the warm stream, the same for every question.

    No evaluation draws from that stream. Scenes of `stability` come in pairs: of an even number,
    half fall.
    """

    count: int
    environment: EnvironmentConfig
    """Settings of the examples' scenes: those of training, also on other test sets."""
    seed: int
    kind: ExampleKind = "solved"
    """`solved`: each scene with its ideal answer. `form`: a blank image with the ideal answer to a
    scene that is never shown, so that examples show the form and range of answers alone."""


def example_turns(task: Task, examples: Examples, renderer: Renderer) -> tuple[Turn, ...]:
    """Return the turns of all examples: image and question, then an answer."""
    turns: list[Turn] = []
    for index in range(examples.count):
        scene = make_scene(task, examples.environment, examples.seed, "warm", index)
        size = examples.environment.image_size
        # The answers contain no thoughts, so the questions ask for none.
        question = make_prompt(task, scene, renderer, size, reasoning=False)
        answered = scene
        if examples.kind == "form":
            question = blank_images(question)
            unseen = examples.count + index
            answered = make_scene(task, examples.environment, examples.seed, "warm", unseen)
        turns += [*question.turns, Turn("assistant", task.target(answered))]
    return tuple(turns)


def blank_images(prompt: Prompt) -> Prompt:
    """Return a prompt with grey images of the same sizes."""
    turns = (
        replace(turn, images=tuple(np.full_like(image, BLANK) for image in turn.images))
        for turn in prompt.turns
    )
    return replace(prompt, turns=tuple(turns))
