"""Generalization of a study's families: success rates, gains over the base, transfer, forgetting.

The diagonal is the tasks that a family was trained on; off the diagonal are all other tasks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from physrl.config.methods import WARM_START
from physrl.evaluation.families import Family, FamilyCell, group_families, tabulate_successes
from physrl.evaluation.matrix import Matrix
from physrl.evaluation.resampling import Estimate, estimate, mean_success, pair_means, resample
from physrl.evaluation.results import CellResult
from physrl.evaluation.specs import Condition
from physrl.evaluation.statistics import Count, Floats, seed_deviation


class Generalization:
    """Estimates over families and conditions, resampled together so that they are paired."""

    def __init__(self, matrix: Matrix, results: Mapping[str, CellResult]) -> None:
        self.families = tuple(group_families(matrix.subjects))
        self.conditions = matrix.conditions
        self.successes = tabulate_successes(matrix, results)
        """Seeds x scenes by family and condition; families without results are absent."""

    @cached_property
    def _units(self) -> dict[FamilyCell, Floats]:
        return {
            (family, condition): cell if condition.test_set == "real" else pair_means(cell)
            for (family, condition), cell in self.successes.items()
        }

    @cached_property
    def _resampled(self) -> dict[FamilyCell, Floats]:
        return resample(self._units)

    def success_rate(self, family: Family, condition: Condition) -> Estimate | None:
        """Estimate the success rate under a condition; None without results.

        At 0 and 1 resampling has no spread: the interval is Wilson's over scenes.
        """
        cell = (family, condition)
        if cell not in self._units:
            return None
        rate, scenes = mean_success(self._units[cell]), self.successes[cell].shape[1]
        if rate in (0.0, 1.0):
            return Estimate(rate, *Count(round(rate) * scenes, scenes).interval)
        return estimate(rate, self._resampled[cell])

    def mean(self, cells: Sequence[FamilyCell]) -> Estimate | None:
        """Estimate the mean success rate over cells; None if all are missing."""
        means = self._mean(cells)
        return None if means is None else estimate(*means)

    def gain(self, cells: Sequence[FamilyCell]) -> Estimate | None:
        """Estimate the mean gain over the base; None if no cell has results of both."""
        gains = self._gain(cells, self.base_of)
        return None if gains is None else estimate(*gains)

    def gain_over_warm_start(self, cells: Sequence[FamilyCell]) -> Estimate | None:
        """Estimate the mean gain over the warm-started models that the families began as.

        None if no cell has results of both.
        """
        gains = self._gain(cells, self.warm_start_of)
        return None if gains is None else estimate(*gains)

    def difference(
        self, first: Sequence[FamilyCell], second: Sequence[FamilyCell]
    ) -> Estimate | None:
        """Estimate the mean success rate of the second cells minus that of the first ones.

        None if either is missing.
        """
        before, after = self._mean(first), self._mean(second)
        if before is None or after is None:
            return None
        return estimate(after[0] - before[0], after[1] - before[1])

    def transfer_ratio(
        self, diagonal: Sequence[FamilyCell], off_diagonal: Sequence[FamilyCell]
    ) -> Estimate | None:
        """Estimate the mean gain off the diagonal divided by that on it.

        None if either is missing, or if the interval on the diagonal reaches zero.
        """
        trained, others = (self._gain(each, self.base_of) for each in (diagonal, off_diagonal))
        if trained is None or others is None or not estimate(*trained).low > 0:
            return None
        return estimate(others[0] / trained[0], others[1] / trained[1])

    def forgetting(self, cells: Sequence[FamilyCell]) -> Estimate | None:
        """Estimate the mean drop below the base over cells, where a gain counts as 0.

        It is never negative, so that noise alone biases it slightly upward.
        """
        gains = [gain for cell in cells if (gain := self._gain([cell], self.base_of)) is not None]
        if not gains:
            return None
        values = [max(0.0, -value) for value, _ in gains]
        resampled = np.mean([np.maximum(0.0, -drawn) for _, drawn in gains], axis=0)
        return estimate(float(np.mean(values)), resampled)

    def seed_deviation(self, family: Family, condition: Condition) -> float | None:
        """Compute the standard deviation of success rates over seeds; None below two seeds."""
        cell = self.successes.get((family, condition))
        return None if cell is None else seed_deviation(cell)

    def select(self, predicate: Callable[[Family, Condition], bool]) -> list[FamilyCell]:
        """List the cells that have results and satisfy a predicate."""
        return [
            (family, condition)
            for family in self.families
            for condition in self.conditions
            if (family, condition) in self.successes and predicate(family, condition)
        ]

    def base_of(self, family: Family) -> Family | None:
        """Find the base model that a family was trained from; None if it is not in the study."""
        return next(
            (f for f in self.families if f.kind == "base" and f.model == family.model), None
        )

    def warm_start_of(self, family: Family) -> Family | None:
        """Find the warm-started models that a family's training continued.

        They are of the same model, tasks and variant; None if they are not in the study.
        """
        start = replace(family, name="", method=WARM_START)
        return next((f for f in self.families if replace(f, name="") == start), None)

    def _mean(self, cells: Sequence[FamilyCell]) -> tuple[float, Floats] | None:
        present = [cell for cell in cells if cell in self._units]
        if not present:
            return None
        value = float(np.mean([mean_success(self._units[cell]) for cell in present]))
        resampled: Floats = np.mean([self._resampled[cell] for cell in present], axis=0)
        return value, resampled

    def _gain(
        self, cells: Sequence[FamilyCell], start_of: Callable[[Family], Family | None]
    ) -> tuple[float, Floats] | None:
        pairs = [
            ((start, condition), (family, condition))
            for family, condition in cells
            if (start := start_of(family)) is not None
            and (start, condition) in self._units
            and (family, condition) in self._units
        ]
        if not pairs:
            return None
        before, after = (self._mean([pair[side] for pair in pairs]) for side in (0, 1))
        assert before is not None
        assert after is not None
        return after[0] - before[0], after[1] - before[1]
