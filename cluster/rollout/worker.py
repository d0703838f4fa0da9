"""The rollout worker: scenes and physics in a Ray actor."""

from dataclasses import dataclass
from typing import Any

from cluster.runtime.batching import Layout, unpack
from physrl.algorithms.advantage import Rewards
from physrl.data.rollouts import Part, encode_rollouts
from physrl.evaluation.answers import group_answers
from physrl.evaluation.results import Answer
from physrl.groups import GroupState, RolloutSummary, summarize
from physrl.protocols import RolloutRequest
from physrl.question_source import Source
from physrl.world import World


@dataclass(frozen=True, slots=True)
class StateSummary:
    """The numbers of a state that are returned while the state stays in the object store."""

    index: int
    task: str
    prompt_ids: tuple[str, ...]
    """Ids of the next turn's prompts."""
    rollouts: tuple[RolloutSummary, ...]
    """Summaries of the rollouts; empty until the group is complete."""


class RolloutWorker:
    """A rollout worker in a Ray actor; its methods take and return batches (`BatchedCalls`)."""

    def __init__(self) -> None:
        self._world = World()

    def ready(self) -> None:
        """Return once the worker has started."""

    def prepare(self, request: RolloutRequest, layout: Layout, *objects: Any) -> tuple[Any, ...]:
        """Sample and render the scenes of the indices, and make their prompts."""
        states = [self._world.prepare(request, index) for index, _ in unpack(layout, objects)]
        return [_summary(state) for state in states], *states

    def act(self, request: RolloutRequest, layout: Layout, *objects: Any) -> tuple[Any, ...]:
        """Execute the completions of each state's prompts."""
        states = [
            self._world.act(request, state, generations)
            for _, (state, *generations) in unpack(layout, objects)
        ]
        return [_summary(state) for state in states], *states

    def demonstrate(self, source: Source, layout: Layout, *objects: Any) -> tuple[Any, ...]:
        """Make the demonstrations of each index, as a list for each."""
        lists = [self._world.demonstrate(source, [index]) for index, _ in unpack(layout, objects)]
        return [len(each) for each in lists], *lists

    def encode(self, step: int, advantages: Rewards, *states: GroupState) -> tuple[int, Part]:
        """Encode complete groups as a part of a step; return their number and the part.

        Args:
            advantages: groups x group_size.
        """
        records = [state.record for state in states]
        return len(records), encode_rollouts(records, advantages.ravel().tolist(), step)

    def find(self, state: GroupState) -> int:
        """Return the index of a group, which shows that it is not lost."""
        return state.index

    def answers(self, *states: GroupState) -> list[Answer]:
        """Return the answers of complete groups, one for each rollout."""
        return [answer for state in states for answer in group_answers(state.record)]


def _summary(state: GroupState) -> StateSummary:
    rollouts = () if state.prompts else summarize(state.record)
    prompt_ids = tuple(prompt.prompt_id for prompt in state.prompts)
    return StateSummary(state.index, state.record.scene.task, prompt_ids, rollouts)
