"""State of a scene when its blocks are released."""

import math
from dataclasses import dataclass

from physrl.environments.simulator import Settled, Simulator
from physrl.types import Block, Pose


@dataclass(frozen=True, slots=True)
class Release:
    """The blocks after the action, at the moment of release."""

    blocks: tuple[Block | Pose, ...]
    drop: float = 0.0
    """Height of the moved block above its support, in block widths."""
    give_up_beyond: float = math.inf
    """Displacement beyond the drop at which the simulation ends early, in block widths."""
    patience: float = 1.0
    """Multiple of the simulation's usual time limit."""

    @property
    def upright(self) -> tuple[Block, ...]:
        """The blocks that have not been tilted by earlier moves."""
        return tuple(block for block in self.blocks if isinstance(block, Block))

    def settle(self, simulator: Simulator) -> Settled:
        """Simulate until the blocks rest.

        Raises:
            SimulationError: a position is not finite.
        """
        limit = self.give_up_beyond + self.drop
        return simulator.settle(self.blocks, self.drop, limit, self.patience)
