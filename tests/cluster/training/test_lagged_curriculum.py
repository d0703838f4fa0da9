"""Whatever order steps are ordered and observed in, each gets the same state; a resumed run too."""

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

    def observe(self, state: Any, source: Any, groups: Sequence[Group]) -> Any:
        return state + 1


@pytest.mark.parametrize("lag", [1, 3])
def test_a_step_goes_by_the_state_that_was_there_when_it_was_first_ordered(lag: int) -> None:
    proposals = LaggedCurriculum(Counting(), lag)
    for step in range(8):
        for ahead in range(lag + 1):
            assert proposals.source(step + ahead, range(1)) == max(0, step + ahead - lag)
        proposals.observe(step, range(1), [])
        resumed = LaggedCurriculum(Counting(), lag)
        resumed.restore(proposals.states, step + 1)
        for ahead in range(lag + 1):
            later = step + 1 + ahead
            assert resumed.source(later, range(1)) == proposals.source(later, range(1))
    assert len(proposals.states) == lag + 1
