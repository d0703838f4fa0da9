"""A PyBullet worker: draws scenes, and carries out completions."""

from dataclasses import dataclass
from typing import Any

from cluster.runtime.batching import Layout, unpack
from physrl.evaluation.answers import group_answers
from physrl.evaluation.results import Answer
from physrl.groups import GroupState, RolloutSummary, summarize
from physrl.protocols import RolloutRequest
from physrl.scene_source import SceneSource
from physrl.world import World


@dataclass(frozen=True, slots=True)
class StateSummary:
    """The numbers of a state, which travel while the state itself stays in the object store."""

    index: int
    task: str
    prompt_ids: tuple[str, ...]
    """Ids of the next turn's prompts."""
    rollouts: tuple[RolloutSummary, ...]
    """Empty until the group is complete."""


class RolloutWorker:
    """The class of the actors; its methods take and return batches (`BatchedCalls`)."""

    def __init__(self) -> None:
        self._world = World()

    def ready(self) -> None:
        """Return once the worker has started."""

    def prepare(self, request: RolloutRequest, layout: Layout, *objects: Any) -> tuple[Any, ...]:
        """Draw and render the scenes of these indices, and ask about each."""
        states = [self._world.prepare(request, index) for index, _ in unpack(layout, objects)]
        return [_summary(state) for state in states], *states

    def act(self, request: RolloutRequest, layout: Layout, *objects: Any) -> tuple[Any, ...]:
        """Carry out the completions of each state's prompts."""
        states = [
            self._world.act(request, state, generations)
            for _, (state, *generations) in unpack(layout, objects)
        ]
        return [_summary(state) for state in states], *states

    def demonstrate(self, source: SceneSource, layout: Layout, *objects: Any) -> tuple[Any, ...]:
        """Answer each of these scenes ideally: a list of demonstrations a scene."""
        shown = [self._world.demonstrate(source, [index]) for index, _ in unpack(layout, objects)]
        return [len(each) for each in shown], *shown

    def answers(self, *states: GroupState) -> list[Answer]:
        """Describe the rollouts of complete groups by their answers."""
        return [answer for state in states for answer in group_answers(state.record)]


def _summary(state: GroupState) -> StateSummary:
    rollouts = () if state.prompts else summarize(state.record)
    prompt_ids = tuple(prompt.prompt_id for prompt in state.prompts)
    return StateSummary(state.index, state.record.scene.task, prompt_ids, rollouts)
