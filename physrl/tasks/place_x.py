"""`place_x`: the red block is held at the right height; move it sideways onto the tower."""

from dataclasses import replace

from physrl.config.environment import EnvironmentConfig
from physrl.environments.randomness import Streams
from physrl.environments.sampling import BESIDE
from physrl.tasks.answers import Axis
from physrl.tasks.place import Place
from physrl.tasks.placing import draw_side, sample_carrying
from physrl.types import Block


class PlaceX(Place):
    """A tower, and a red block in the air beside its top; all in one plane."""

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
        tower, red = sample_carrying(rng, settings)
        x = red.x - draw_side(streams) * float(rng.uniform(*BESIDE))
        return (*tower, replace(red, x=x))
