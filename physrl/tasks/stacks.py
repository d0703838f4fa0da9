"""Stacks in the plane that faces the camera, drawn so that guesses without physics fail.

Stacks of high scores are kept (`prices.Prices`): among them no guess is right often.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from physrl.config.environment import EnvironmentConfig, SizesName
from physrl.environments.geometry import Floats, overhangs
from physrl.environments.sampling import Intervals, Shape, sample_sizes, sample_yaws
from physrl.tasks.landmarks import Landmarks, find_landmarks
from physrl.tasks.prices import FREE, load_prices

LARGEST_STEP = 0.9
"""Largest sideways offset between neighbors, unless the settings name one."""
SIZES: dict[SizesName, Intervals] = {
    "equal": ((1.0, 1.0),),
    "mixed": ((0.6, 1.4),),
    "held_out": ((0.5, 0.6), (1.4, 1.5)),
}
"""Intervals of edge lengths. Masses differ more than in other towers: without masses, guesses would
be right more often."""
FEWEST, LOWEST = 4, 2
"""Fewest blocks, and lowest index of the block to place, for which every guess can fail: with fewer
blocks, or right on the lowest one, the place that all blocks lie over is nearly always right."""
BATCHES = (256, 1024, 4096)
"""Sizes of the batches of candidates in which a stack is searched."""
THIRDS = 10
"""Steps in which the best place is bracketed, each to two thirds of the interval."""


@dataclass(frozen=True, slots=True)
class Stacks:
    """Many stacks of equally many blocks; arrays have the shape stacks x blocks, bottom first."""

    x: Floats
    """Centers, in block widths."""
    yaws: Floats
    sizes: Floats
    """Edge lengths."""

    def rows(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "Stacks":
        """Return some of the stacks."""
        return Stacks(self.x[rows], self.yaws[rows], self.sizes[rows])

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

    def intervals(self, index: int) -> tuple[Floats, Floats]:
        """Return the lowest and the highest place of block `index` at which each stack stands.

        Where none does, the lowest exceeds the highest.
        """
        masses = self.sizes**3
        loads = np.cumsum(masses[:, ::-1], axis=1)[:, ::-1][:, 1:]
        moments = np.cumsum((masses * self.x)[:, ::-1], axis=1)[:, ::-1][:, 1:]
        turn = np.maximum(np.abs(np.cos(self.yaws)), np.abs(np.sin(self.yaws)))
        reach = (self.sizes / 2 / turn)[:, :-1]
        lefts, rights = self.x[:, :-1] - reach, self.x[:, :-1] + reach
        own = masses[:, index, None]
        rest = moments[:, :index] - own * self.x[:, index, None]
        lows = (lefts[:, :index] * loads[:, :index] - rest) / own
        highs = (rights[:, :index] * loads[:, :index] - rest) / own
        low, high = lows.max(axis=1), highs.min(axis=1)
        centers = moments[:, index:] / loads[:, index:]
        if index < reach.shape[1]:
            low = np.maximum(low, centers[:, 0] - reach[:, index])
            high = np.minimum(high, centers[:, 0] + reach[:, index])
        above = slice(index + 1, None)
        stands = ((lefts[:, above] < centers[:, 1:]) & (centers[:, 1:] < rights[:, above])).all(1)
        return np.where(stands, low, np.inf), np.where(stands, high, -np.inf)

    def best_margins(self, index: int) -> Floats:
        """Return each stack's margin with block `index` at its best place; below 0 where none is.

        The margin is a concave function of the place, so that its maximum can be bracketed.
        """
        low, high = self.intervals(index)
        open_ = low < high
        low, high = np.where(open_, low, 0.0), np.where(open_, high, 0.0)
        for _ in range(THIRDS):
            third = (high - low) / 3
            left = self.moved(index, low + third).margins()
            right = self.moved(index, high - third).margins()
            low = np.where(left < right, low + third, low)
            high = np.where(left < right, high, high - third)
        return np.where(open_, self.moved(index, (low + high) / 2).margins(), -np.inf)

    def landmarks(self, index: int) -> Landmarks:
        """Return the landmarks for block `index` of each stack."""
        return find_landmarks(self.x, self.sizes, index)

    def shape(self, stack: int) -> Shape:
        """Return one stack's shape."""
        steps = np.diff(self.x[stack])
        offsets = np.stack([steps, np.zeros_like(steps)], axis=-1)
        return Shape(offsets, self.yaws[stack], self.sizes[stack])


def kind_of(num_blocks: int, index: int) -> str:
    """Return the kind of scene for which stacks have prices, by the block to place."""
    return f"stack {num_blocks} {index}"


def draw_count(rng: np.random.Generator, settings: EnvironmentConfig) -> int:
    """Draw the number of blocks: at least `FEWEST` where the settings admit that."""
    low, high = settings.num_blocks
    return int(rng.integers(max(low, min(high, FEWEST)), high + 1))


def draw_index(rng: np.random.Generator, num_blocks: int) -> int:
    """Draw the block to place: none below `LOWEST` where the stack has others."""
    return int(rng.integers(min(LOWEST, num_blocks - 1), num_blocks))


def propose(
    rng: np.random.Generator, settings: EnvironmentConfig, num_blocks: int, index: int, count: int
) -> Stacks:
    """Draw stacks with random offsets between neighbors; a top block to place begins at its pier's.

    Args:
        num_blocks: Blocks of a stack.
        index: Block to place.
        count: Number of stacks.
    """
    largest = settings.largest_step or LARGEST_STEP
    steps = rng.uniform(-largest, largest, (count, num_blocks - 1))
    yaws = sample_yaws(rng, settings, (count, num_blocks))
    sizes = sample_sizes(rng, SIZES[settings.sizes or "mixed"], (count, num_blocks))
    if index == num_blocks - 1:
        steps[:, -1] = 0
    x = np.concatenate([np.zeros((count, 1)), np.cumsum(steps, axis=1)], axis=1)
    return Stacks(x, yaws, sizes)


def fair_shapes(
    rng: np.random.Generator, settings: EnvironmentConfig, num_blocks: int, index: int
) -> Iterator[Shape]:
    """Draw stacks in which guesses for block `index` are seldom right.

    The margin at the best place lies in the configured interval. If settings admit hardly any such
    stack, those with the highest scores come last.
    """
    prices = load_prices().get(kind_of(num_blocks, index), FREE)
    for count in BATCHES:
        stacks = propose(rng, settings, num_blocks, index, count)
        scores = prices.scores(*stacks.intervals(index), stacks.landmarks(index))
        yield from _within(stacks, np.flatnonzero(scores >= prices.threshold), index, settings)
    by_score = np.argsort(-scores, kind="stable")
    yield from _within(stacks, by_score[np.isfinite(scores[by_score])], index, settings)


def _within(
    stacks: Stacks, rows: NDArray[np.int64], index: int, settings: EnvironmentConfig
) -> Iterator[Shape]:
    """Generate the shapes in these rows whose margin, at its best, is a configured one."""
    smallest, largest = settings.margin
    margins = stacks.rows(rows).best_margins(index)
    kept = rows[(smallest <= margins) & (margins <= largest)]
    yield from (stacks.shape(int(row)) for row in kept)
