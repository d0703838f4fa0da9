"""The rollout loop over local stages: batches, order, turns, errors."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from physrl.config.environment import EnvironmentConfig
from physrl.config.reward import SimulatedRewardConfig
from physrl.errors import GenerationError
from physrl.groups import Group
from physrl.local_stages import LocalStages
from physrl.protocols import RolloutRequest, Sampling
from physrl.rollout import collect_groups, rollout_groups, run_rollouts
from physrl.scene_source import SceneSource
from physrl.types import Generation, Prompt
from physrl.world import World
from tests.support.groups import generation

SOURCE = SceneSource("place_closed_loop", EnvironmentConfig(), 0, "train", reasoning=False)
SAMPLING = Sampling(2, 1.0, 24, seed=0)


class Answers:
    """A generator of wrong answers that records its batches."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, int]] = []

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Generation]:
        self.batches.append((len(prompts), sampling.group_size))
        return [generation(*["<answer>300 800</answer>"] * sampling.group_size) for _ in prompts]


def request(source: SceneSource, indices: Sequence[int]) -> RolloutRequest:
    return RolloutRequest(source, indices, SAMPLING, SimulatedRewardConfig())


def test_concurrent_prompts_share_a_batch_and_groups_keep_their_order() -> None:
    answers = Answers()
    groups = run_rollouts(request(SOURCE, [5, 2, 9]), LocalStages(World(), answers))
    assert [group.index for group in groups] == [5, 2, 9]
    # Three prompts of two completions, then each of the six rollouts goes on alone, twice.
    assert answers.batches == [(3, 2), (6, 1), (6, 1)]
    for group in groups:
        record = group.read()
        assert record.scene.index == group.index
        assert [len(rollout.attempts) for rollout in record.rollouts] == [3, 3]
        assert [len(rollout.attempts) for rollout in group.rollouts] == [3, 3]
        assert group.rollouts[0].reward == record.rollouts[0].reward
        assert not any(rollout.success for rollout in group.rollouts)
        assert group.policy_versions == {0}


def test_a_group_is_yielded_when_it_is_complete() -> None:
    """If stages delay the first scene, the group of the second is yielded first."""

    class HeldBack(LocalStages):
        async def generate(self, prompt: Prompt, sampling: Sampling) -> Generation:
            if prompt.scene_id.endswith("/0"):
                await second_done.wait()
            return await super().generate(prompt, sampling)

    async def run() -> list[int]:
        order = []
        async for group in rollout_groups(
            request(replace(SOURCE, task="place"), [0, 1]), HeldBack(World(), Answers())
        ):
            order.append(group.index)
            second_done.set()
        return order

    second_done = asyncio.Event()
    assert asyncio.run(run()) == [1, 0]


def test_scenes_may_be_omitted_and_errors_end_the_request() -> None:
    class LeavesOut(LocalStages):
        async def guard(
            self, request: RolloutRequest, index: int, roll_out: Callable[[], Awaitable[Group]]
        ) -> Group | None:
            return None if index == 1 else await roll_out()

    class Fails(Answers):
        def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Generation]:
            raise GenerationError("too long")

    source = replace(SOURCE, task="place")
    groups = asyncio.run(
        collect_groups(request(source, range(3)), LeavesOut(World(), Answers()))  # type: ignore[arg-type]
    )
    assert [group.index for group in groups] == [0, 2]
    with pytest.raises(GenerationError):
        run_rollouts(request(source, range(3)), LocalStages(World(), Fails()))
