"""Lagged curricula: a step's state depends neither on the order of requests nor on a resume."""

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from cluster.training.lagged_curriculum import LaggedCurriculum
from physrl.groups import Group


class Counting:
    """A curriculum whose state counts the steps that it has observed."""

    def start(self) -> Any:
        return 0

    def propose(self, state: Any, indices: Iterable[int]) -> Any:
        return state

    def measure(self, state: Any, indices: Iterable[int]) -> Any:
        return state

    def observe(self, state: Any, source: Any, groups: Sequence[Group]) -> Any:
        return state + 1


@pytest.mark.parametrize("lag", [1, 3])
def test_a_step_depends_on_the_state_lag_steps_before_it(lag: int) -> None:
    curriculum = LaggedCurriculum(Counting(), lag)
    for step in range(8):
        for ahead in range(lag + 1):
            assert curriculum.source(step + ahead, range(1)) == max(0, step + ahead - lag)
            assert curriculum.measure(step + ahead, range(1)) == max(0, step + ahead - lag)
        curriculum.observe(step, range(1), [])
        resumed = LaggedCurriculum(Counting(), lag)
        resumed.restore(curriculum.states, step + 1)
        for ahead in range(lag + 1):
            later = step + 1 + ahead
            assert resumed.source(later, range(1)) == curriculum.source(later, range(1))
    assert len(curriculum.states) == lag + 1
