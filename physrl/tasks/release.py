"""State of a scene when its blocks are released."""

import math
from dataclasses import dataclass

from physrl.environments.simulator import Settled, Simulator
from physrl.types import Block


@dataclass(frozen=True, slots=True)
class Release:
    """The blocks after the action, at the moment of release."""

    blocks: tuple[Block, ...]
    drop: float = 0.0
    """Height of the moved block above its support, in block widths."""
    give_up_beyond: float = math.inf
    """Displacement beyond the drop at which the simulation ends early, in block widths."""

    def settle(self, simulator: Simulator) -> Settled:
        """Simulate until the blocks rest.

        Raises:
            SimulationError: a position is not finite.
        """
        return simulator.settle(self.blocks, self.drop, self.give_up_beyond + self.drop)
