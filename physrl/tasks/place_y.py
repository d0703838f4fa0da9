"""`place_y`: the red block is held above or below its place on the tower; move it up or down."""

from dataclasses import replace

from physrl.config.environment import EnvironmentConfig
from physrl.environments.randomness import Streams
from physrl.environments.simulator import FALL_DISPLACEMENT, Simulator
from physrl.tasks.answers import UNITS, Axis
from physrl.tasks.place import Place
from physrl.tasks.placing import best_shift, resting_on, sample_carrying
from physrl.types import Action, Block, Offset, Outcome, SceneSpec

TOO_HIGH = (0.15, 1.0)
TOO_LOW = (0.15, 0.85)
"""Bounds of the red block's height above its place, or of its depth in the tower, from which a part
of it still sticks out."""


class PlaceY(Place):
    """A standing tower, and a red block in the right column but at a wrong height."""

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

    def sample(self, streams: Streams, settings: EnvironmentConfig) -> tuple[Block, ...]:
        rng = streams.own
        low, high = settings.num_blocks
        num_blocks = int(rng.integers(low, high + 1)) - 1
        tower, red = sample_carrying(rng, settings, num_blocks)
        lifted = resting_on(red, tower[-1])
        x, _ = best_shift((*tower, lifted), num_blocks)
        above = bool(rng.random() < 0.5)
        error = round(rng.uniform(*TOO_HIGH if above else TOO_LOW) * UNITS) / UNITS
        y = lifted.y + (error if above else -error)
        return (*tower, replace(lifted, x=lifted.x + x, y=y))

    def ideal(self, scene: SceneSpec) -> Offset:
        return Offset(0.0, super().ideal(scene).y)

    def act(self, scene: SceneSpec, action: Action, simulator: Simulator) -> Outcome:
        """Move the red block and simulate as in `place`; a drop is a failure."""
        released = self.release(scene, action)
        outcome = super().act(scene, action, simulator)
        dropped = released is not None and released.drop > FALL_DISPLACEMENT
        return replace(outcome, success=outcome.success and not dropped)
