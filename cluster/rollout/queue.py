"""The rollouts of coming steps, begun as early as the policy's staleness admits.

    begin(step):  scenes are drawn for steps        up to step + staleness + 1
                  completions are sampled for       up to step + staleness
    take(step):   the learner waits for those of    step

So at most `staleness` steps' completions wait for the learner, and the learner for one step's.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from cluster.rollout.waiting import WaitingStep
from cluster.rollout.workers import Rollouts
from physrl.groups import Group
from physrl.protocols import RolloutRequest


@dataclass(frozen=True, slots=True)
class _Requested:
    groups: "Future[list[Group]]"
    gate: "Future[None]" = field(default_factory=Future)


class RolloutQueue:
    """Requests the rollouts of steps in their order.

    Args:
        request: makes the request of a step.
        steps: the number of steps.
        staleness: how many steps completions may be older than the policy that they train.
    """

    def __init__(
        self,
        rollouts: Rollouts,
        request: Callable[[int], RolloutRequest],
        steps: int,
        staleness: int,
    ) -> None:
        self._rollouts, self._request = rollouts, request
        self._steps, self._staleness = steps, staleness
        self._requested: dict[int, _Requested] = {}

    def begin(self, step: int) -> None:
        """Request what is due: the policy has learned from all steps before this one."""
        latest = step + self._staleness
        for each in range(step, min(latest + 2, self._steps)):
            if each not in self._requested:
                gate: Future[None] = Future()
                groups = self._rollouts.submit(self._request(each), gate=gate)
                self._requested[each] = _Requested(groups, gate)
        for each, requested in self._requested.items():
            if each <= latest and not requested.gate.done():
                requested.gate.set_result(None)

    def take(self, step: int) -> "Future[list[Group]]":
        """Return the rollouts of the next step to learn from, begun if they are not."""
        self.begin(step)
        return self._requested.pop(step).groups

    @property
    def waiting(self) -> dict[int, list[Group]]:
        """Steps whose rollouts are done before the learner has come to them."""
        requested = {step: each.groups for step, each in self._requested.items()}
        return {
            step: groups.result()
            for step, groups in requested.items()
            if groups.done() and groups.exception() is None
        }

    def restore(self, steps: Mapping[int, WaitingStep]) -> None:
        """Have steps that were waiting when a checkpoint was made wait again."""
        for step, waiting in steps.items():
            request = self._request(step)
            source = request.source
            kept = [index for index in request.indices if source.scene_id(index) in waiting.scenes]
            groups = self._rollouts.replay(replace(request, indices=kept), waiting.generations)
            self._requested[step] = _Requested(groups)

    def cancel(self) -> None:
        """Give up what is requested."""
        for requested in self._requested.values():
            requested.groups.cancel()
        self._requested.clear()
