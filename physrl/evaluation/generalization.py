"""From cells to the study's figures: gains over the base, what transfers, what is forgotten.

Models that differ in their seed alone are one row, a *family*. The diagonal is what a family was
trained on; off the diagonal is every other task.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from physrl.config.task import TaskName
from physrl.evaluation.cells import CellResult
from physrl.evaluation.matrix import Matrix
from physrl.evaluation.resampling import (
    Estimate,
    Floats,
    by_pairs,
    estimate,
    mean_of,
    resample,
)
from physrl.evaluation.specs import Condition, Subject, SubjectKind
from physrl.evaluation.statistics import Count, corrected, paired_test, seed_deviation


@dataclass(frozen=True, slots=True)
class Family:
    """Subjects that differ in their seed alone."""

    kind: SubjectKind
    name: str
    model: str = ""
    method: str = ""
    variant: str = ""
    trained_on: tuple[TaskName, ...] = ()


Place = tuple[Family, Condition]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two methods on the same scenes."""

    condition: Condition
    first: Family
    second: Family
    difference: Estimate
    """Of the second's share to the first's."""
    p: float
    """Corrected for all comparisons that were made along with it."""


def family_of(subject: Subject) -> Family:
    """The family that a subject belongs to."""
    if subject.kind not in ("trained", "baseline"):
        name = f"{subject.name} (base)" if subject.kind == "base" else subject.name
        return Family(subject.kind, name, subject.model, trained_on=subject.trained_on)
    parts = [subject.model, "+".join(subject.trained_on), subject.method]
    parts += [] if subject.variant == "default" else [subject.variant]
    return Family(
        subject.kind,
        " ".join(parts),
        subject.model,
        subject.method,
        subject.variant,
        subject.trained_on,
    )


class Generalization:
    """All families under all conditions, resampled together so that figures are paired."""

    def __init__(self, matrix: Matrix, results: Mapping[str, CellResult]) -> None:
        members: dict[Family, list[Subject]] = {}
        for subject in matrix.subjects:
            members.setdefault(family_of(subject), []).append(subject)
        self.families = tuple(members)
        self.conditions = matrix.conditions
        self.successes = _tabulate(matrix, results, members)
        """Seeds x scenes by family and condition, where any is there."""

    @cached_property
    def _units(self) -> dict[Place, Floats]:
        return {
            (family, condition): cell if condition.test_set == "real" else by_pairs(cell)
            for (family, condition), cell in self.successes.items()
        }

    @cached_property
    def _resampled(self) -> dict[Place, Floats]:
        return resample(self._units)

    def share(self, family: Family, condition: Condition) -> Estimate | None:
        """The share of successes; None where nothing is there.

        Where all succeed or none there is nothing to resample: the interval is Wilson's, of the
        scenes.
        """
        place = (family, condition)
        if place not in self._units:
            return None
        share, scenes = mean_of(self._units[place]), self.successes[place].shape[1]
        if share in (0.0, 1.0):
            return Estimate(share, *Count(round(share) * scenes, scenes).interval)
        return estimate(share, self._resampled[place])

    def mean(self, places: Sequence[Place]) -> Estimate | None:
        """The mean share of some cells; None where none of them is there."""
        figures = self._mean(places)
        return None if figures is None else estimate(*figures)

    def gain(self, places: Sequence[Place]) -> Estimate | None:
        """The mean gain over the bases in some cells; None where none of them has both."""
        figures = self._gains(places)
        return None if figures is None else estimate(*figures)

    def difference(self, one: Sequence[Place], other: Sequence[Place]) -> Estimate | None:
        """How much higher the mean share of the other cells is; None where either has none."""
        before, after = self._mean(one), self._mean(other)
        if before is None or after is None:
            return None
        return estimate(after[0] - before[0], after[1] - before[1])

    def transfer_ratio(self, diagonal: Sequence[Place], off: Sequence[Place]) -> Estimate | None:
        """Mean gain off the diagonal over that on it.

        None where either is missing or the diagonal's is not clear of zero: a ratio to nothing
        means nothing.
        """
        trained, others = self._gains(diagonal), self._gains(off)
        if trained is None or others is None or not estimate(*trained).low > 0:
            return None
        return estimate(others[0] / trained[0], others[1] / trained[1])

    def forgetting(self, places: Sequence[Place]) -> Estimate | None:
        """How far below the base the families fell, on average over the cells; 0 where they rose.

        Never negative, so that noise alone lifts it a little.
        """
        found = [figures for place in places if (figures := self._gains([place])) is not None]
        if not found:
            return None
        values = [max(0.0, -value) for value, _ in found]
        resampled = np.mean([np.maximum(0.0, -drawn) for _, drawn in found], axis=0)
        return estimate(float(np.mean(values)), resampled)

    def seed_deviation(self, family: Family, condition: Condition) -> float | None:
        """How much the seeds' shares differ; None of fewer than two."""
        cell = self.successes.get((family, condition))
        return None if cell is None else seed_deviation(cell)

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Every two methods with all else equal, under every condition that both answered."""
        found = []
        for place, first in enumerate(self.families):
            for second in self.families[place + 1 :]:
                if _differ_in_method(first, second):
                    found += [
                        (condition, first, second)
                        for condition in self.conditions
                        if (first, condition) in self.successes
                        and (second, condition) in self.successes
                    ]
        p_values = corrected([self._test(*each) for each in found])
        differences = [
            self.difference([(first, condition)], [(second, condition)])
            for condition, first, second in found
        ]
        return tuple(
            Comparison(*each, difference, p)
            for each, difference, p in zip(found, differences, p_values, strict=True)
            if difference is not None
        )

    def places(self, chosen: Callable[[Family, Condition], bool]) -> list[Place]:
        """The cells that are there and chosen."""
        return [
            (family, condition)
            for family in self.families
            for condition in self.conditions
            if (family, condition) in self.successes and chosen(family, condition)
        ]

    def base_of(self, family: Family) -> Family | None:
        """What a family was before training, if it was measured."""
        return next(
            (f for f in self.families if f.kind == "base" and f.model == family.model), None
        )

    def _test(self, condition: Condition, first: Family, second: Family) -> float:
        one, other = (
            cell[~np.isnan(cell).any(axis=1)]
            for cell in (self.successes[first, condition], self.successes[second, condition])
        )
        return paired_test(one, other)

    def _mean(self, places: Sequence[Place]) -> tuple[float, Floats] | None:
        there = [place for place in places if place in self._units]
        if not there:
            return None
        value = float(np.mean([mean_of(self._units[place]) for place in there]))
        resampled: Floats = np.mean([self._resampled[place] for place in there], axis=0)
        return value, resampled

    def _gains(self, places: Sequence[Place]) -> tuple[float, Floats] | None:
        pairs = [
            ((base, condition), (family, condition))
            for family, condition in places
            if (base := self.base_of(family)) is not None
            and (base, condition) in self._units
            and (family, condition) in self._units
        ]
        if not pairs:
            return None
        before, after = (self._mean([pair[side] for pair in pairs]) for side in (0, 1))
        assert before is not None
        assert after is not None
        return after[0] - before[0], after[1] - before[1]


def _tabulate(
    matrix: Matrix, results: Mapping[str, CellResult], members: Mapping[Family, Sequence[Subject]]
) -> dict[Place, Floats]:
    table: dict[Place, Floats] = {}
    for family, subjects in members.items():
        for condition in matrix.conditions:
            found = [
                None if entry is None else results.get(entry.cell.key)
                for entry in (matrix.find(subject, condition) for subject in subjects)
            ]
            lengths = {len(result.answers) for result in found if result is not None}
            if not lengths:
                continue
            (scenes,) = lengths
            table[family, condition] = np.array(
                [
                    [np.nan] * scenes
                    if result is None
                    else [float(answer.success) for answer in result.answers]
                    for result in found
                ]
            )
    return table


def _differ_in_method(first: Family, second: Family) -> bool:
    return (
        first.kind == second.kind == "trained"
        and first.method != second.method
        and (first.model, first.variant, first.trained_on)
        == (second.model, second.variant, second.trained_on)
    )
