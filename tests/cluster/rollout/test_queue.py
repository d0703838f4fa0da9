"""What is ordered how early, and when completions may be asked for."""

from concurrent.futures import Future
from typing import Any

import pytest

from cluster.rollout.queue import RolloutQueue


class Ordered:
    """In the place of `Rollouts`: remembers what was ordered, by its gate."""

    def __init__(self) -> None:
        self.gates: dict[int, Future[None]] = {}
        self.groups: dict[int, Future[Any]] = {}

    def submit(self, step: int, gate: "Future[None]") -> "Future[Any]":
        self.gates[step], self.groups[step] = gate, Future()
        return self.groups[step]

    @property
    def open(self) -> list[int]:
        return [step for step, gate in self.gates.items() if gate.done()]


@pytest.mark.parametrize("staleness", [0, 1])
def test_a_step_begins_once_and_no_earlier_than_its_staleness_admits(staleness: int) -> None:
    ordered = Ordered()
    queue = RolloutQueue(ordered, lambda step: step, steps=4, staleness=staleness)  # type: ignore[arg-type,return-value]
    groups = queue.take(0)
    assert groups is ordered.groups[0]
    assert list(ordered.gates) == list(range(staleness + 2))
    assert ordered.open == list(range(staleness + 1))
    queue.begin(1)
    assert list(ordered.gates) == list(range(staleness + 3))
    assert ordered.open == list(range(staleness + 2))
    later = ordered.groups[1]
    assert queue.take(1) is later
    assert ordered.groups[1] is later  # not ordered again
    ordered.groups[2].set_result(["answers"])
    assert queue.waiting == {2: ["answers"]}
    assert queue.take(2) is ordered.groups[2]
    queue.begin(4)  # after the last
    assert list(ordered.gates) == [0, 1, 2, 3]
