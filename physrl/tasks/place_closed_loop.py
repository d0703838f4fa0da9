"""`place_closed_loop`: `place` with up to three attempts, each after an image of the last one."""

import math

from physrl.tasks.place import Place
from physrl.types import Outcome, SceneSpec


class PlaceClosedLoop(Place):
    """A tower, and a red block on the ground beside it; the last attempt counts."""

    name = "place_closed_loop"
    achievement = "did so in at most three attempts in {share} of new scenes"
    attempts = 3
    again = "Try again from the first image."
    give_up_beyond = math.inf
    """No limit: the next image shows the blocks at rest."""

    def advance(self, scene: SceneSpec, outcome: Outcome) -> SceneSpec:
        """Return the same scene: every attempt starts from it."""
        return scene
