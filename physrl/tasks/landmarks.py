"""Guesses: places for a block that need no physics, made of landmarks of what is around it.

A guess knows where all blocks are. It goes from one landmark a share of the way to another, or a
fixed distance towards it. Scenes are drawn so that no guess is right often (`prices.Prices`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations, permutations

import numpy as np

from physrl.environments.geometry import Floats
from physrl.environments.planks import Planks, reach

Landmarks = Mapping[str, Floats]
"""Places along x by name, each with one value a scene."""
START = "below"
"""The middle of the block below, or of the plank: the place of alignment."""
SHARES = tuple(float(share) for share in np.arange(-1, 2.01, 0.25) if share)
"""Shares of the way from one landmark to another; over 1: beyond it."""
STEPS = (-0.45, -0.3, -0.15, 0.15, 0.3, 0.45)
"""Distances from one landmark towards another, in block widths; below 0: away from it."""
FINE = tuple(round(float(share), 2) for share in np.arange(0.05, 2.01, 0.05))
"""Shares of the way from a pivot to where the red block belongs, which are right in many scenes."""
_MIRRORED = {
    "left": "right",
    "right": "left",
    "shared_left": "shared_right",
    "shared_right": "shared_left",
}


@dataclass(frozen=True, slots=True)
class Guess:
    """The place a share of the way from one landmark to another, and a step farther."""

    start: str
    end: str
    share: float
    step: float = 0.0
    """Distance towards `end` beyond the share of the way, in block widths."""

    def mirrored(self) -> "Guess":
        """Return the guess that does in mirrored stacks what this one does in the originals."""
        start, end = (_MIRRORED.get(name, name) for name in (self.start, self.end))
        if self.share and self.start != self.end and (start, end) == (self.end, self.start):
            return replace(self, share=1 - self.share)
        return replace(self, start=start, end=end)

    def places(self, landmarks: Landmarks) -> Floats:
        """Return where the guess puts the block."""
        start = landmarks[self.start]
        way = landmarks[self.end] - start
        places: Floats = start + self.share * way
        return places + self.step * np.sign(way) if self.step else places


ALIGNED = Guess(START, START, 0.0)
"""Over the center of the block below."""


def find_landmarks(x: Floats, sizes: Floats, index: int) -> Landmarks:
    """Return the landmarks of stacks for the block `index`, which is itself none.

    Args:
        x: Centers (last axis: blocks, bottom first).
        sizes: Edge lengths, of the same shape.
    """
    others = [other for other in range(x.shape[-1]) if other != index]
    centers, halves = x[..., others], sizes[..., others] / 2
    lefts, rights = centers - halves, centers + halves
    found = {
        START: x[..., index - 1],
        "lowest": x[..., 0],
        "mean": centers.mean(axis=-1),
        "median": np.median(centers, axis=-1),
        "middle": (centers.min(axis=-1) + centers.max(axis=-1)) / 2,
        "outer": (lefts.min(axis=-1) + rights.max(axis=-1)) / 2,
        "left": lefts.min(axis=-1),
        "right": rights.max(axis=-1),
        "shared": (lefts.max(axis=-1) + rights.min(axis=-1)) / 2,  # what all blocks lie over
        "shared_left": lefts.max(axis=-1),
        "shared_right": rights.min(axis=-1),
    }
    if index >= 2:
        found["second_below"] = x[..., index - 2]
    if index + 1 < x.shape[-1]:
        found |= {"above": x[..., index + 1], "top": x[..., -1]}
    return found


def plank_landmarks(planks: Planks, posts: Floats | None = None) -> Landmarks:
    """Return the landmarks of loaded planks, relative to each plank's middle.

    `side` is one block width from the post, or else from the plank's middle, where the red block
    belongs, and `side_end` is the plank's end there. So guesses that know this side are no better
    than others.

    Args:
        posts: Middles of the posts that carry the planks, which tip without the red block.
    """
    centers, halves = planks.centers, reach(planks.sizes, planks.yaws)
    rows = np.arange(len(centers))
    pivots = np.zeros(len(centers)) if posts is None else posts
    heavier = np.sign(planks.balances - pivots)
    sides = heavier if posts is None else -heavier
    found = {
        START: np.zeros(len(centers)),
        "left": -planks.lengths / 2,
        "right": planks.lengths / 2,
        "mean": centers.mean(axis=1),
        "largest": centers[rows, planks.sizes.argmax(axis=1)],
        "smallest": centers[rows, planks.sizes.argmin(axis=1)],
        "median": np.median(centers, axis=1),
        "middle": (centers.min(axis=1) + centers.max(axis=1)) / 2,
        "outer": ((centers - halves).min(axis=1) + (centers + halves).max(axis=1)) / 2,
        "side": pivots + sides,
        "side_end": sides * planks.lengths / 2,
    }
    return found if posts is None else found | {"post": posts}


def all_guesses(names: Landmarks) -> Iterator[Guess]:
    """Generate every guess between these landmarks."""
    yield ALIGNED
    for start, end in combinations(names, 2):
        yield from (Guess(start, end, share) for share in SHARES)
    for start, end in permutations(names, 2):
        yield from (Guess(start, end, 0.0, step) for step in STEPS)
    if "side" in names:
        pivot = "post" if "post" in names else START
        for end in ("side", "side_end"):
            yield from (Guess(pivot, end, share) for share in FINE if share not in SHARES)
