"""The rollouts of a step as references, which each rank reads from where they were made."""

from dataclasses import dataclass

import ray

from physrl.algorithms.advantage import Rewards
from physrl.algorithms.batch import rollout_batch
from physrl.training_records import TrainingBatch


@dataclass(frozen=True, slots=True, eq=False)
class StepRollouts:
    """A step's groups in the object store, and the advantages of their rollouts."""

    states: tuple[ray.ObjectRef, ...]
    """References to the complete `GroupState`s, in the order of the step."""
    advantages: Rewards
    """Groups x group_size."""

    def read(self) -> TrainingBatch:
        """Fetch the groups, and make the step's batch of them.

        Raises:
            ObjectLostError: a group was lost with a machine.
        """
        records = [state.record for state in ray.get(list(self.states))]
        return rollout_batch(records, self.advantages)
