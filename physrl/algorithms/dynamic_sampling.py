"""DAPO's dynamic sampling (Yu et al. 2025, arXiv 2503.14476): groups that agree are replaced."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from physrl.algorithms.batch import informative_groups
from physrl.config.algorithm import RLConfig
from physrl.config.run import RunConfig
from physrl.groups import Group
from physrl.types import Metrics

Draw = Callable[[range], list[Group]]
"""Rolls out the scenes of these indices under the current policy."""
REFILLS_START = 1 << 40
"""Indices of scenes that only refills draw, beyond those of any step."""


@dataclass(frozen=True, slots=True)
class Refilled:
    """What a step learns from, and how many groups were rolled out for it."""

    groups: list[Group]
    drawn: int
    replaced: int

    @property
    def metrics(self) -> Metrics:
        return {
            "dynamic_sampling/groups_drawn": float(self.drawn),
            "dynamic_sampling/groups_replaced": float(self.replaced),
        }


def refill(
    groups: Sequence[Group], draw: Draw, config: RunConfig, algorithm: RLConfig, step: int
) -> Refilled:
    """Replace groups of equal advantages by others, at most `max_refills` times.

    A refill draws as many scenes as groups agree; those of its groups that agree as well are
    dropped. Groups that still agree after the last refill stay: their advantages are 0, and the
    batch keeps its size.
    """
    kept, drawn, replaced = list(groups), len(groups), 0
    longest = config.model.max_completion_tokens
    for attempt in range(algorithm.max_refills):
        useful = informative_groups(kept, algorithm, longest)
        places = [place for place, differs in enumerate(useful) if not differs]
        if not places:
            break
        fresh = draw(refill_indices(algorithm, step, attempt)[: len(places)])
        drawn += len(fresh)
        differing = informative_groups(fresh, algorithm, longest)
        others = [group for group, differs in zip(fresh, differing, strict=True) if differs]
        for place, group in zip(places, others, strict=False):
            kept[place] = group
        replaced += len(others)
    return Refilled(kept, drawn, replaced)


def refill_indices(algorithm: RLConfig, step: int, attempt: int) -> range:
    """The scenes that a step's refill may draw: a pure function, so that a run can be resumed."""
    count = algorithm.prompts_per_step
    start = REFILLS_START + (step * algorithm.max_refills + attempt) * count
    return range(start, start + count)
