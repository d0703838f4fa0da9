"""The coming steps' rollouts, begun as early as the policy's staleness admits.

    begin(step):  scenes are drawn for steps        up to step + staleness + 1
                  completions are asked for         up to step + staleness
    take(step):   the learner waits for those of    step

So at most `staleness` steps' completions wait for the learner, and the learner for one step's.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field

from cluster.rollout.answers import Answered, Indexed
from cluster.rollout.pipeline import Order, Rollouts


@dataclass(frozen=True, slots=True)
class _Ordered:
    groups: "Future[list[Indexed]]"
    gate: "Future[None]" = field(default_factory=Future)


class RolloutQueue:
    """Orders steps' rollouts in their order.

    Args:
        order: what a step rolls out.
        steps: how many steps there are.
        staleness: how many steps completions may be older than the policy that they train.
    """

    def __init__(
        self, rollouts: Rollouts, order: Callable[[int], Order], steps: int, staleness: int
    ) -> None:
        self._rollouts, self._order = rollouts, order
        self._steps, self._staleness = steps, staleness
        self._ordered: dict[int, _Ordered] = {}

    def begin(self, step: int) -> None:
        """Order what may be by now: the policy has learned from all steps before this one."""
        latest = step + self._staleness
        for each in range(step, min(latest + 2, self._steps)):
            if each not in self._ordered:
                gate: Future[None] = Future()
                groups = self._rollouts.submit(self._order(each), gate)
                self._ordered[each] = _Ordered(groups, gate)
        for each, ordered in self._ordered.items():
            if each <= latest and not ordered.gate.done():
                ordered.gate.set_result(None)

    def take(self, step: int) -> "Future[list[Indexed]]":
        """The rollouts of the next step to learn from, begun if they are not."""
        self.begin(step)
        return self._ordered.pop(step).groups

    @property
    def waiting(self) -> dict[int, list[Indexed]]:
        """Steps whose rollouts are done before the learner has come to them."""
        ordered = {step: each.groups for step, each in self._ordered.items()}
        return {
            step: groups.result()
            for step, groups in ordered.items()
            if groups.done() and groups.exception() is None
        }

    def put_back(self, answered: Mapping[int, Answered]) -> None:
        """Have steps that were waiting when a checkpoint was made wait again."""
        for step, answers in answered.items():
            groups = self._rollouts.repeat(self._order(step), answers)
            self._ordered[step] = _Ordered(groups)

    def cancel(self) -> None:
        """Give up what is ordered."""
        for ordered in self._ordered.values():
            ordered.groups.cancel()
        self._ordered.clear()
