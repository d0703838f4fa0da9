"""The queue of rollouts of coming steps, requested as early as the allowed staleness permits.

    begin(step):  samples scenes of steps           up to step + staleness + 1
                  samples completions of steps      up to step + staleness
    take(step):   removes the rollouts of           step, which the learner waits for

Thus completions of at most `staleness` steps wait for the learner. With a limit on the sequences
that are generated at once, a prompt of a later step starts when an earlier one is complete.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace

from cluster.rollout.admission import Admission, SequenceLimit
from cluster.rollout.queued_steps import QueuedStep
from cluster.rollout.workers import Rollouts
from physrl.groups import Group
from physrl.protocols import RolloutRequest


@dataclass(frozen=True, slots=True)
class _Requested:
    groups: "Future[list[Group]]"
    admission: Admission


class RolloutQueue:
    """Requests the rollouts of steps ahead of the learner.

    Args:
        request: makes the request of a step.
        steps: number of steps of the run.
        staleness: number of steps by which completions may be older than the policy they train.
        most_sequences: largest number of sequences that are generated at once; None for any.
    """

    def __init__(
        self,
        rollouts: Rollouts,
        request: Callable[[int], RolloutRequest],
        steps: int,
        staleness: int,
        most_sequences: int | None = None,
    ) -> None:
        self._rollouts, self._request = rollouts, request
        self._steps, self._staleness = steps, staleness
        self._limit = None if most_sequences is None else SequenceLimit(most_sequences)
        self._requested: dict[int, _Requested] = {}

    def begin(self, step: int) -> None:
        """Request the steps that are due once the policy has been trained on all before `step`."""
        latest = step + self._staleness
        for each in range(step, min(latest + 2, self._steps)):
            if each not in self._requested:
                admission = Admission(each, self._limit)
                groups = self._rollouts.submit(self._request(each), admission=admission)
                self._requested[each] = _Requested(groups, admission)
        for each, requested in sorted(self._requested.items()):
            if each <= latest and not requested.admission.gate.done():
                requested.admission.gate.set_result(None)

    def take(self, step: int) -> "Future[list[Group]]":
        """Remove the rollouts of the next step to train on, requested now if they were not."""
        self.begin(step)
        return self._requested.pop(step).groups

    @property
    def completed(self) -> dict[int, list[Group]]:
        """Rollouts that are complete and not yet trained on, by step."""
        requested = {step: each.groups for step, each in self._requested.items()}
        return {
            step: groups.result()
            for step, groups in requested.items()
            if groups.done() and groups.exception() is None
        }

    def restore(self, steps: Mapping[int, QueuedStep]) -> None:
        """Queue the steps of a checkpoint again, with their completions."""
        for step, queued in steps.items():
            request = self._request(step)
            source = request.source
            indices = [i for i in request.indices if source.scene_id(i) in queued.scenes]
            groups = self._rollouts.replay(replace(request, indices=indices), queued.generations)
            self._requested[step] = _Requested(groups, Admission(step, None))

    def cancel(self) -> None:
        """Cancel all requests."""
        for requested in self._requested.values():
            requested.groups.cancel()
        self._requested.clear()
