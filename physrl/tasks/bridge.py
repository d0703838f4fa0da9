"""`bridge`: move the red pier under a loaded plank so that all stand."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from physrl.config.environment import EnvironmentConfig
from physrl.environments.palette import RED
from physrl.environments.planks import Planks, draw_colors, sample_planks
from physrl.environments.randomness import Streams
from physrl.environments.sampling import BASE_RANGE
from physrl.errors import SceneError
from physrl.tasks.landmarks import plank_landmarks
from physrl.tasks.placing import draw_side
from physrl.tasks.plank_rules import aligned, guesses, mean, midway
from physrl.tasks.prices import FREE, load_prices
from physrl.tasks.stabilize import Stabilize
from physrl.types import Block, Families, Shortcuts

PIER = (0.25, 1.0, 1.0)
"""Width, height and depth of the red block."""
BALANCE = (0.1, 1.2)
"""Bounds of how much farther than half the pier's width the ideal place is from the middle."""
GAP = (0.5, 3.2)
"""Bounds of the distance that the red block has to move."""
BATCH, BATCHES = 256, 200


class Bridge(Stabilize):
    """A loaded plank in the air, and under or beside it the red block, which is its only pier.

    The plank stands where its center of mass, with all that lies on it, is over the pier. That is
    never so with the pier under the plank's middle.
    """

    name = "bridge"
    wordings: tuple[str, ...] = (
        "Move the red block sideways under the plank so that all stand. Answer x.",
        "The red pier alone must carry the loaded plank. By how much must it move? Answer x.",
        "Shift the red support left or right until the bridge balances on it. Answer x.",
        "How far right must the red cuboid go so that nothing tips over? Answer x.",
    )
    achievement = "moved the red pier so that the loaded plank stood in {share} of new scenes"
    fewest_blocks = 3  # one block on a plank can be balanced by its place alone
    shortcuts: ClassVar[Shortcuts] = {"aligner": aligned, "midway": midway, "mean": mean}
    families: ClassVar[Families] = {"guess": guesses}

    def sample(self, streams: Streams, settings: EnvironmentConfig) -> tuple[Block, ...]:
        """Draw a plank that one pier can carry, off its middle, and the pier beside that place.

        In exactly one scene of a pair the pier has to move to the right.
        """
        rng, side = streams.own, draw_side(streams)
        low, high = settings.num_blocks
        num_blocks = max(self.fewest_blocks, int(rng.integers(low, high + 1)))
        middle = float(rng.uniform(-BASE_RANGE, BASE_RANGE))
        colors = draw_colors(rng, settings)
        planks, row = _draw(rng, settings, num_blocks - 1)
        width, height, depth = PIER
        x = middle + float(planks.balances[row]) - side * float(rng.uniform(*GAP))
        pier = Block(x, height / 2, 0.0, 0.0, RED, height, (width / height, depth / height))
        return (pier, *planks.place(row, middle, height, colors))


def kind_of(loads: int) -> str:
    """Return the kind of scene for which planks with this many loads have prices."""
    return f"bridge {loads}"


def propose(
    rng: np.random.Generator, settings: EnvironmentConfig, loads: int, count: int
) -> tuple[Planks, NDArray[np.bool_]]:
    """Draw planks; return with them which of them one pier can carry off their middle."""
    planks = sample_planks(rng, settings, count, loads)
    off, (low, high) = np.abs(planks.balances) - PIER[0] / 2, BALANCE
    carried = (max(low, settings.margin[0]) <= off) & (off <= high)
    return planks, planks.fits & carried & (off <= planks.lengths / 2 - PIER[0])


def _draw(rng: np.random.Generator, settings: EnvironmentConfig, loads: int) -> tuple[Planks, int]:
    """Draw planks, and the row of one in which guesses are seldom right."""
    prices = load_prices().get(kind_of(loads), FREE)
    half = PIER[0] / 2
    for _ in range(BATCHES):
        planks, usable = propose(rng, settings, loads, BATCH)
        balances = planks.balances
        kept = prices.keep(rng, balances - half, balances + half, plank_landmarks(planks))
        (rows,) = np.nonzero(usable & kept)
        if rows.size:
            return planks, int(rows[0])
    raise SceneError(
        f"no plank with {loads} blocks balances off its middle in {BATCH * BATCHES} tries: "
        "lower environment.margin or environment.num_blocks"
    )
