"""The moment at which the blocks of a scene are let go."""

import math
from dataclasses import dataclass

from physrl.environments.simulator import Settled, Simulator
from physrl.types import Block


@dataclass(frozen=True, slots=True)
class Release:
    """Where all blocks are when they are let go, after the action."""

    blocks: tuple[Block, ...]
    drop: float = 0.0
    """How far the moved block is above what it falls on, in block widths."""
    give_up_beyond: float = math.inf
    """Watched until a block has moved this much further than it drops."""

    def settle(self, simulator: Simulator) -> Settled:
        """What comes of it.

        Raises:
            SimulationError: a position is not finite.
        """
        return simulator.settle(self.blocks, self.drop, self.give_up_beyond + self.drop)
