"""`place`: move the red block on top so that the tower is taller and stands."""

from dataclasses import replace
from functools import lru_cache

import numpy as np

from physrl.config.environment import EnvironmentConfig
from physrl.environments.geometry import margin, overlaps
from physrl.environments.randomness import Streams
from physrl.environments.sampling import sample_beside, sample_tower
from physrl.environments.simulator import FALL_DISPLACEMENT, Simulator
from physrl.errors import SceneError
from physrl.tasks.answers import UNITS, answer_text, parse_offset
from physrl.types import Action, Block, Offset, Outcome, SceneSpec, Unparseable

QUESTION = "Move the red block on top of the tower so that all stand. Answer x y."
OVERLAP_TOLERANCE = 0.05
"""An answer this much too low or too close counts as touching, in block widths."""
TOWERS = 20
"""Standing towers tried for a scene; nearly every one carries another block."""
GIVE_UP_BEYOND = 1.0
"""Nothing that is rewarded changes once a block has moved this far."""


class Place:
    """A standing tower, and a red block on the ground beside it; all in one plane."""

    name = "place"
    question = QUESTION
    attempts = 1
    movable = True

    def sample(self, streams: Streams, settings: EnvironmentConfig) -> tuple[Block, ...]:
        rng = streams.own
        low, high = settings.num_blocks
        num_blocks = int(rng.integers(low, high + 1)) - 1
        for _ in range(TOWERS):
            tower = sample_tower(rng, settings, num_blocks, stable=True, depth=False)
            if best_place(tower)[1] >= settings.margin[0]:
                return (*tower, sample_beside(rng, tower))
        raise SceneError(
            f"none of {TOWERS} towers of {num_blocks} blocks carries another one with a margin of "
            f"{settings.margin[0]}: lower environment.margin"
        )

    def parse(self, completion: str) -> Action:
        return parse_offset(completion)

    def ideal(self, scene: SceneSpec) -> Offset:
        """The offset to where the taller tower stands with the largest margin."""
        red = scene.blocks[-1]
        x, _ = best_place(scene.tower)
        return Offset(round((x - red.x) * UNITS) / UNITS, scene.tower[-1].y + 1 - red.y)

    def target(self, scene: SceneSpec) -> str:
        ideal = self.ideal(scene)
        return answer_text(f"{round(ideal.x * UNITS)} {round(ideal.y * UNITS)}")

    def act(self, scene: SceneSpec, action: Action, simulator: Simulator) -> Outcome:
        """Put the red block where the answer says, let go, and see."""
        if isinstance(action, Unparseable):
            return Outcome("unparseable", success=False)
        assert isinstance(action, Offset)
        ideal = self.ideal(scene)
        distance = float(np.hypot(action.x - ideal.x, action.y - ideal.y))
        red = scene.blocks[-1]
        moved = replace(red, x=red.x + action.x, y=red.y + action.y)
        illegal = moved.y < 0.5 - OVERLAP_TOLERANCE or any(
            overlaps(moved, block, OVERLAP_TOLERANCE) for block in scene.tower
        )
        if illegal:
            return Outcome("illegal", success=False, distance=distance)
        moved = replace(moved, y=max(moved.y, support_height(moved, scene.tower) + 0.5))
        drop = moved.y - 0.5 - support_height(moved, scene.tower)
        settled = simulator.settle((*scene.tower, moved), drop, GIVE_UP_BEYOND + drop)
        before = max(block.y for block in scene.blocks)
        height_gain = max(pose.position[1] for pose in settled.poses) - before
        slips = [*settled.displacements[:-1], settled.displacements[-1] - drop]
        taller = settled.at_rest and height_gain > 1 - FALL_DISPLACEMENT
        return Outcome(
            "settled",
            success=taller and max(slips) <= FALL_DISPLACEMENT,
            height_gain=float(height_gain) if settled.at_rest else 0.0,
            displacement=max(settled.displacements),
            distance=distance,
            poses=settled.poses,
        )


@lru_cache(maxsize=4096)
def best_place(tower: tuple[Block, ...]) -> tuple[float, float]:
    """Where a block on top gives the largest margin: its x, and that margin.

    Remembered, because each of a group's answers about a scene is held against it.
    """
    top = tower[-1]
    candidates = [
        replace(top, x=top.x + step / UNITS, y=top.y + 1) for step in range(-UNITS // 2, UNITS // 2)
    ]
    margins = [margin((*tower, candidate)) for candidate in candidates]
    best = int(np.argmax(margins))
    return candidates[best].x, margins[best]


def support_height(block: Block, tower: tuple[Block, ...]) -> float:
    """The height of what lies under a block: the ground, or the top of a block of the tower."""
    tops = [
        below.y + 0.5
        for below in tower
        if below.y < block.y and overlaps(replace(below, y=block.y), block, OVERLAP_TOLERANCE)
    ]
    return max(tops, default=0.0)
