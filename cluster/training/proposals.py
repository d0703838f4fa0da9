"""Which scenes each step rolls out: what the curriculum proposed, as long ago as orders are early.

Steps are ordered before those in front of them are learned from. So that a resumed run orders what
the uninterrupted one did, a step's scenes go by the curriculum's state after the step that lies
`lag` steps before it, however early or late the order is made.
"""

from collections.abc import Sequence

from physrl.curriculum import Curriculum, CurriculumState
from physrl.groups import Group
from physrl.scene_source import SceneSource


class Proposals:
    """The curriculum's last states.

    Args:
        lag: how many steps may be ordered before the first of them is learned from.
    """

    def __init__(self, curriculum: Curriculum, lag: int) -> None:
        self._curriculum, self._lag = curriculum, lag
        self._observed = 0
        self.states: list[CurriculumState] = [curriculum.start()]
        """The newest last; before step n there are those of the steps from n - lag on."""

    def restore(self, states: Sequence[CurriculumState], observed: int) -> None:
        """Go on from what a checkpoint holds of a run that had learned from so many steps."""
        self.states, self._observed = list(states), observed

    def source(self, step: int, indices: range) -> SceneSource:
        """Where a step's scenes come from; steps count from 0, and at most `lag` are ahead."""
        back = self._observed - max(0, step - self._lag)
        return self._curriculum.propose(self.states[-1 - back], indices)

    def observe(self, step: int, indices: range, groups: Sequence[Group]) -> None:
        """The step is rolled out."""
        source = self.source(step, indices)
        self.states.append(self._curriculum.observe(self.states[-1], source, groups))
        self._observed = step + 1
        del self.states[: -self._lag - 1]
