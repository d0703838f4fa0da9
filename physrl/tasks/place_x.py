"""`place_x`: the red block is held at the right height; move it sideways onto the tower."""

from dataclasses import replace

from physrl.config.environment import EnvironmentConfig
from physrl.environments.randomness import Streams
from physrl.tasks.answers import Axis
from physrl.tasks.place import Place
from physrl.tasks.placing import draw_side, resting_on, sample_carrying
from physrl.types import Block

GAP = (1.2, 2.6)
"""Bounds of the distance from the red block to the top block, between their centers."""


class PlaceX(Place):
    """A standing tower, and a red block in the air beside its top; all in one plane."""

    name = "place_x"
    wordings: tuple[str, ...] = (
        "Move the red block sideways onto the tower so that all stand. Answer x.",
        "The red block is high enough. By how much must it move to stand on the stack? Answer x.",
        "Shift the red block left or right until the tower can carry it. Answer x.",
        "How far right must the red cube go to rest upon the tower? Answer x.",
    )
    achievement = (
        "moved the red block sideways so that the taller tower stood in {share} of new scenes"
    )
    axes: tuple[Axis, ...] = ("x",)

    def sample(self, streams: Streams, settings: EnvironmentConfig) -> tuple[Block, ...]:
        """Draw a scene; in exactly one of a pair the red block has to move to the right."""
        rng = streams.own
        low, high = settings.num_blocks
        tower, red = sample_carrying(rng, settings, int(rng.integers(low, high + 1)) - 1)
        x = tower[-1].x - draw_side(streams) * float(rng.uniform(*GAP))
        return (*tower, replace(resting_on(red, tower[-1]), x=x))
