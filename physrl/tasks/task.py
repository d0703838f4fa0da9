"""Protocol of tasks, and the scenes and prompts made from them."""

from dataclasses import replace
from typing import ClassVar, Protocol

import numpy as np

from physrl.config.environment import EnvironmentConfig, GeneratorName
from physrl.environments.appearance import sample_view
from physrl.environments.geometry import margin
from physrl.environments.outline import draw_outline
from physrl.environments.palette import OUTLINE
from physrl.environments.randomness import Streams, scene_streams
from physrl.environments.renderer import Renderer
from physrl.environments.simulator import Simulator, scene_poses
from physrl.tasks.answers import Axis
from physrl.tasks.placing import carrying_block, resting_on
from physrl.tasks.release import Release
from physrl.types import (
    Action,
    Block,
    Families,
    Image,
    Outcome,
    Prompt,
    SceneSpec,
    Shortcuts,
    Split,
)

REASONING = " Think first between <think> and </think>, then answer."
FORMAT = " Put the answer between <answer> and </answer>."
FEEDBACK = {
    "settled": "This is what happened.",
    "illegal": "The red block does not fit there.",
    "unparseable": "That is not an answer.",
}


class Task(Protocol):
    """A question about towers, its answers and their outcomes.

    A task is registered by its class (`physrl.config.task`), which states all facts about it and
    takes no arguments. The first line of the class's docstring describes the image.
    """

    name: str
    """Name in configurations; that of its registry entry."""
    wordings: tuple[str, ...]
    """Wordings of the question: first that of training, then held-out ones."""
    achievement: str
    """Predicate of a report's sentence on the `{share}` of successes; its subject is the policy."""
    axes: tuple[Axis, ...]
    """Axes of the numbers in an answer; empty for Yes or No."""
    fewest_blocks: int
    """Fewest blocks of a scene, also where `environment.num_blocks` begins lower."""
    movable: bool
    """True if the last block of a scene is a red one apart from the tower."""
    shortcuts: ClassVar[Shortcuts]
    """Rules of the task's own that see the scene but use no physics, by name; they are measured as
    controls, beside those that all tasks share (`physrl.evaluation.rules`)."""
    families: ClassVar[Families]
    """Families of such rules, by name; the rule of each that is right most often is a control."""
    attempts: int
    """Most answers to one scene; after a failure the model sees an image of the outcome."""
    again: str
    """Request for the next answer, after a sentence on the last one; only with several attempts."""

    def sample(self, streams: Streams, settings: EnvironmentConfig) -> tuple[Block, ...]:
        """Draw a scene's blocks: the tower from bottom to top, then a red block that is apart.

        A block of the color `OUTLINE` at the end is a place of which only the outline is drawn.
        """
        ...

    def parse(self, completion: str) -> Action:
        """Return the action in a completion; never raises."""
        ...

    def ideal(self, scene: SceneSpec) -> Action:
        """Return the best action."""
        ...

    def target(self, scene: SceneSpec) -> str:
        """Return the target completion of SFT: the best action as an answer."""
        ...

    def release(self, scene: SceneSpec, action: Action) -> Release | None:
        """Return the blocks after the action; None if it is illegal or no action."""
        ...

    def act(self, scene: SceneSpec, action: Action, simulator: Simulator) -> Outcome:
        """Simulate the action and return its outcome."""
        ...

    def advance(self, scene: SceneSpec, outcome: Outcome) -> SceneSpec:
        """Return the scene of the next attempt; only with several attempts."""
        ...


def make_scene(
    task: Task,
    settings: EnvironmentConfig,
    seed: int,
    split: Split,
    index: int,
    generator: GeneratorName = "iid",
) -> SceneSpec:
    """Draw scene `index` of a set.

    Args:
        settings: A run's settings as changed by the set's generator (`GENERATORS`).

    Raises:
        SceneError: the settings admit no such scene.
    """
    streams = scene_streams(seed, task.name, split, generator, index)
    drawn = task.sample(streams, settings)
    blocks = tuple(block for block in drawn if block.color != OUTLINE)
    outlines = tuple(block for block in drawn if block.color == OUTLINE)
    tower = blocks[:-1] if task.movable else blocks
    targets = outlines
    if task.movable and not outlines:
        targets = _places_on_top(tower, blocks[-1])
    camera, appearance = sample_view(
        streams.own, settings.randomization, blocks, settings.camera, targets
    )
    return SceneSpec(
        seed=seed,
        task=task.name,
        split=split,
        index=index,
        blocks=blocks,
        movable=task.movable,
        margin=margin((*tower, *outlines)),
        camera=camera,
        appearance=appearance,
        generator=generator,
        wording=_draw_wording(task, settings, streams.own),
        outline=next(iter(outlines), None),
    )


def make_prompt(
    task: Task, scene: SceneSpec, renderer: Renderer, image_size: int, *, reasoning: bool
) -> Prompt:
    """Render a scene and ask the task's question about it."""
    image = scene_image(scene, renderer, image_size)
    question = question_text(task, scene.wording, reasoning=reasoning)
    return Prompt.ask(scene.scene_id, question, image)


def scene_image(scene: SceneSpec, renderer: Renderer, size: int) -> Image:
    """Render a scene as the model sees it before its answer."""
    image = renderer.render(scene_poses(scene), scene.camera, scene.appearance, size)
    if scene.outline is None:
        return image
    return draw_outline(image, scene.outline, scene.camera, scene.appearance)


def question_text(task: Task, wording: int = 0, *, reasoning: bool) -> str:
    """Return the question, with the format of the answer."""
    return task.wordings[wording] + FORMAT + (REASONING if reasoning else "")


def feedback_text(task: Task, outcome: Outcome, *, reasoning: bool) -> str:
    """Return the text beside the image of an attempt that is followed by another."""
    return f"{FEEDBACK[outcome.status]} {task.again}{FORMAT}" + (REASONING if reasoning else "")


def feedback_image(
    scene: SceneSpec, following: SceneSpec, outcome: Outcome, renderer: Renderer, size: int
) -> Image:
    """Render the scene of the next attempt, or the outcome where that begins like the last one."""
    if following is scene and outcome.poses:
        return renderer.render(outcome.poses, scene.camera, scene.appearance, size)
    return scene_image(following, renderer, size)


def _places_on_top(tower: tuple[Block, ...], red: Block) -> tuple[Block, ...]:
    """Return the leftmost and the rightmost place at which a block could carry the red one.

    The camera is fitted to both: an image fitted to the best place would give it away.
    """
    carrier = carrying_block(tower)
    lifted, reach = resting_on(red, carrier), carrier.edges[0] / 2
    return tuple(replace(lifted, x=carrier.x + shift) for shift in (-reach, reach))


def _draw_wording(task: Task, settings: EnvironmentConfig, rng: np.random.Generator) -> int:
    """Draw the wording, after all else so that it does not change the scene."""
    if settings.wording == "seen":
        return 0
    return int(rng.integers(1, len(task.wordings)))
