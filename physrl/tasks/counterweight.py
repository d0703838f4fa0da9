"""`counterweight`: move the red block sideways onto a plank that would tip without it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from physrl.config.environment import EnvironmentConfig
from physrl.environments.geometry import margin, overlaps
from physrl.environments.palette import RED
from physrl.environments.planks import draw_colors, reach, sample_planks
from physrl.environments.randomness import Streams
from physrl.environments.sampling import BASE_RANGE
from physrl.environments.simulator import FALL_DISPLACEMENT, Simulator
from physrl.errors import SceneError
from physrl.tasks.place_x import PlaceX
from physrl.tasks.placing import distance, draw_side
from physrl.tasks.plank_rules import aligned, guesses, midway, opposite
from physrl.types import Action, Block, Families, Outcome, SceneSpec, Shortcuts, Unparseable

POST = (0.2, 1.0, 1.0)
"""Width, height and depth of the block under the plank."""
RED_SIZES = (0.7, 1.2)
LEVER = (0.25, 0.95)
"""Bounds of the ideal place as a share of the way from the post to the plank's end."""
CLOSE = 0.04
"""Largest difference from the share drawn between those bounds."""
CLEARANCE = 0.05
"""Smallest distance from the red block in its ideal place to other blocks on the plank."""
GAP = (0.6, 3.5)
"""Bounds of the distance that the red block has to move."""
FARTHEST = 3.5
"""Largest distance of the red block from the post at the beginning."""
BATCH, BATCHES = 256, 400
STARTS = 100
"""Most beginnings tried with a plank."""


class Counterweight(PlaceX):
    """A loaded plank on a post, which would tip, and a red block in the air at its height.

    The red block holds the plank where all that is on the post balances. That is never over the
    plank's middle.
    """

    name = "counterweight"
    wordings: tuple[str, ...] = (
        "Move the red block sideways onto the plank so that all stand. Answer x.",
        "The plank tips without the red block. By how much must that move to balance it? Answer x.",
        "Shift the red block left or right until it is the right counterweight. Answer x.",
        "How far right must the red cube go so that the beam stays level? Answer x.",
    )
    achievement = "moved the red counterweight so that the plank stood in {share} of new scenes"
    fewest_blocks = 3  # post, load, red block
    shortcuts: ClassVar[Shortcuts] = {"aligner": aligned, "midway": midway, "opposite": opposite}
    families: ClassVar[Families] = {"guess": guesses}

    def sample(self, streams: Streams, settings: EnvironmentConfig) -> tuple[Block, ...]:
        """Draw a plank that the red block can hold, and this block beside its place.

        In exactly one scene of a pair it has to move to the right.
        """
        rng, side = streams.own, draw_side(streams)
        low, high = settings.num_blocks
        num_blocks = max(self.fewest_blocks, int(rng.integers(low, high + 1)))
        while True:  # nearly every plank leaves room for a beginning
            *tower, red = _draw(rng, settings, num_blocks - 2)
            for _ in range(STARTS):
                start = replace(red, x=red.x - side * float(rng.uniform(*GAP)))
                if _may_begin(start, tower, settings.margin[0]):
                    return (*tower, start)

    def act(self, scene: SceneSpec, action: Action, simulator: Simulator) -> Outcome:
        """Move the red block and simulate; it may not go into another one."""
        if isinstance(action, Unparseable):
            return Outcome("unparseable", success=False)
        away, released = distance(action, self.ideal(scene)), self.release(scene, action)
        if released is None:
            return Outcome("illegal", success=False, distance=away)
        settled = released.settle(simulator)
        farthest = max(settled.displacements)
        return Outcome(
            "settled",
            success=settled.at_rest and farthest <= FALL_DISPLACEMENT,
            displacement=farthest,
            distance=away,
            poses=settled.poses,
            motion=settled.motion,
        )


def _may_begin(red: Block, tower: Sequence[Block], smallest: float) -> bool:
    """Return whether the red block is beside all others, near, and where the plank tips."""
    return (
        abs(red.x - tower[0].x) <= FARTHEST
        and not any(overlaps(red, block, 0.0) for block in tower)
        and margin((*tower, red)) <= -smallest
    )


def _draw(rng: np.random.Generator, settings: EnvironmentConfig, loads: int) -> tuple[Block, ...]:
    """Draw a post, a plank that tips from it, the blocks on it, and a red one that holds it."""
    (width, height, depth), low = POST, settings.margin[0]
    for _ in range(BATCHES):
        aim = float(rng.uniform(*LEVER))
        planks = sample_planks(rng, settings, BATCH, loads)
        size = float(rng.uniform(*RED_SIZES))
        middles = rng.uniform(-1, 1, BATCH) * (planks.lengths - width) / 2
        moments = planks.masses * (planks.balances + middles)
        places = -moments / size**3
        levers = places / (middles + np.sign(places) * planks.lengths / 2)
        gaps = np.abs(planks.centers + (middles - places)[:, None]) - size / 2
        tipping = (width / 2 + low) * planks.masses
        (rows,) = np.nonzero(
            planks.fits
            & (np.abs(levers - aim) <= CLOSE)
            & (np.abs(moments) >= tipping)
            & (np.abs(moments + size**3 * middles) >= tipping + (width / 2 + low) * size**3)
            & (gaps >= reach(planks.sizes, planks.yaws) + CLEARANCE).all(axis=1)
        )
        if rows.size:
            row, x = int(rows[0]), float(rng.uniform(-BASE_RANGE, BASE_RANGE))
            color, *colors = draw_colors(rng, settings)
            post = Block(x, height / 2, 0.0, 0.0, color, height, (width / height, depth / height))
            plank, *others = planks.place(row, x + float(middles[row]), height, colors)
            y = plank.y + (plank.size + size) / 2
            return (post, plank, *others, Block(x + float(places[row]), y, 0.0, 0.0, RED, size))
    raise SceneError(
        f"no plank with {loads} blocks is held by a red one in {BATCH * BATCHES} tries: lower "
        "environment.margin or environment.num_blocks"
    )
