"""`stabilize`: move the red block of a tower that would fall so that all stand."""

from dataclasses import replace

from physrl.config.environment import EnvironmentConfig
from physrl.environments.geometry import margin
from physrl.environments.palette import RED
from physrl.environments.randomness import Streams
from physrl.environments.sampling import sample_tower
from physrl.environments.simulator import FALL_DISPLACEMENT, Simulator
from physrl.errors import SceneError
from physrl.tasks.answers import Axis, answer_text, format_action, parse_offset
from physrl.tasks.placing import GIVE_UP_BEYOND, best_shift, distance, draw_side
from physrl.tasks.release import Release
from physrl.types import Action, Block, Offset, Outcome, SceneSpec

LARGEST_SHIFT = 1.0
"""Largest shift of the red block out of a standing tower, in block widths."""
TRIES = 1000


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

    def sample(self, streams: Streams, settings: EnvironmentConfig) -> tuple[Block, ...]:
        """Draw a standing tower and move one block until the tower would fall.

        In exactly one scene of a pair the red block has to move to the right.
        """
        rng, (low, high) = streams.own, settings.margin
        side = draw_side(streams)
        num_blocks = int(rng.integers(settings.num_blocks[0], settings.num_blocks[1] + 1))
        for _ in range(TRIES):
            tower = sample_tower(rng, settings, num_blocks, stable=True, depth=False)
            index = int(rng.integers(1, num_blocks))
            shift = rng.uniform(0, LARGEST_SHIFT)
            red = replace(tower[index], x=float(tower[index].x - side * shift), color=RED)
            unstable = (*tower[:index], red, *tower[index + 1 :])
            if low <= -margin(unstable) <= high:
                return unstable
        raise SceneError(
            f"no tower of {num_blocks} blocks falls with a margin of {low} to {high} when one is "
            f"moved by up to {LARGEST_SHIFT:g}, in {TRIES} tries: widen environment.margin"
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


def red_index(scene: SceneSpec) -> int:
    """Return the index of the block to move, counted from the lowest."""
    return next(index for index, block in enumerate(scene.blocks) if block.color == RED)
