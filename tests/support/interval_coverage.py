"""Coverage of intervals and false positives of tests, by simulation with a known truth."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from physrl.evaluation.crossed import Term, combine, pair_means

SHARED, TWINS = 0.4, 0.3
"""Variance of a scene's difficulty that all models share, and of a pair's, of 1 + both in all."""


@dataclass(frozen=True, slots=True)
class Design:
    """A comparison of two samples of models on the same scenes."""

    seeds: int
    scenes: int
    deviation: float
    """Standard deviation of success rates over seeds."""
    rates: tuple[float, float]
    """Mean success rates of both."""
    trained: bool
    """True if the first sample varies over seeds too; else it is one model."""
    twins: float = TWINS


@dataclass(frozen=True, slots=True)
class Tally:
    """The share of draws in which an interval held the truth, and in which a test rejected."""

    design: Design
    coverage: float
    rejected: float


def coverage_designs() -> Iterator[Design]:
    """List the grid: seeds, scenes, deviation over seeds, against one model or other seeds."""
    for seeds, scenes, deviation, trained in product(
        (3, 4, 5, 10), (96, 256), (0.0, 0.03, 0.09, 0.17), (False, True)
    ):
        yield Design(seeds, scenes, deviation, (0.4, 0.5), trained)


def null_designs() -> Iterator[Design]:
    """List comparisons of equal methods: twins that fall together, seeds that vary."""
    for seeds, deviation, twins in product((3, 5, 10), (0.0, 0.03, 0.09, 0.17), (0.0, 2.0)):
        yield Design(seeds, 96, deviation, (0.5, 0.5), trained=True, twins=twins)


def tally(design: Design, draws: int, rng: np.random.Generator) -> Tally:
    """Simulate a comparison many times."""
    covered = rejected = 0
    truth = design.rates[1] - design.rates[0]
    for _ in range(draws):
        first, second = simulate_answers(design, rng)
        contrast = combine(
            [
                Term(
                    pair_means(first), "scenes", "first" if design.trained else None, -1.0,
                    design.scenes,
                ),
                Term(pair_means(second), "scenes", "second", 1.0, design.scenes),
            ]
        )  # fmt: skip
        assert contrast is not None
        estimate = contrast.estimate
        covered += estimate.low <= truth <= estimate.high
        rejected += not estimate.low <= 0 <= estimate.high
    return Tally(design, covered / draws, rejected / draws)


def simulate_answers(
    design: Design, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw the successes of both samples, seeds x scenes."""
    pairs = rng.normal(size=design.scenes // 2) * design.twins**0.5
    difficulty = np.repeat(pairs, 2) + rng.normal(size=design.scenes) * SHARED**0.5
    counts = (design.seeds if design.trained else 1, design.seeds)
    samples = []
    for count, rate in zip(counts, design.rates, strict=True):
        deviation = design.deviation if count > 1 else 0.0
        rates = seed_rates(rate, deviation, count, rng)
        noise = rng.normal(size=(count, design.scenes))
        level = ndtr((difficulty + noise) / (1 + SHARED + design.twins) ** 0.5)
        samples.append((level < rates[:, None]).astype(float))
    return samples[0], samples[1]


def seed_rates(
    mean: float, deviation: float, count: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw the success rates of seeds from a beta distribution of known mean and deviation."""
    if deviation == 0 or mean in (0.0, 1.0):
        return np.full(count, mean)
    size = max(1.5, mean * (1 - mean) / deviation**2 - 1)
    return rng.beta(mean * size, (1 - mean) * size, count)
