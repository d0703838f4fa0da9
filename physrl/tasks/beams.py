"""Loaded planks on a post, each held by a red block, many at a time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physrl.config.environment import EnvironmentConfig
from physrl.environments.geometry import Floats
from physrl.environments.planks import Planks, reach, sample_planks
from physrl.tasks.landmarks import Landmarks, plank_landmarks

POST = (0.2, 1.0, 1.0)
"""Width, height and depth of the block under the plank."""
RED_SIZES = (0.7, 1.2)
LEVER = (0.25, 0.95)
"""Bounds of the ideal place as a share of the way from the post to the plank's end."""
CLEARANCE = 0.05
"""Smallest distance from the red block in its ideal place to other blocks on the plank."""


@dataclass(frozen=True, slots=True)
class Beams:
    """Loaded planks in rows, each with a red block on it and balanced on a post.

    Places are relative to the plank's middle.
    """

    planks: Planks
    sizes: Floats
    """Edge lengths of the red blocks."""
    places: Floats
    """Ideal places of the red blocks."""

    @property
    def masses(self) -> Floats:
        """Mass of each plank with all blocks."""
        total: Floats = self.planks.masses + self.sizes**3
        return total

    @property
    def posts(self) -> Floats:
        """Places of the posts: the center of mass of each plank with all blocks."""
        moments = self.planks.masses * self.planks.balances + self.sizes**3 * self.places
        posts: Floats = moments / self.masses
        return posts

    def usable(self, settings: EnvironmentConfig) -> NDArray[np.bool_]:
        """Return in which rows the red block has room, is needed, and lies where it may."""
        planks, tips = self.planks, POST[0] / 2 + settings.margin[0]
        ways = self.places - self.posts
        levers = ways / (np.sign(ways) * planks.lengths / 2 - self.posts)
        gaps = np.abs(planks.centers - self.places[:, None])
        room = gaps - self.sizes[:, None] / 2 - reach(planks.sizes, planks.yaws)
        usable: NDArray[np.bool_] = (
            planks.fits
            & (LEVER[0] <= levers)
            & (levers <= LEVER[1])
            & (np.abs(planks.balances - self.posts) >= tips)
            & (np.abs(self.places) * self.sizes**3 >= tips * self.masses)  # the aligner fails
            & (room >= CLEARANCE).all(axis=1)
        )
        return usable

    def rows(self, kept: NDArray[np.bool_]) -> "Beams":
        """Return some of the planks."""
        return Beams(self.planks.rows(kept), self.sizes[kept], self.places[kept])

    def right_places(self) -> tuple[Floats, Floats]:
        """Return the bounds of the places with which the center of mass is over the post."""
        slack = POST[0] / 2 * self.masses / self.sizes**3
        return self.places - slack, self.places + slack

    def landmarks(self) -> Landmarks:
        """Return the landmarks of the planks."""
        return plank_landmarks(self.planks, self.posts)


def sample_beams(
    rng: np.random.Generator, settings: EnvironmentConfig, loads: int, count: int
) -> Beams:
    """Draw loaded planks, red blocks and where these lie; return those that are usable."""
    planks = sample_planks(rng, settings, count, loads)
    places = rng.uniform(-1, 1, count) * planks.lengths / 2
    beams = Beams(planks, rng.uniform(*RED_SIZES, count), places)
    return beams.rows(beams.usable(settings))
