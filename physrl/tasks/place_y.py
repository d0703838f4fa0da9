"""`place_y`: the red block is held above or below its place on the tower; move it up or down."""

from dataclasses import replace
from typing import ClassVar

from physrl.config.environment import EnvironmentConfig
from physrl.environments.randomness import Streams
from physrl.tasks.answers import UNITS, Axis
from physrl.tasks.place import Place
from physrl.tasks.placing import best_shift, sample_carrying
from physrl.types import Block, Families, Offset, SceneSpec, Shortcuts

SMALLEST_ERROR, HIGHEST = 0.15, 1.0
"""Bounds of the red block's distance from its height, in block widths."""
DEEPEST = 0.85
"""Largest depth in the tower as a share of the red block's size: a part of it still sticks out."""


class PlaceY(Place):
    """A tower, and a red block in the right column but at a wrong height."""

    name = "place_y"
    wordings: tuple[str, ...] = (
        "Move the red block up or down onto the tower so that all stand. Answer y.",
        "The red block is in the right column. By how much must it rise to stand? Answer y.",
        "Lift or lower the red block until it rests on the stack. Answer y.",
        "How far up must the red cube go to lie just upon the tower? Answer y.",
    )
    achievement = (
        "moved the red block up or down just onto the tower so that all stood in {share} of new "
        "scenes"
    )
    axes: tuple[Axis, ...] = ("y",)
    shortcuts: ClassVar[Shortcuts] = {}
    families: ClassVar[Families] = {}

    def sample(self, streams: Streams, settings: EnvironmentConfig) -> tuple[Block, ...]:
        rng = streams.own
        tower, lifted = sample_carrying(rng, settings)
        x, _ = best_shift((*tower, lifted), len(tower))
        above = bool(rng.random() < 0.5)
        largest = HIGHEST if above else DEEPEST * lifted.size
        error = round(rng.uniform(SMALLEST_ERROR, largest) * UNITS) / UNITS
        y = lifted.y + (error if above else -error)
        return (*tower, replace(lifted, x=lifted.x + x, y=y))

    def ideal(self, scene: SceneSpec) -> Offset:
        return Offset(0.0, super().ideal(scene).y)
