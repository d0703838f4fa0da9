"""Two policies on the same scenes: where one succeeds and the other fails."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from physrl.evaluation.results import Answer, CellResult, compare
from physrl.evaluation.statistics import Difference

BINS = 4
"""Ranges that a length is divided into, with about as many scenes each."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The answers of both policies to one scene."""

    first: Answer
    second: Answer

    @property
    def outcome(self) -> str:
        """Name who succeeds: both, neither, first or second."""
        if self.first.success == self.second.success:
            return "both" if self.first.success else "neither"
        return "first" if self.first.success else "second"


OUTCOMES = ("first", "second", "both", "neither")


@dataclass(frozen=True, slots=True)
class Group:
    """The scenes that share a property."""

    name: str
    scenes: int
    first_rate: float
    second_rate: float
    first_only: int
    """Scenes on which the first alone succeeds."""
    second_only: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two policies on the scenes that both answered."""

    pairs: tuple[Pair, ...]
    difference: Difference | None
    """Success of the second minus that of the first, by the paired test of reports."""
    groups: tuple[tuple[str, tuple[Group, ...]], ...]
    """Groups by property; those with a single value are left out."""

    @property
    def counts(self) -> Counter[str]:
        """Number of scenes by outcome."""
        return Counter(pair.outcome for pair in self.pairs)

    def select(self, outcome: str) -> list[Pair]:
        """List the scenes with an outcome; without one, those that flip."""
        if outcome:
            return [pair for pair in self.pairs if pair.outcome == outcome]
        return [pair for pair in self.pairs if pair.outcome in ("first", "second")]


def compare_answers(first: Sequence[CellResult], second: Sequence[CellResult]) -> Comparison:
    """Compare the answers of two policies in the cells of the same conditions.

    Args:
        first: cells of one policy, in the order of conditions.
        second: cells of the other, as many.
    """
    pairs: list[Pair] = []
    for before, after in zip(first, second, strict=True):
        answers = {answer.scene_id: answer for answer in after.answers}
        pairs += [
            Pair(answer, answers[answer.scene_id])
            for answer in before.answers
            if answer.scene_id in answers
        ]
    whole = [
        CellResult(cells[0].condition, tuple(answer for cell in cells for answer in cell.answers))
        for cells in (first, second)
        if cells
    ]
    difference = compare(*whole) if len(whole) == 2 else None
    groups = tuple((name, found) for name, of in PROPERTIES if len(found := _group(pairs, of)) > 1)
    return Comparison(tuple(pairs), difference, groups)


def _group(pairs: Sequence[Pair], of: Callable[[Answer], object]) -> tuple[Group, ...]:
    """Group scenes by a property; numbers with many values are divided into ranges."""
    values = [of(pair.first) for pair in pairs]
    known = [value for value in values if isinstance(value, int | float)]
    names = [f"{value:.3g}" if isinstance(value, float) else str(value) for value in values]
    order = list(dict.fromkeys(sorted(names)))
    if known and len(known) == len(values):
        order = [name for _, name in sorted(set(zip(known, names, strict=True)))]
    if len(set(known)) > 2 * BINS:
        edges = np.quantile(np.array(known), np.linspace(0, 1, BINS + 1))
        ranges = [f"{low:.2f} to {high:.2f}" for low, high in pairwise(edges)]
        names = [_range(value, edges, ranges) for value in values]
        order = ranges
    found = []
    for name in dict.fromkeys(order):
        members = [pair for pair, own in zip(pairs, names, strict=True) if own == name]
        if members and name not in ("None", "unknown"):
            found.append(_count(name, members))
    return tuple(found)


def _range(value: object, edges: np.ndarray, ranges: Sequence[str]) -> str:
    if not isinstance(value, int | float):
        return "unknown"
    place = int(np.searchsorted(edges[1:-1], value, side="right"))
    return ranges[place]


def _count(name: str, pairs: Sequence[Pair]) -> Group:
    outcomes = Counter(pair.outcome for pair in pairs)
    first, second, both = (outcomes[outcome] for outcome in ("first", "second", "both"))
    total = len(pairs)
    return Group(name, total, (first + both) / total, (second + both) / total, first, second)


PROPERTIES: tuple[tuple[str, Callable[[Answer], object]], ...] = (
    ("margin", lambda answer: answer.margin),
    ("size of the margin", lambda answer: None if answer.margin is None else abs(answer.margin)),
    ("height", lambda answer: answer.height),
    ("blocks", lambda answer: answer.blocks),
    ("side", lambda answer: answer.side),
    ("set of scenes (colors, camera, ...)", lambda answer: answer.generator),
    ("true verdict", lambda answer: None if answer.falls is None else f"falls: {answer.falls}"),
)
"""Properties of scenes by name, in block widths where they are lengths."""
