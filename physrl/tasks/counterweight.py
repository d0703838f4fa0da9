"""`counterweight`: move the red block sideways onto a plank that would tip without it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from physrl.config.environment import EnvironmentConfig
from physrl.environments.geometry import margin, overlaps
from physrl.environments.palette import RED
from physrl.environments.planks import draw_colors
from physrl.environments.randomness import Streams
from physrl.environments.sampling import BASE_RANGE
from physrl.environments.simulator import FALL_DISPLACEMENT, Simulator
from physrl.errors import SceneError
from physrl.tasks.beams import POST, Beams, sample_beams
from physrl.tasks.place_x import PlaceX
from physrl.tasks.placing import distance, draw_side
from physrl.tasks.plank_rules import aligned, guesses, midway, opposite
from physrl.tasks.prices import FREE, load_prices
from physrl.types import Action, Block, Families, Outcome, SceneSpec, Shortcuts, Unparseable

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


def kind_of(loads: int) -> str:
    """Return the kind of scene for which planks with this many loads have prices."""
    return f"counterweight {loads}"


def _draw(rng: np.random.Generator, settings: EnvironmentConfig, loads: int) -> tuple[Block, ...]:
    """Draw a post, a plank that tips from it, the blocks on it, and a red one that holds it.

    The plank is one in which guesses are seldom right.
    """
    prices = load_prices().get(kind_of(loads), FREE)
    for _ in range(BATCHES):
        beams = sample_beams(rng, settings, loads, BATCH)
        (rows,) = np.nonzero(prices.keep(rng, *beams.right_places(), beams.landmarks()))
        if rows.size:
            return _build(rng, settings, beams, int(rows[0]))
    raise SceneError(
        f"no plank with {loads} blocks is held by a red one in {BATCH * BATCHES} tries: lower "
        "environment.margin or environment.num_blocks"
    )


def _build(
    rng: np.random.Generator, settings: EnvironmentConfig, beams: Beams, row: int
) -> tuple[Block, ...]:
    """Build the post, the plank, the blocks on it and the red one of a row."""
    width, height, depth = POST
    middle = float(rng.uniform(-BASE_RANGE, BASE_RANGE)) - float(beams.posts[row])
    color, *colors = draw_colors(rng, settings)
    x, stretch = middle + float(beams.posts[row]), (width / height, depth / height)
    post = Block(x, height / 2, 0.0, 0.0, color, height, stretch)
    plank, *others = beams.planks.place(row, middle, height, colors)
    size = float(beams.sizes[row])
    y = plank.y + (plank.size + size) / 2
    return (post, plank, *others, Block(middle + float(beams.places[row]), y, 0.0, 0.0, RED, size))
