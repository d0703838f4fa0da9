"""The rollout loop, which training, evaluation and controls share.

    prepare(index) -> state with a prompt
                        |
           +----> generate(prompt), a call for each prompt
           |            |
           +----- act(state, generations) -> state with the next turn's prompts
                        |
                  no prompts left -> group

Stages run in this process (`LocalStages`) or as calls of actors (`cluster/rollout/stages.py`).
"""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from physrl.config.run import RunConfig
from physrl.environments.randomness import stream
from physrl.groups import Group
from physrl.protocols import RolloutRequest, Sampling, Stages
from physrl.question_source import Source


async def rollout_groups(
    request: RolloutRequest, stages: Stages[Any, Any, Any]
) -> AsyncIterator[Group]:
    """Roll out every scene of a request, and yield each group when it is complete.

    Groups that the stages omit are not yielded.
    """
    tasks = [
        asyncio.ensure_future(
            stages.guard(request, index, partial(_roll_out, request, index, stages))
        )
        for index in request.indices
    ]
    try:
        for task in asyncio.as_completed(tasks):
            group = await task
            if group is not None:
                yield group
    finally:
        for task in tasks:
            task.cancel()


async def _roll_out(request: RolloutRequest, index: int, stages: Stages[Any, Any, Any]) -> Group:
    state = await stages.prepare(request, index)
    sampling = request.sampling
    while state.prompts:
        generations = await asyncio.gather(
            *(stages.generate(prompt, sampling) for prompt in state.prompts)
        )
        state = await stages.act(request, state, generations)
        sampling = sampling.single
    return stages.complete(state)


async def collect_groups(request: RolloutRequest, stages: Stages[Any, Any, Any]) -> list[Group]:
    """Roll out every scene of a request; return the groups in the order of its indices."""
    groups = {group.index: group async for group in rollout_groups(request, stages)}
    return [groups[index] for index in request.indices if index in groups]


def run_rollouts(request: RolloutRequest, stages: Stages[Any, Any, Any]) -> list[Group]:
    """Run `collect_groups` from synchronous code."""
    return asyncio.run(collect_groups(request, stages))


def step_indices(config: RunConfig, step: int) -> range:
    """Return the scene indices of a training step; steps count from 0.

    Each epoch of SFT after the first takes the batches in an order of its own.
    """
    algorithm = config.algorithm
    batch, count = step, algorithm.prompts_per_step
    if not algorithm.uses_rollouts and step >= algorithm.steps_per_epoch:
        epoch, place = divmod(step, algorithm.steps_per_epoch)
        order = stream(f"{config.seed}/epochs", epoch).permutation(algorithm.steps_per_epoch)
        batch = int(order[place])
    return range(batch * count, (batch + 1) * count)


def training_request(
    config: RunConfig, step: int, source: Source, indices: range
) -> RolloutRequest:
    """Make the request of a training step's rollouts."""
    sampling = Sampling(
        group_size=config.algorithm.group_size,
        temperature=config.temperature,
        max_tokens=config.model.max_completion_tokens,
        seed=config.seed + step,
    )
    return RolloutRequest(source, indices, sampling, config.reward)
