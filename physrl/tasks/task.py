"""What a task is, and the scenes that it asks about."""

from dataclasses import replace
from typing import Protocol

import numpy as np

from physrl.config.environment import EnvironmentConfig, GeneratorName
from physrl.environments.appearance import sample_view
from physrl.environments.geometry import margin
from physrl.environments.randomness import Streams, scene_streams
from physrl.environments.renderer import Renderer
from physrl.environments.simulator import Simulator, start_pose
from physrl.tasks.answers import Axis
from physrl.tasks.placing import resting_on
from physrl.tasks.release import Release
from physrl.types import Action, Block, Outcome, Prompt, SceneSpec, Split

REASONING = " Think first between <think> and </think>, then answer."
FORMAT = " Put the answer between <answer> and </answer>."
FEEDBACK = {
    "settled": "This is what happened.",
    "illegal": "The red block does not fit there.",
    "unparseable": "That is not an answer.",
}


class Task(Protocol):
    """One question about towers: what is asked, what counts as an answer, what comes of it."""

    name: str
    wordings: tuple[str, ...]
    """The question as training asks it, then the held-out ways of asking the same."""
    achievement: str
    """What a success is, as a report says it of a `{share}`."""
    axes: tuple[Axis, ...]
    """The numbers that an answer consists of; none for Yes or No."""
    movable: bool
    """Whether the last block of a scene is a red one that stands apart from the tower."""
    attempts: int
    """How often the model may answer; after a failure it sees what happened."""

    def sample(self, streams: Streams, settings: EnvironmentConfig) -> tuple[Block, ...]:
        """The blocks of a scene: the tower from bottom to top, then the red one if it is apart."""
        ...

    def parse(self, completion: str) -> Action:
        """What a completion means; never raises."""
        ...

    def ideal(self, scene: SceneSpec) -> Action:
        """The best action."""
        ...

    def target(self, scene: SceneSpec) -> str:
        """The completion that SFT imitates: the best action in words."""
        ...

    def release(self, scene: SceneSpec, action: Action) -> Release | None:
        """What is let go once the action is carried out; None where it cannot be."""
        ...

    def act(self, scene: SceneSpec, action: Action, simulator: Simulator) -> Outcome:
        """Carry the action out in the simulator."""
        ...


def make_scene(
    task: Task,
    settings: EnvironmentConfig,
    seed: int,
    split: Split,
    index: int,
    generator: GeneratorName = "iid",
) -> SceneSpec:
    """Scene `index` of a set.

    Args:
        settings: what the set's generator makes of a run's settings (`GENERATORS`).

    Raises:
        SceneError: the settings admit no such scene.
    """
    streams = scene_streams(seed, task.name, split, generator, index)
    blocks = task.sample(streams, settings)
    tower = blocks[:-1] if task.movable else blocks
    targets = _places_on_top(tower, blocks[-1]) if task.movable else ()
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
        margin=margin(tower),
        camera=camera,
        appearance=appearance,
        generator=generator,
        wording=_draw_wording(task, settings, streams.own),
    )


def make_prompt(
    task: Task, scene: SceneSpec, renderer: Renderer, image_size: int, *, reasoning: bool
) -> Prompt:
    """The picture of a scene and the task's question."""
    poses = [start_pose(block) for block in scene.blocks]
    image = renderer.render(poses, scene.camera, scene.appearance, image_size)
    question = question_text(task, scene.wording, reasoning=reasoning)
    return Prompt.ask(scene.scene_id, question, image)


def question_text(task: Task, wording: int = 0, *, reasoning: bool) -> str:
    """The question in words, with the form that the answer takes."""
    return task.wordings[wording] + FORMAT + (REASONING if reasoning else "")


def feedback_text(outcome: Outcome, *, reasoning: bool) -> str:
    """What is said beside the picture of a failed attempt; the next one starts afresh."""
    again = " Try again from the first picture." + FORMAT
    return FEEDBACK[outcome.status] + again + (REASONING if reasoning else "")


def _places_on_top(tower: tuple[Block, ...], red: Block) -> tuple[Block, ...]:
    """The leftmost and the rightmost place at which the top block could carry the red one.

    The best lies between them; a picture fitted to the best would point at it.
    """
    lifted = resting_on(red, tower[-1])
    reach = tower[-1].size / 2
    return tuple(replace(lifted, x=tower[-1].x + shift) for shift in (-reach, reach))


def _draw_wording(task: Task, settings: EnvironmentConfig, rng: np.random.Generator) -> int:
    """The last thing that is drawn, so that a scene is the same in whatever words."""
    if settings.wording == "seen":
        return 0
    return int(rng.integers(1, len(task.wordings)))
