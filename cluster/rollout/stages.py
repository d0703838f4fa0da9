"""The stages of a rollout as calls of actors.

    worker.prepare -> state ----------------------+   (ahead of time)
                                                  v
    admission: is the policy recent enough?       |
                                                  v
    server.generate -> completions of one policy  |
                                                  v
    worker.act -> state [-> prompts of the next turn -> server.generate -> worker.act]

States and generations stay in the object store; only summaries and references are passed on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import ray
from ray.exceptions import ObjectLostError

from cluster.inference.servers import InferenceServers, RemoteGeneration, RemotePrompt
from cluster.rollout.admission import Admission
from cluster.rollout.quarantine import Quarantine
from cluster.rollout.worker import StateSummary
from cluster.runtime.batching import BatchedCalls, Item, Result
from cluster.weights.sync import Policy
from physrl.groups import Group, RolloutSummary
from physrl.protocols import RolloutRequest, Sampling
from physrl.types import Generation, RolloutGroup


@dataclass(frozen=True, slots=True)
class RemoteState:
    """A group in progress in the object store."""

    reference: ray.ObjectRef
    index: int
    task: str
    prompts: tuple[RemotePrompt, ...]
    rollouts: tuple[RolloutSummary, ...]


@dataclass(frozen=True, slots=True)
class RemoteRecord:
    """The handle of a group's record in the object store."""

    reference: ray.ObjectRef

    def __call__(self) -> RolloutGroup:
        record: RolloutGroup = ray.get(self.reference).record
        return record


class SharedScenes:
    """The first states of scenes that several requests share, so that each is prepared once."""

    def __init__(self) -> None:
        self._states: dict[int, asyncio.Task[RemoteState]] = {}

    async def get(
        self, index: int, prepare: Callable[[], Coroutine[Any, Any, RemoteState]]
    ) -> RemoteState:
        """Return the state of an index; prepare it unless another request has."""
        if index not in self._states:
            self._states[index] = asyncio.ensure_future(prepare())
        return await asyncio.shield(self._states[index])

    def forget(self, index: int) -> None:
        """Remove a state that was lost with a machine, so that it is prepared again."""
        self._states.pop(index, None)


class RemoteStages:
    """`Stages` of one request that call rollout workers and inference servers.

    Args:
        request: reference to the request, which would otherwise travel with every call.
        policy: the policy to sample from; None for the servers' current one.
        admission: decides when completions are sampled; scenes do not wait for it. None for at
            once.
        scenes: states that are shared with other requests of the same source.
    """

    def __init__(
        self,
        workers: BatchedCalls,
        servers: InferenceServers,
        quarantine: Quarantine,
        request: ray.ObjectRef,
        *,
        policy: Policy | None = None,
        admission: Admission | None = None,
        scenes: "SharedScenes | None" = None,
    ) -> None:
        self._workers, self._servers, self._quarantine = workers, servers, quarantine
        self._request = request
        self._policy, self._admission = policy, admission
        self._scenes = scenes or SharedScenes()

    async def prepare(self, request: RolloutRequest, index: int) -> RemoteState:
        async def call() -> RemoteState:
            return _state(await self._workers.call(None, "prepare", (self._request,), Item(index)))

        return await self._scenes.get(index, call)

    async def generate(self, prompt: RemotePrompt, sampling: Sampling) -> RemoteGeneration:
        if self._admission is None:
            return await self._servers.generate(prompt, sampling, self._policy)
        async with self._admission.admit(sampling.group_size):
            return await self._servers.generate(prompt, sampling, self._policy)

    async def act(
        self, request: RolloutRequest, state: RemoteState, generations: Sequence[RemoteGeneration]
    ) -> RemoteState:
        references = (state.reference, *(each.reference for each in generations))
        item = Item(None, references)
        return _state(await self._workers.call(generations[0].batch, "act", (self._request,), item))

    def complete(self, state: RemoteState) -> Group:
        return Group(state.index, state.task, state.rollouts, RemoteRecord(state.reference))

    async def guard(
        self, request: RolloutRequest, index: int, roll_out: Callable[[], Awaitable[Group]]
    ) -> Group | None:
        async def attempt() -> Group:
            try:
                return await roll_out()
            except ObjectLostError:
                self._scenes.forget(index)
                raise

        return await self._quarantine.guard(request.source, index, attempt)


class ReplayStages(RemoteStages):
    """Stages that use the completions of a checkpoint instead of sampling.

    Args:
        generations: completions of each prompt, by its id.
    """

    def __init__(
        self,
        workers: BatchedCalls,
        servers: InferenceServers,
        quarantine: Quarantine,
        request: ray.ObjectRef,
        generations: Mapping[str, Generation],
    ) -> None:
        super().__init__(workers, servers, quarantine, request)
        self._generations = generations

    async def generate(self, prompt: RemotePrompt, sampling: Sampling) -> RemoteGeneration:
        return RemoteGeneration(ray.put(self._generations[prompt.prompt_id]), prompt.batch)


def read_records(groups: Sequence[Group]) -> list[RolloutGroup]:
    """Fetch the records of groups from the object store, in one call."""
    return [state.record for state in ray.get(record_references(groups))]


def record_references(groups: Sequence[Group]) -> list[ray.ObjectRef]:
    """Return the references of the states of groups that `RemoteStages` completed."""
    return [cast(RemoteRecord, group.read).reference for group in groups]


def _state(result: Result) -> RemoteState:
    summary: StateSummary = result.value
    prompts = tuple(
        RemotePrompt(result.reference, place, prompt_id, result.batch)
        for place, prompt_id in enumerate(summary.prompt_ids)
    )
    return RemoteState(result.reference, summary.index, summary.task, prompts, summary.rollouts)
