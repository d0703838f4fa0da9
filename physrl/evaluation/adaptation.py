"""Adaptation speed: success on another task during a few steps of SFT."""

from dataclasses import dataclass

import numpy as np

from physrl.evaluation.statistics import Floats


@dataclass(frozen=True, slots=True)
class AdaptationCurve:
    """Successes of one model on the same held-out scenes after each number of SFT steps.

    Raises:
        ValueError: `successes` has not one row a step count, or rows of unequal length.
    """

    key: str
    steps: tuple[int, ...]
    """Increasing step counts at which the model is measured, from 0."""
    samples_per_step: int
    """Demonstrations in a step."""
    successes: tuple[tuple[bool, ...], ...]
    """Successes, step counts x scenes."""

    def __post_init__(self) -> None:
        if len(self.successes) != len(self.steps) or len(set(map(len, self.successes))) != 1:
            raise ValueError(
                f"successes has {len(self.successes)} rows for {len(self.steps)} steps, or rows of "
                "unequal length: give one row of all scenes a step count"
            )

    @property
    def accuracies(self) -> Floats:
        """The success rate after each number of steps."""
        rates: Floats = np.array(self.successes, np.float64).mean(axis=1)
        return rates


def scene_areas(curve: AdaptationCurve) -> Floats:
    """Compute each scene's mean success from the first step to the last (trapezoidal rule)."""
    steps = np.array(curve.steps, np.float64)
    areas = np.trapezoid(np.array(curve.successes, np.float64), steps, axis=0)
    return np.asarray(areas, np.float64) / float(steps[-1] - steps[0])


def area_under(curve: AdaptationCurve) -> float:
    """Compute the mean accuracy from the first step to the last, 0 to 1."""
    return float(scene_areas(curve).mean())


def samples_to(curve: AdaptationCurve, accuracy: float) -> float | None:
    """Compute after how many demonstrations an accuracy is first reached; None if it never is.

    The accuracy is interpolated linearly between measurements.
    """
    rates = curve.accuracies
    (reached,) = np.nonzero(rates >= accuracy)
    if not reached.size:
        return None
    index = int(reached[0])
    if index == 0:
        return 0.0
    before, after = rates[index - 1 : index + 1]
    start, stop = curve.steps[index - 1 : index + 1]
    steps = start + (stop - start) * (accuracy - before) / (after - before)
    return float(steps) * curve.samples_per_step


def samples_saved(curve: AdaptationCurve, base: AdaptationCurve) -> float | None:
    """Compute how many fewer demonstrations than the base a model needs for the base's best.

    The result is negative if the model needs more, and None if it never reaches the base's best
    accuracy or the base never improves.
    """
    best = float(base.accuracies.max())
    needed, needed_by_base = samples_to(curve, best), samples_to(base, best)
    return needed_by_base - needed if needed is not None and needed_by_base else None
