"""`stabilize`: move the red block of a tower that would fall so that all stand."""

from dataclasses import replace
from typing import ClassVar

from physrl.config.environment import EnvironmentConfig
from physrl.environments.geometry import margin
from physrl.environments.palette import RED
from physrl.environments.randomness import Streams
from physrl.environments.sampling import place_tower
from physrl.environments.simulator import FALL_DISPLACEMENT, Simulator
from physrl.errors import SceneError
from physrl.tasks.answers import Axis, answer_text, format_action, parse_offset
from physrl.tasks.landmarks import ALIGNED, Guess
from physrl.tasks.placing import (
    GIVE_UP_BEYOND,
    best_shift,
    distance,
    draw_side,
    guessed_shift,
    guessed_shifts,
)
from physrl.tasks.release import Release
from physrl.tasks.stacks import BATCHES, draw_count, draw_index, fair_shapes
from physrl.types import (
    Action,
    Block,
    Families,
    Offset,
    Outcome,
    SceneSpec,
    Shortcuts,
)

SHIFT = (0.3, 2.5)
"""Bounds of the distance from the red block to its best place, in block widths."""


def guessed(scene: SceneSpec, guess: Guess) -> Offset:
    """Return a guess's answer."""
    return Offset(guessed_shift(scene, red_index(scene), guess), 0.0)


def aligned(scene: SceneSpec) -> Offset:
    """Return the answer that puts the red block over the center of the block below."""
    return guessed(scene, ALIGNED)


def midway(scene: SceneSpec) -> Offset:
    """Return the answer that puts the red block midway between its neighbors.

    A top block is put midway between the block below it and the lowest one.
    """
    on_top = red_index(scene) == len(scene.blocks) - 1
    return guessed(scene, Guess("below", "lowest" if on_top else "above", 0.5))


def guesses(scene: SceneSpec) -> dict[Guess, Offset]:
    """Return the answers of all guesses."""
    shifts = guessed_shifts(scene, red_index(scene))
    return {guess: Offset(shift, 0.0) for guess, shift in shifts.items()}


def red_index(scene: SceneSpec) -> int:
    """Return the index of the block to move, counted from the lowest."""
    return next(index for index, block in enumerate(scene.blocks) if block.color == RED)


class Stabilize:
    """An unstable tower with a red block, any but the lowest; all in one plane.

    An action moves the red block alone: the blocks above it stay where they are.
    """

    name = "stabilize"
    wordings: tuple[str, ...] = (
        "Move the red block sideways so that all stand. Answer x.",
        "This tower would fall. By how much must the red block move to save it? Answer x.",
        "Shift the red block left or right until the stack holds. Answer x.",
        "How far right must the red cube go for the tower to remain upright? Answer x.",
    )
    achievement = "moved the red block so that the falling tower stood in {share} of new scenes"
    axes: tuple[Axis, ...] = ("x",)
    attempts = 1
    fewest_blocks = 2
    movable = False
    shortcuts: ClassVar[Shortcuts] = {"aligner": aligned, "midway": midway}
    families: ClassVar[Families] = {"guess": guesses}

    def sample(self, streams: Streams, settings: EnvironmentConfig) -> tuple[Block, ...]:
        """Draw a tower that can stand and move one block until it would fall.

        In exactly one scene of a pair the red block has to move to the right.
        """
        rng, (smallest, largest) = streams.own, settings.margin
        side = draw_side(streams)
        num_blocks = draw_count(rng, settings)
        index = draw_index(rng, num_blocks)
        for shape in fair_shapes(rng, settings, num_blocks, index):
            tower = place_tower(rng, settings, shape)
            best, reached = best_shift(tower, index)
            moved = tower[index].x + best - side * rng.uniform(*SHIFT)
            red = replace(tower[index], x=float(moved), color=RED)
            unstable = (*tower[:index], red, *tower[index + 1 :])
            if reached >= smallest and margin(unstable) <= -smallest:
                return unstable
        raise SceneError(
            f"no stack of {num_blocks} blocks has a margin of {smallest:g} to {largest:g} with one "
            f"in its best place and falls when that is moved by up to {SHIFT[1]:g}, in "
            f"{sum(BATCHES)} tries: widen environment.margin or raise environment.largest_step"
        )

    def parse(self, completion: str) -> Action:
        return parse_offset(completion, self.axes)

    def ideal(self, scene: SceneSpec) -> Offset:
        """Return the offset after which the tower stands with the largest margin."""
        x, _ = best_shift(scene.blocks, red_index(scene))
        return Offset(x, 0.0)

    def target(self, scene: SceneSpec) -> str:
        return answer_text(format_action(self.ideal(scene), self.axes))

    def release(self, scene: SceneSpec, action: Action) -> Release | None:
        if not isinstance(action, Offset):
            return None
        index = red_index(scene)
        red = scene.blocks[index]
        moved = replace(red, x=red.x + action.x)
        blocks = (*scene.blocks[:index], moved, *scene.blocks[index + 1 :])
        return Release(blocks, give_up_beyond=GIVE_UP_BEYOND)

    def act(self, scene: SceneSpec, action: Action, simulator: Simulator) -> Outcome:
        """Move the red block and simulate; sideways nothing is in its way."""
        released = self.release(scene, action)
        if released is None:
            return Outcome("unparseable", success=False)
        settled = released.settle(simulator)
        farthest = max(settled.displacements)
        return Outcome(
            "settled",
            success=settled.at_rest and farthest <= FALL_DISPLACEMENT,
            displacement=farthest,
            distance=distance(action, self.ideal(scene)),
            poses=settled.poses,
            motion=settled.motion,
        )
