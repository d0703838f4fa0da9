"""DAPO's dynamic sampling (Yu et al. 2025, arXiv 2503.14476): zero-variance groups are replaced."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from physrl.algorithms.batch import informative_groups
from physrl.config.algorithm import PolicyGradientConfig, RolloutConfig
from physrl.config.run import RunConfig
from physrl.groups import Group
from physrl.types import Metrics

Draw = Callable[[range], list[Group]]
"""A function that rolls out the scenes of these indices under the current policy."""
REFILLS_START = 1 << 40
"""First scene index of the refills, beyond the scenes of any step."""


@dataclass(frozen=True, slots=True)
class Refilled:
    """A step's groups after dynamic sampling, with the number of groups drawn and replaced."""

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
    groups: Sequence[Group], draw: Draw, config: RunConfig, algorithm: RolloutConfig, step: int
) -> Refilled:
    """Replace groups of equal advantages by others, at most `max_refills` times.

    A refill draws a scene for each such group and drops the new groups of equal advantages. Those
    left after the last refill stay: their advantages are 0, and the batch keeps its size. Groups of
    rejection sampling have no advantages and all stay.
    """
    kept, drawn, replaced = list(groups), len(groups), 0
    if not isinstance(algorithm, PolicyGradientConfig):
        return Refilled(kept, drawn, replaced)
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


def refill_indices(algorithm: PolicyGradientConfig, step: int, attempt: int) -> range:
    """Compute the scenes that a step's refill may draw: a pure function, so runs can be resumed."""
    count = algorithm.prompts_per_step
    start = REFILLS_START + (step * algorithm.max_refills + attempt) * count
    return range(start, start + count)
