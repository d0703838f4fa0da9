"""How fast a model learns another task: successes after a few steps of SFT."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class AdaptationCurve:
    """What a model could do after each number of steps, on the same held-out scenes."""

    key: str
    steps: tuple[int, ...]
    """Rising, from 0."""
    samples_per_step: int
    """Demonstrations of each step."""
    successes: tuple[tuple[bool, ...], ...]
    """Measurements x scenes."""

    def __post_init__(self) -> None:
        if len(self.successes) != len(self.steps) or len(set(map(len, self.successes))) != 1:
            raise ValueError("a curve has one measurement a number of steps, of equal scenes")

    @property
    def accuracies(self) -> NDArray[np.float64]:
        """Shares of successes, one a measurement."""
        shares: NDArray[np.float64] = np.array(self.successes, np.float64).mean(axis=1)
        return shares


def area_under(curve: AdaptationCurve) -> float:
    """The mean accuracy from the first step to the last: trapezoids over the steps, 0 to 1."""
    steps = np.array(curve.steps, np.float64)
    return float(np.trapezoid(curve.accuracies, steps) / (steps[-1] - steps[0]))


def samples_to(curve: AdaptationCurve, accuracy: float) -> float | None:
    """After how many demonstrations an accuracy is first reached; None where it never is.

    Between measurements it is taken to change in a straight line.
    """
    shares = curve.accuracies
    (reached,) = np.nonzero(shares >= accuracy)
    if not reached.size:
        return None
    place = int(reached[0])
    if place == 0:
        return 0.0
    before, after = shares[place - 1 : place + 1]
    start, stop = curve.steps[place - 1 : place + 1]
    steps = start + (stop - start) * (accuracy - before) / (after - before)
    return float(steps) * curve.samples_per_step


def samples_saved(curve: AdaptationCurve, base: AdaptationCurve) -> float | None:
    """How many demonstrations fewer than the base a model needs for the base's best accuracy.

    Negative where it needs more; None where it never gets there, or the base never rises.
    """
    best = float(base.accuracies.max())
    needed, needed_by_base = samples_to(curve, best), samples_to(base, best)
    return needed_by_base - needed if needed is not None and needed_by_base else None
