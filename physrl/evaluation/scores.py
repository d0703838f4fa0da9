"""The outcomes of a cell's answers without their text: all that rates and claims are made of."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from physrl.evaluation.statistics import Floats

STAGES = {"unparseable": 0, "illegal": 1, "settled": 2, "answered": 2}
"""How far an answer came, by its status: it was parsed, it was carried out."""
MISSING = -1
"""Value of the answers of a seed that has none."""
Small = NDArray[np.int8]


@dataclass(frozen=True, slots=True, eq=False)
class CellScores:
    """The outcomes of one cell's answers, in their order."""

    successes: Small
    """1 for a success, 0 for none."""
    stages: Small
    """Values of `STAGES`."""
    falls: Floats
    """The true verdict of each scene, 1 for a fall; NaN for tasks with other answers."""

    @property
    def scores(self) -> "CellScores":
        """The scores themselves."""
        return self

    @property
    def rate(self) -> float:
        """The share of answers that succeed."""
        return float(self.successes.mean())

    @property
    def of_single_seed(self) -> "Scores":
        """The scores as those of a family with a single seed."""
        return Scores(self.successes[None], self.stages[None], self.falls)


class Scored(Protocol):
    """What has the scores of a cell: its answers, or the scores alone."""

    @property
    def scores(self) -> CellScores: ...


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """The outcomes of a family's answers under one condition, seeds x scenes.

    They are kept in a byte each, since a large study has millions.
    """

    small_successes: Small
    """0, 1, or `MISSING` for all scenes of a missing seed."""
    small_stages: Small
    """Values of `STAGES`, or `MISSING`."""
    falls: Floats
    """The true verdict of each scene, 1 for a fall; NaN for tasks with other answers."""

    @property
    def successes(self) -> Floats:
        """1 for a success, 0 for none; NaN for missing seeds, as below."""
        return _with_nan(self.small_successes, self.small_successes)

    @property
    def parsed(self) -> Floats:
        """1 for an answer of the right form."""
        return _with_nan(np.minimum(self.small_stages, 1), self.small_stages)

    @property
    def legal(self) -> Floats:
        """1 for an answer that could be carried out."""
        return _with_nan(np.maximum(self.small_stages - 1, 0), self.small_stages)

    @property
    def parsed_share(self) -> float:
        """The share of answers of the right form."""
        return float(np.nanmean(self.parsed))

    @property
    def legal_share(self) -> float:
        """The share of answers that could be carried out."""
        return float(np.nanmean(self.legal))

    @property
    def success_if_legal(self) -> float | None:
        """The success rate of answers that could be carried out; None without any."""
        legal = float(np.nansum(self.legal))
        return float(np.nansum(self.successes)) / legal if legal else None


def _with_nan(values: Small, marked: Small) -> Floats:
    found: Floats = np.where(marked == MISSING, np.nan, values.astype(np.float64))
    return found
