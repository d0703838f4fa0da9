"""A curriculum whose proposals lag behind its observations by a fixed number of steps.

Rollouts are requested before the steps in front of them have been observed. To make a resumed run
request the same scenes as an uninterrupted one, the scenes of a step always depend on the
curriculum's state `lag` steps before it, no matter when they are requested.
"""

from collections.abc import Sequence

from physrl.curriculum import Curriculum, CurriculumState
from physrl.groups import Group
from physrl.question_source import Source
from physrl.types import Metrics


class LaggedCurriculum:
    """A curriculum with its states after the last `lag` steps.

    Args:
        lag: number of steps that may be requested ahead of the last observed one.
    """

    def __init__(self, curriculum: Curriculum, lag: int) -> None:
        self._curriculum, self._lag = curriculum, lag
        self._observed = 0
        self.states: list[CurriculumState] = [curriculum.start()]
        """States after the last `lag` steps and the one before them, the newest last."""

    def restore(self, states: Sequence[CurriculumState], observed: int) -> None:
        """Restore the states of a checkpoint, after `observed` steps."""
        self.states, self._observed = list(states), observed

    def source(self, step: int, indices: range) -> Source:
        """Propose the source of a step's scenes.

        Args:
            step: number of the step from 0, at most `lag` ahead of the last observed one.
        """
        return self._curriculum.propose(self._state(step), indices)

    def measure(self, step: int, indices: range) -> Metrics:
        """Return how a step's scenes differ from uniformly drawn ones."""
        return self._curriculum.measure(self._state(step), indices)

    def observe(self, step: int, indices: range, groups: Sequence[Group]) -> None:
        """Update the state with the groups of the next step."""
        source = self.source(step, indices)
        self.states.append(self._curriculum.observe(self.states[-1], source, groups))
        self._observed = step + 1
        del self.states[: -self._lag - 1]

    def _state(self, step: int) -> CurriculumState:
        """Return the state that a step's scenes depend on."""
        back = self._observed - max(0, step - self._lag)
        return self.states[-1 - back]
