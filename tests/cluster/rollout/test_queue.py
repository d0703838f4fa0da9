"""When the queue requests the rollouts of steps, and opens their gates."""

from concurrent.futures import Future
from typing import Any

import pytest

from cluster.rollout.admission import Admission
from cluster.rollout.queue import RolloutQueue


class Requests:
    """A stand-in for `Rollouts` that records the requests."""

    def __init__(self) -> None:
        self.gates: dict[int, Future[None]] = {}
        self.groups: dict[int, Future[Any]] = {}

    def submit(self, step: int, admission: Admission) -> "Future[Any]":
        assert (admission.step, admission.limit) == (step, None)
        self.gates[step], self.groups[step] = admission.gate, Future()
        return self.groups[step]

    @property
    def open(self) -> list[int]:
        return [step for step, gate in self.gates.items() if gate.done()]


@pytest.mark.parametrize("staleness", [0, 1])
def test_a_step_begins_once_and_no_earlier_than_its_staleness_admits(staleness: int) -> None:
    requested = Requests()
    queue = RolloutQueue(requested, lambda step: step, steps=4, staleness=staleness)  # type: ignore[arg-type,return-value]
    groups = queue.take(0)
    assert groups is requested.groups[0]
    assert list(requested.gates) == list(range(staleness + 2))
    assert requested.open == list(range(staleness + 1))
    queue.begin(1)
    assert list(requested.gates) == list(range(staleness + 3))
    assert requested.open == list(range(staleness + 2))
    later = requested.groups[1]
    assert queue.take(1) is later
    assert requested.groups[1] is later  # not requested again
    requested.groups[2].set_result(["answers"])
    assert queue.completed == {2: ["answers"]}
    assert queue.take(2) is requested.groups[2]
    queue.begin(4)  # after the last
    assert list(requested.gates) == [0, 1, 2, 3]
