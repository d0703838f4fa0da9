"""Generalization of a study's families: success rates, gains over the base, transfer.

The diagonal is the tasks that a family was trained on; off the diagonal are all other tasks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from physrl.config.methods import WARM_START
from physrl.evaluation.contrast import Contrast
from physrl.evaluation.crossed import Term, combine, pair_means
from physrl.evaluation.estimate import Estimate
from physrl.evaluation.families import (
    Family,
    FamilyCell,
    group_families,
    tabulate_scores,
)
from physrl.evaluation.matrix import Matrix
from physrl.evaluation.scores import Scored
from physrl.evaluation.specs import Condition
from physrl.evaluation.statistics import Count, Floats, seed_deviation

SAMPLED_KINDS = ("trained", "baseline")
"""Kinds of subjects whose seeds are a sample; others stand for themselves."""


class Generalization:
    """Estimates over families and conditions; cells are paired by seed and by scene."""

    def __init__(self, matrix: Matrix, results: Mapping[str, Scored]) -> None:
        self.families = tuple(group_families(matrix.subjects))
        self.conditions = matrix.conditions
        self.scores = tabulate_scores(matrix, results)
        """Scores by family and condition; families without results are absent."""

    def term(self, cell: FamilyCell, weight: float = 1.0) -> Term | None:
        """Make a cell a term of a contrast; None without results."""
        if cell not in self.scores:
            return None
        family, condition = cell
        seeds = family if family.kind in SAMPLED_KINDS else None
        scenes = self.scores[cell].small_successes.shape[1]
        return Term(self._units(cell), scenes_of(condition), seeds, weight, scenes)

    def contrast(self, weights: Mapping[FamilyCell, float]) -> Contrast | None:
        """Estimate a weighted sum of success rates; None if a cell has no results."""
        terms = [self.term(cell, weight) for cell, weight in weights.items()]
        present = [term for term in terms if term is not None]
        return combine(present) if present and len(present) == len(terms) else None

    def success_rate(self, family: Family, condition: Condition) -> Estimate | None:
        """Estimate the success rate under a condition; None without results.

        Where all succeed or none does, the interval is Wilson's over units.
        """
        cell = (family, condition)
        contrast = self.contrast({cell: 1.0})
        if contrast is None:
            return None
        found = contrast.estimate
        if found.value in (0.0, 1.0):
            units = self._units(cell).shape[1]
            low, high = Count(round(found.value) * units, units).interval
            return Estimate(found.value, low, high, found.over)
        return Estimate(found.value, max(0.0, found.low), min(1.0, found.high), found.over)

    def mean(self, cells: Sequence[FamilyCell]) -> Estimate | None:
        """Estimate the mean success rate over cells; None if all are missing."""
        return _estimate(self.contrast(self._equal_weights(cells)))

    def gain(self, cells: Sequence[FamilyCell]) -> Estimate | None:
        """Estimate the mean gain over the base; None if no cell has results of both."""
        return _estimate(self._gain(cells))

    def gain_over_warm_start(self, cells: Sequence[FamilyCell]) -> Estimate | None:
        """Estimate the mean gain over the warm-started models that the families began as.

        None if no cell has results of both.
        """
        return _estimate(self.contrast(self._gain_weights(cells, self.warm_start_of)))

    def difference(
        self, first: Sequence[FamilyCell], second: Sequence[FamilyCell]
    ) -> Estimate | None:
        """Estimate the mean success rate of the second cells minus that of the first ones.

        None if either is missing.
        """
        return _estimate(self._difference(first, second))

    def transfer_ratio(
        self, diagonal: Sequence[FamilyCell], off_diagonal: Sequence[FamilyCell]
    ) -> Estimate | None:
        """Estimate the mean gain off the diagonal divided by that on it.

        The interval is linearized. None if either is missing, or if the interval on the diagonal
        reaches zero.
        """
        trained, others = self._gain(diagonal), self._gain(off_diagonal)
        if trained is None or others is None or trained.estimate.low <= 0:
            return None
        ratio = others.value / trained.value
        weights = self._gain_weights(off_diagonal, self.base_of)
        for cell, weight in self._gain_weights(diagonal, self.base_of).items():
            weights[cell] = weights.get(cell, 0.0) - ratio * weight
        residual = self.contrast(weights)
        assert residual is not None  # both gains have results
        half = residual.estimate.high / trained.value
        return Estimate(ratio, ratio - half, ratio + half, residual.over)

    def seed_deviation(self, family: Family, condition: Condition) -> float | None:
        """Compute the standard deviation of success rates over seeds; None below two seeds."""
        scores = self.scores.get((family, condition))
        return None if scores is None else seed_deviation(scores.successes)

    def select(self, predicate: Callable[[Family, Condition], bool]) -> list[FamilyCell]:
        """List the cells that have results and satisfy a predicate."""
        return [
            (family, condition)
            for family in self.families
            for condition in self.conditions
            if (family, condition) in self.scores and predicate(family, condition)
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

    def _units(self, cell: FamilyCell) -> Floats:
        """Return a cell's successes, seeds x independent units."""
        successes = self.scores[cell].successes
        return successes if cell[1].test_set == "real" else pair_means(successes)

    def _difference(
        self, first: Sequence[FamilyCell], second: Sequence[FamilyCell]
    ) -> Contrast | None:
        before, after = self._equal_weights(first), self._equal_weights(second)
        if not before or not after:
            return None
        weights = dict(after)
        for cell, weight in before.items():
            weights[cell] = weights.get(cell, 0.0) - weight
        return self.contrast(weights)

    def _gain(self, cells: Sequence[FamilyCell]) -> Contrast | None:
        return self.contrast(self._gain_weights(cells, self.base_of))

    def _gain_weights(
        self, cells: Sequence[FamilyCell], start_of: Callable[[Family], Family | None]
    ) -> dict[FamilyCell, float]:
        pairs = [
            ((start, condition), (family, condition))
            for family, condition in cells
            if (start := start_of(family)) is not None
            and (start, condition) in self.scores
            and (family, condition) in self.scores
        ]
        weights: dict[FamilyCell, float] = {}
        for before, after in pairs:
            weights[after] = weights.get(after, 0.0) + 1 / len(pairs)
            weights[before] = weights.get(before, 0.0) - 1 / len(pairs)
        return weights

    def _equal_weights(self, cells: Sequence[FamilyCell]) -> dict[FamilyCell, float]:
        present = [cell for cell in cells if cell in self.scores]
        weights: dict[FamilyCell, float] = {}
        for cell in present:
            weights[cell] = weights.get(cell, 0.0) + 1 / len(present)
        return weights


def scenes_of(condition: Condition) -> tuple[str, str]:
    """Name the scenes that a condition is about; conditions of the same scenes are paired."""
    return condition.task, condition.test_set


def _estimate(contrast: Contrast | None) -> Estimate | None:
    return None if contrast is None else contrast.estimate
