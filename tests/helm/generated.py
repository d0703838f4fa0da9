"""Trials of machine-made mutants of all rendered manifests: how many do the checks catch?"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.helm.chart import Document, Values, documents, merged, read_values, render, values_files
from tests.helm.check import object_violations
from tests.helm.free_choices import read_free_choices, read_free_edits
from tests.helm.mutants import Mutant, mutants
from tests.helm.structure import edits, pairs

ENOUGH = 0.95
"""The least share of mutants that the checks must catch."""


@dataclass(slots=True)
class Tally:
    """Counts of mutants: caught, missed by location, left out by the path of a rule."""

    caught: int = 0
    missed: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def tried(self) -> int:
        """The number of mutants that the checks were tried on."""
        return self.caught + self.missed.total()

    @property
    def suffices(self) -> bool:
        """Whether at least ENOUGH were caught."""
        return self.caught >= ENOUGH * self.tried

    def print(self) -> None:
        """Print what was missed and left out, most frequent first."""
        for text, count in self.missed.most_common():
            print(f"missed {count}: {text}")
        for path, count in self.left_out.most_common():
            print(f"left out {count}: {path}")
        everything = self.tried + self.left_out.total()
        print(
            f"caught {self.caught} of {self.tried} mutants ({self.caught / self.tried:.1%}); "
            f"left out {self.left_out.total()} of {everything} "
            f"({self.left_out.total() / everything:.1%})"
        )


@dataclass(frozen=True, slots=True)
class Case:
    """A mutant among the objects of a values file; `index` is that of the object it replaces."""

    name: str
    index: int
    mutant: Mutant


def rendered(name: str) -> tuple[list[Document], Values]:
    """Render a values file; return its objects and complete values."""
    values = read_values(values_files()[name])
    return documents(render(values)), merged(values)


def cases() -> Iterator[Case]:
    """Yield every mutant of every values file."""
    for name in values_files():
        for index, document in enumerate(rendered(name)[0]):
            yield from (Case(name, index, mutant) for mutant in mutants(document))


def catches(objects: list[Document], values: Values, index: int, mutant: Mutant) -> bool:
    """Whether a check finds the mutant in place of the object at the index."""
    changed = [*objects[:index], mutant.document, *objects[index + 1 :]]
    return next(object_violations(changed, values, [mutant.document]), None) is not None


def try_all(chosen: Sequence[Case]) -> Tally:
    """Try the checks on mutants."""
    free, tally = read_free_choices(), Tally()
    texts = {name: rendered(name) for name in values_files()}
    for case in chosen:
        mutant = case.mutant
        rule = next((one for one in free if one.covers(mutant)), None)
        if rule is not None:
            tally.left_out[f"{rule.path} ({rule.reason})"] += 1
        elif catches(*texts[case.name], case.index, mutant):
            tally.caught += 1
        else:
            tally.missed[f"{mutant.kind} {mutant.location}: {mutant.operation}"] += 1
    return tally


def try_structure(count: int, seed: int) -> Tally:
    """Try the checks on edits of the structure and, half as many, on pairs of mutants.

    Args:
        count: edits of each values file, without replacement.
    """
    free, tally = read_free_edits(), Tally()
    for name in values_files():
        objects, values = rendered(name)
        assert next(object_violations(objects, values), None) is None
        every = list(edits(objects))
        chosen = random.Random(seed).sample(every, min(count, len(every)))
        for edited in (*chosen, *pairs(objects, count // 2, seed)):
            reason = next((why for edit, why in free if edit.fullmatch(edited.what)), None)
            if reason is not None:
                tally.left_out[reason] += 1
            elif next(object_violations(edited.objects, values, edited.changed), None) is not None:
                tally.caught += 1
            else:
                tally.missed[f"{name}: {edited.what}"] += 1
    return tally


def sampled(count: int, seed: int) -> list[Case]:
    """Draw mutants without replacement; all of them where the count is 0."""
    everything = list(cases())
    return random.Random(seed).sample(everything, count) if count else everything
