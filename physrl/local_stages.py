"""The stages of a rollout in this process, for the reference loop, networks and controls."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from physrl.groups import Group, GroupState, local_group
from physrl.protocols import Generator, RolloutRequest, Sampling
from physrl.types import Generation, Prompt
from physrl.world import World


class LocalStages:
    """`Stages` that use a world and a generator, and pass their errors on to the caller."""

    def __init__(self, world: World, generator: Generator) -> None:
        self._world, self._generator = world, generator
        self._waiting: dict[Sampling, list[tuple[Prompt, asyncio.Future[Generation]]]] = {}

    async def prepare(self, request: RolloutRequest, index: int) -> GroupState:
        return self._world.prepare(request, index)

    async def generate(self, prompt: Prompt, sampling: Sampling) -> Generation:
        """Sample in a batch with all prompts submitted in this iteration of the event loop."""
        loop = asyncio.get_running_loop()
        generation: asyncio.Future[Generation] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._generate_waiting)
        self._waiting.setdefault(sampling, []).append((prompt, generation))
        return await generation

    async def act(
        self, request: RolloutRequest, state: GroupState, generations: Sequence[Generation]
    ) -> GroupState:
        return self._world.act(request, state, generations)

    def complete(self, state: GroupState) -> Group:
        return local_group(state)

    async def guard(
        self, request: RolloutRequest, index: int, roll_out: Callable[[], Awaitable[Group]]
    ) -> Group:
        return await roll_out()

    def _generate_waiting(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for sampling, batch in waiting.items():
            try:
                generations = self._generator.generate([prompt for prompt, _ in batch], sampling)
            except Exception as error:
                for _, future in batch:
                    future.set_exception(error)
            else:
                for (_, future), generation in zip(batch, generations, strict=True):
                    future.set_result(generation)
