"""`build`: place three red blocks one after another, so that the tower stands at the end."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from physrl.config.environment import EnvironmentConfig
from physrl.environments.geometry import Floats, margin
from physrl.environments.palette import PALETTES, RED
from physrl.environments.projection import pose_corners
from physrl.environments.randomness import Streams
from physrl.environments.sampling import sample_tower
from physrl.environments.simulator import FALL_DISPLACEMENT, Simulator, start_pose
from physrl.errors import SceneError
from physrl.tasks.answers import UNITS, Axis, answer_text, format_action, parse_offset
from physrl.tasks.placing import best_shift, distance, height, resting_on
from physrl.tasks.release import Release
from physrl.types import Action, Block, Families, Offset, Outcome, Pose, SceneSpec, Shortcuts

MOVES = 3
GAP = (1.2, 2.6)
"""Bounds of the distance at which a red block hangs beside the middle of the lowest block."""
TOUCHING = 0.05
"""Largest overlap at which blocks still pass each other, in block widths."""
LEANING = 0.05
"""Most by which the tower's margin exceeds the smallest one: firmer towers seldom fall under blocks
over the middle of the top."""
TOWERS = 2000
PATIENCE = 3.0
"""Multiple of the simulator's usual time limit: fallen blocks roll."""


def aligned(scene: SceneSpec) -> Offset:
    """Return the answer that puts the red block over the middle of the highest one."""
    top = max(scene.tower, key=lambda block: block.y)
    return Offset(round((top.x - scene.blocks[-1].x) * UNITS) / UNITS, 0.0)


class Build:
    """A leaning tower, and a red block that hangs beside it as high as the tower has to become.

    An answer moves the red block sideways, where it is let down until it touches. Blocks stay where
    they come to rest, and the next red block appears where the last one did.
    """

    name = "build"
    wordings: tuple[str, ...] = (
        "Three red blocks come in turn. Move this one sideways; it is let down there. "
        "Build a tower as high as they hang. Answer x.",
        "Stack three red cubes, one at a time, and nothing may fall. This one is lowered where you "
        "say. How far right? Answer x.",
        "The tower must grow by three blocks. Where does the crane put this red one? Answer x.",
        "Three times a red block is lowered onto the stack. Shift this one so that all will hold. "
        "Answer x.",
    )
    achievement = "placed three blocks so that the taller tower stood in {share} of new scenes"
    axes: tuple[Axis, ...] = ("x",)
    attempts = MOVES
    fewest_blocks = 4  # on two, blocks with their middles over each other always stand
    movable = True
    shortcuts: ClassVar[Shortcuts] = {"aligner": aligned}
    families: ClassVar[Families] = {}
    again = "Now move the next red block."

    def sample(self, streams: Streams, settings: EnvironmentConfig) -> tuple[Block, ...]:
        """Draw a tower on which three blocks stand, but not with their middles over the top's."""
        rng, (low, high) = streams.own, settings.num_blocks
        num_blocks = max(self.fewest_blocks, int(rng.integers(low, high + 1))) - 1
        smallest, largest = settings.margin
        margins = (smallest, min(largest, smallest + LEANING))
        leaning = settings.model_copy(update={"margin": margins})
        for _ in range(TOWERS):
            tower = sample_tower(rng, leaning, num_blocks, stable=True, depth=False)
            if _asks_for_a_plan(tower, smallest):
                away = float(rng.choice([-1, 1])) * float(rng.uniform(*GAP))
                goal = height(tower) + MOVES
                return (*tower, Block(tower[0].x + away, goal + 0.5, 0.0, 0.0, RED))
        raise SceneError(
            f"none of {TOWERS} towers of {num_blocks} blocks carries {MOVES} more, but not over "
            "the middle of its top: lower environment.margin or raise environment.largest_step"
        )

    def parse(self, completion: str) -> Action:
        return parse_offset(completion, self.axes)

    def ideal(self, scene: SceneSpec) -> Offset:
        """Return the offset after which the tower stands with the largest margin.

        Once blocks have fallen, it leads to the middle of the highest one.
        """
        red = scene.blocks[-1]
        stack = _restacked(scene.tower)
        if stack is None:
            return aligned(scene)
        return Offset(best_shift((*stack, resting_on(red, stack[-1])), len(stack))[0], 0.0)

    def target(self, scene: SceneSpec) -> str:
        return answer_text(format_action(self.ideal(scene), self.axes))

    def release(self, scene: SceneSpec, action: Action) -> Release | None:
        """Let the red block down until it touches another one or the ground."""
        if not isinstance(action, Offset):
            return None
        red = scene.blocks[-1]
        moved = replace(red, x=red.x + action.x)
        placed: tuple[Block | Pose, ...] = (*scene.rest, *scene.blocks[len(scene.rest) : -1])
        tops = [_box(block)[1][1] for block in placed if _is_under(block, moved)]
        lowered = replace(moved, y=float(max(tops, default=0.0)) + red.size / 2)
        return Release((*placed, lowered), patience=PATIENCE)

    def act(self, scene: SceneSpec, action: Action, simulator: Simulator) -> Outcome:
        """Place a block and simulate; the last one succeeds if the tower is high enough."""
        released = self.release(scene, action)
        if released is None:
            return Outcome("unparseable", success=False)
        settled = released.settle(simulator)
        red = scene.blocks[-1]
        goal = red.y - red.size / 2
        reached = float(max(_box(pose)[1][1] for pose in settled.poses))
        return Outcome(
            "settled",
            success=settled.at_rest and reached > goal - FALL_DISPLACEMENT,
            height_gain=1 - (goal - reached) / MOVES if settled.at_rest else 0.0,
            displacement=max(settled.displacements),
            distance=distance(action, self.ideal(scene)),
            poses=settled.poses,
            motion=settled.motion,
        )

    def advance(self, scene: SceneSpec, outcome: Outcome) -> SceneSpec:
        """Return the scene after a move: blocks as they came to rest, and the next red block."""
        if not outcome.poses:
            return scene
        red, palette = scene.blocks[-1], _palette(scene)
        taken = {block.color for block in scene.tower}
        color = next((name for name in palette if name not in taken), palette[0])
        rest = (*outcome.poses[:-1], replace(outcome.poses[-1], color=color))
        blocks = tuple(
            replace(block, x=pose.position[0], y=pose.position[1], z=pose.position[2])
            for block, pose in zip((*scene.tower, replace(red, color=color)), rest, strict=True)
        )
        return replace(scene, blocks=(*blocks, red), rest=rest)


def _asks_for_a_plan(tower: tuple[Block, ...], smallest: float) -> bool:
    """Return whether further blocks fall over the top's middle, and stand in their best places."""
    upper, stack = replace(tower[-1], size=1.0), tower
    for _ in range(MOVES):
        stack = (*stack, resting_on(upper, stack[-1]))
    if margin(stack) > -smallest:
        return False
    stack = tower
    for _ in range(MOVES):
        above = (*stack, resting_on(replace(upper, x=stack[-1].x), stack[-1]))
        shift, best = best_shift(above, len(stack))
        if best < smallest:
            return False
        stack = (*stack, replace(above[-1], x=stack[-1].x + shift))
    return True


def _restacked(tower: Sequence[Block]) -> tuple[Block, ...] | None:
    """Return the blocks of a tower exactly on top of each other; None if one has fallen."""
    stack: tuple[Block, ...] = (tower[0],)
    for block in tower[1:]:
        resting = resting_on(block, stack[-1])
        if abs(resting.y - block.y) > FALL_DISPLACEMENT:
            return None
        stack = (*stack, resting)
    return stack


def _box(block: Block | Pose) -> tuple[Floats, Floats]:
    """Return the lowest and the highest coordinates of a block in any pose."""
    corners = pose_corners(start_pose(block))
    return corners.min(axis=0), corners.max(axis=0)


def _is_under(block: Block | Pose, red: Block) -> bool:
    """Return whether a block is in the way of the red one when this is let down."""
    (low, high), (red_low, red_high) = _box(block), _box(red)
    return all(
        low[axis] < red_high[axis] - TOUCHING and red_low[axis] < high[axis] - TOUCHING
        for axis in (0, 2)
    )


def _palette(scene: SceneSpec) -> tuple[str, ...]:
    """Return the colors of placed blocks: those that the scene's tower was drawn from."""
    return next(names for names in PALETTES.values() if scene.blocks[0].color in names)
