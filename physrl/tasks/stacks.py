"""Stacks in the plane that faces the camera, drawn so that rules without physics fail.

Of the answers "over the center of the block below" and "midway", either, both or neither lets a
stack stand. Scenes of these four kinds are drawn in fixed proportions, so that neither rule is
right more often than its kinds occur.
"""

from collections.abc import Set
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from physrl.config.environment import EnvironmentConfig
from physrl.environments.geometry import Floats, overhangs
from physrl.environments.randomness import stream
from physrl.environments.sampling import Shape, sample_sizes, sample_yaws

Kind = tuple[bool, bool]
"""Whether the stack stands with the block midway, and with the block aligned."""
KINDS: tuple[Kind, ...] = ((False, False), (False, True), (True, False), (True, True))
_CODES = {kind: code for code, kind in enumerate(KINDS)}
MIDWAY, ALIGNED = 0.4, 0.5
"""Share of scenes in which the midway place lets the stack stand; share of both these and the other
scenes in which alignment does, unless the settings admit no such scene."""
SEARCHED = 16_384
"""Candidates that are searched for the kinds that the settings admit."""
BATCHES = (256, 1024, *[4096] * 48)
"""Sizes of the batches in which a scene is searched: a frequent kind is found in the first one, the
rarest in one candidate of 5,000."""


@dataclass(frozen=True, slots=True)
class Stacks:
    """Many stacks of equally many blocks; arrays have the shape stacks x blocks, bottom first."""

    x: Floats
    """Centers, in block widths."""
    yaws: Floats
    sizes: Floats
    """Edge lengths."""

    def moved(self, index: int, x: Floats) -> "Stacks":
        """Return the stacks with block `index` of each at another place."""
        centers = self.x.copy()
        centers[:, index] = x
        return replace(self, x=centers)

    def margins(self) -> Floats:
        """Return the smallest margin of each stack's levels (`geometry.level_margins`)."""
        centers = np.stack([self.x, np.zeros_like(self.x)], axis=-1)
        levels = self.sizes[:, :-1] / 2 - overhangs(centers, self.yaws, self.sizes)
        smallest: Floats = levels.min(axis=1, initial=np.inf)
        return smallest

    def shape(self, stack: int) -> Shape:
        """Return one stack's shape."""
        steps = np.diff(self.x[stack])
        offsets = np.stack([steps, np.zeros_like(steps)], axis=-1)
        return Shape(offsets, self.yaws[stack], self.sizes[stack])


def propose(
    rng: np.random.Generator,
    settings: EnvironmentConfig,
    num_blocks: int,
    carried: int,
    count: int,
) -> Stacks:
    """Draw stacks whose lower blocks stand alone, with a margin in the configured interval.

    Random steps between blocks are scaled until the margin is the one that was drawn.

    Args:
        num_blocks: Blocks of a stack.
        carried: Number of blocks on top that are left out when the stacks are scaled; each lies
            over the center of the block below it.
        count: Number of stacks to draw; those with too large steps are left out.
    """
    standing = num_blocks - carried
    steps = rng.uniform(-1, 1, (count, standing - 1))
    yaws = sample_yaws(rng, settings, (count, num_blocks))
    sizes = sample_sizes(rng, settings.sizes or "mixed", (count, num_blocks))
    margins = rng.uniform(*settings.margin, count)
    x = _places(steps, num_blocks)
    if standing > 1:
        centers = np.stack([x, np.zeros_like(x)], axis=-1)[:, :standing]
        leans = overhangs(centers, yaws[:, :standing], sizes[:, :standing])
        room = sizes[:, : standing - 1] / 2 - margins[:, None]
        steps *= (room / leans).min(axis=1)[:, None]
        x = _places(steps, num_blocks)
        large_enough = (room > 0).all(axis=1)
        x, yaws, sizes, steps = (each[large_enough] for each in (x, yaws, sizes, steps))
    fits = (np.abs(steps) <= settings.largest_step).all(axis=1)
    return Stacks(x[fits], yaws[fits], sizes[fits])


def draw_index(rng: np.random.Generator, settings: EnvironmentConfig, num_blocks: int) -> int:
    """Draw the block to move in a stack, any but the lowest, for which the midway place can fail.

    Where it can fail for none, as with two blocks, any is drawn.
    """
    indices = range(1, num_blocks)
    fair = [
        index
        for index in indices
        if not all(midway for midway, _ in _admitted(settings, num_blocks, index, 0))
    ]
    return int(rng.choice(fair or indices))


def draw_kind(
    rng: np.random.Generator,
    settings: EnvironmentConfig,
    num_blocks: int,
    index: int,
    carried: int,
) -> Kind:
    """Draw a kind of scene among those that the settings admit."""
    admitted = _admitted(settings, num_blocks, index, carried)
    midway = _draw({midway for midway, _ in admitted}, MIDWAY, rng)
    aligned = _draw({aligned for each, aligned in admitted if each == midway}, ALIGNED, rng)
    return midway, aligned


def of_kind(stacks: Stacks, kind: Kind, index: int, smallest: float) -> list[int]:
    """Return the stacks of one kind, for rules that place block `index`."""
    return [int(stack) for stack in np.flatnonzero(_kinds(stacks, index, smallest) == _CODES[kind])]


def _kinds(stacks: Stacks, index: int, smallest: float) -> NDArray[np.int64]:
    """Return the code of each stack's kind.

    It is that of no kind where a rule's place is within half of the smallest margin of the edge.
    """
    places = midway_places(stacks.x, index), aligned_places(stacks.x, index)
    midway, aligned = (stacks.moved(index, place).margins() for place in places)
    clear = np.minimum(np.abs(midway), np.abs(aligned)) >= smallest / 2
    return np.where(clear, 2 * (midway > 0) + (aligned > 0), len(KINDS))


def _draw(options: Set[bool], share: float, rng: np.random.Generator) -> bool:
    """Draw True with this probability, unless only one option is left."""
    drawn = bool(rng.random() < share)
    return drawn if drawn in options else not drawn


@lru_cache(maxsize=256)
def _admitted(
    settings: EnvironmentConfig, num_blocks: int, index: int, carried: int
) -> frozenset[Kind]:
    """Return the kinds that occur more than once among many candidates."""
    stacks = propose(stream("stacks", num_blocks), settings, num_blocks, carried, SEARCHED)
    counts = np.bincount(_kinds(stacks, index, settings.margin[0]), minlength=len(KINDS) + 1)
    return frozenset(kind for kind, code in _CODES.items() if counts[code] > 1)


def aligned_places(x: Floats, index: int) -> Floats:
    """Return the place over the center of the block below (last axis of `x`: blocks)."""
    below: Floats = x[..., index - 1]
    return below


def midway_places(x: Floats, index: int) -> Floats:
    """Return the place midway between the blocks below and above.

    For a top block it is midway between the block below it and the lowest one.
    """
    other = index + 1 if index + 1 < x.shape[-1] else 0
    middle: Floats = (x[..., index - 1] + x[..., other]) / 2
    return middle


def _places(steps: Floats, num_blocks: int) -> Floats:
    """Sum up the steps from block to block; blocks beyond them lie over the last."""
    x = np.zeros((len(steps), num_blocks))
    standing = steps.shape[1] + 1
    x[:, 1:standing] = np.cumsum(steps, axis=1)
    x[:, standing:] = x[:, standing - 1 : standing]
    return x
