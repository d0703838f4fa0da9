"""The reference loop and its generator, on the tiny base."""

from dataclasses import replace
from pathlib import Path

import torch

from physrl.config.dataset import DatasetPlan
from physrl.config.load import validate
from physrl.data.dataset_writer import DatasetWriter
from physrl.environments.renderer import TinyRenderer
from physrl.loop import ReferenceLoop
from physrl.protocols import Sampling
from physrl.scene_source import SceneSource, prepare
from physrl.training_records import TrainingExample
from physrl.types import Attempt
from tests.support.paths import TINY_BASE


def make_loop(
    algorithm: dict[str, object], data: str | None = None, task: str = "stability"
) -> ReferenceLoop:
    table = {"prompts_per_step": 4, "lr": 1e-3, "max_grad_norm": 1.0} | algorithm
    config = {"model": {"path": str(TINY_BASE)}, "task": task, "algorithm": table}
    return ReferenceLoop(validate(config | {"data": data}))


def score(loop: ReferenceLoop, attempt: Attempt) -> float:
    """Return the log-probability of an attempt's completion under the loop's policy."""
    example = TrainingExample(attempt.prompt, attempt.completion.token_ids)
    return sum(loop._learner.score([example])[0])


def test_generated_logprobs_are_scored_under_the_policy() -> None:
    loop = make_loop({"group_size": 4})
    prompts = [group.read().prompt for group in loop.collect(0)]
    sampled = loop.generator.generate(prompts, Sampling(4, 1.0, 24, seed=1))
    assert [len(generation.completions) for generation in sampled] == [4] * 4
    for generation in sampled:
        for completion in generation.completions:
            assert len(completion.logprobs) == len(completion.token_ids)
            assert all(value <= 0 for value in completion.logprobs)
    again = loop.generator.generate(prompts, Sampling(4, 1.0, 24, seed=1))
    assert again == sampled
    # A prompt's completions do not depend on what else is asked.
    alone = loop.generator.generate(prompts[2:3], Sampling(4, 1.0, 24, seed=1))
    assert alone == sampled[2:3]
    assert loop.generator.generate(prompts, Sampling(4, 1.0, 24, seed=2)) != sampled


def test_greedy_answers_are_never_less_likely_than_sampled_first_tokens() -> None:
    loop = make_loop({"group_size": 4})
    prompts = [group.read().prompt for group in loop.collect(0)]
    greedy = loop.generator.generate(prompts, Sampling(1, 0.0, 24, seed=0))
    sampled = loop.generator.generate(prompts, Sampling(4, 1.0, 24, seed=0))
    for best, group in zip(greedy, sampled, strict=True):
        first = best.completions[0].logprobs[0]
        assert all(first >= other.logprobs[0] - 1e-5 for other in group.completions)


def test_min_p_excludes_unlikely_tokens() -> None:
    loop = make_loop({"group_size": 4})
    prompts = [group.read().prompt for group in loop.collect(0)]
    (greedy,) = loop.generator.generate(prompts[:1], Sampling(1, 0.0, 24, seed=0))
    (sampled,) = loop.generator.generate(prompts[:1], Sampling(4, 1.0, 24, seed=0, min_p=1.0))
    ids = {each.token_ids for each in sampled.completions}
    assert ids == {greedy.completions[0].token_ids}


def test_truncated_completions_are_marked() -> None:
    loop = make_loop({"group_size": 2})
    prompts = [group.read().prompt for group in loop.collect(0)]
    (generation,) = loop.generator.generate(prompts[:1], Sampling(1, 0.0, 2, seed=0))
    assert generation.completions[0].truncated
    assert len(generation.completions[0].token_ids) == 2


def test_an_rl_step_increases_the_policy_version() -> None:
    loop = make_loop({"group_size": 4, "steps": 2})
    metrics = loop.step(0)
    assert 0 < metrics["task/stability/accuracy"] < 1
    assert metrics["grad_norm"] > 0
    assert loop.generator.policy_version == 1


def test_sft_decreases_the_loss() -> None:
    loop = make_loop({"type": "sft", "steps": 8, "prompts_per_step": 16}, task="place")
    losses = [loop.step(step)["loss"] for step in range(8)]
    assert losses[-1] < losses[0]


def test_rejection_sampling_makes_successes_likelier() -> None:
    loop = make_loop({"type": "rejection", "group_size": 4})
    groups = loop.collect(0)
    attempts = [a for group in groups for a in group.read().attempts if a.outcome.success]
    assert 0 < len(attempts) < 16
    before = [score(loop, attempt) for attempt in attempts]
    metrics = loop.learn(groups, 0)
    assert metrics["step/samples"] == len(attempts)
    assert sum(score(loop, attempt) for attempt in attempts) > sum(before)


def test_a_step_without_a_success_teaches_nothing() -> None:
    loop = make_loop({"type": "rejection", "group_size": 2, "weight_decay": 0.0})
    groups = [
        replace(g, rollouts=tuple(replace(r, success=False) for r in g.rollouts))
        for g in loop.collect(0)
    ]
    before = {name: weight.clone() for name, weight in loop.model.state_dict().items()}
    metrics = loop.learn(groups, 0)
    assert (metrics["loss"], metrics["grad_norm"]) == (0, 0)
    assert all(torch.equal(before[name], w) for name, w in loop.model.state_dict().items())


def test_yoked_rewards_change_the_update_but_not_what_is_reported() -> None:
    rows = {
        source: make_loop({"group_size": 4, "reward_source": source}).step(0)
        for source in ("own", "yoked", "random")
    }
    for name in ("reward", "reward_std", "task/stability/accuracy", "rewards/success/mean"):
        assert len({row[name] for row in rows.values()}) == 1
    assert len({row["grad_norm"] for row in rows.values()}) == 3


def test_dynamic_sampling_draws_other_scenes_for_groups_that_agree() -> None:
    loop = make_loop({"type": "dapo", "group_size": 2, "max_refills": 2})
    metrics = loop.step(0)
    plain = make_loop({"type": "dapo", "group_size": 2, "max_refills": 0}).step(0)
    # Of two answers to a question at chance, half agree.
    assert plain["frac_reward_zero_std"] > 0
    assert metrics["dynamic_sampling/groups_replaced"] > 0
    # What is said of the policy is of the first draw, which is the same.
    assert metrics["frac_reward_zero_std"] == plain["frac_reward_zero_std"]
    assert metrics["dynamic_sampling/groups_replaced"] > 0
    assert metrics["dynamic_sampling/groups_drawn"] > 4
    assert metrics["step/scenes"] == 4
    assert metrics["step/samples"] == 8


def test_a_dataset_of_the_same_scenes_trains_the_same(
    tmp_path: Path, renderer: TinyRenderer
) -> None:
    plan = DatasetPlan(task="stability", scenes=8, scenes_per_shard=3)
    source = SceneSource("stability", plan.environment, 0, "train", reasoning=False)
    writer = DatasetWriter(plan, str(tmp_path))
    writer.commit(
        [
            writer.write(number, *prepare(source, plan.indices(number), renderer))
            for number in range(plan.shards)
        ]
    )
    for algorithm in ({"type": "sft", "steps": 2}, {"group_size": 2, "steps": 2}):
        drawn, read = (make_loop(algorithm, data) for data in (None, str(tmp_path)))
        assert read.step(1) == drawn.step(1)
