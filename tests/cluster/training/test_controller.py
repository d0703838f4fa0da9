"""The whole loop on real Ray, vLLM, DeepSpeed and PyBullet, against the reference loop."""

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import ray
import torch
from transformers import AutoModelForImageTextToText

from cluster.evaluation.policy import evaluate_policy
from cluster.rollout.pipeline import Order
from cluster.runtime.stopping import StopRequest
from cluster.training.actors import Cluster
from cluster.training.controller import Controller, check_staleness
from physrl.algorithms.advantage import advantages as group_advantages
from physrl.algorithms.batch import group_rewards, rollout_batch
from physrl.config.load import validate
from physrl.config.run import RunConfig
from physrl.data.rollouts import read_rollouts
from physrl.errors import GenerationError
from physrl.loop import ReferenceLoop
from physrl.metrics import read_metrics
from physrl.rollout import step_indices, training_sampling
from physrl.scene_source import scene_source
from physrl.types import Metrics, RolloutGroup, TrainingExample
from tests.support.paths import TINY_BASE

PROMPTS, GROUP = 4, 4


class Silent:
    """A reporter that only remembers."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def phase(self, name: str) -> None:
        pass

    def step(self, step: int, metrics: Metrics) -> None:
        self.steps.append(step)


class Interrupting(Silent):
    """A person who stops a run when they see its first step."""

    def __init__(self, stop: StopRequest) -> None:
        super().__init__()
        self.stop = stop

    def step(self, step: int, metrics: Metrics) -> None:
        super().step(step, metrics)
        self.stop.requested = True


GRPO = {"type": "grpo", "steps": 2, "prompts_per_step": PROMPTS, "group_size": GROUP}


def make_config(
    folder: Path, name: str, table: Mapping[str, object] = GRPO, **algorithm: object
) -> RunConfig:
    return validate(
        {
            "name": name,
            "output": str(folder),
            "task": "stability",  # the base answers it at chance, so that groups disagree
            "model": {"path": str(TINY_BASE), "max_prompt_tokens": 320},
            "algorithm": {**table, "lr": 1e-3, "max_grad_norm": 1.0, **algorithm},
            "reward": {"distance": 0.5},
            "evaluation": {"scenes": 8},
            "checkpoint": {"every": 1},
            "runtime": {"kv_cache_mb": 64, "max_num_seqs": 64},
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def cluster(ray_cluster: None, folder: Path) -> Iterator[Cluster]:
    cluster = Cluster(make_config(folder, "any"))
    cluster.wait_for_servers()
    yield cluster
    cluster.stop()


def collect(cluster: Cluster, config: RunConfig) -> list[RolloutGroup]:
    source = scene_source(config, config.task, "train")
    order = Order(source, step_indices(config, 0), training_sampling(config, 0), config.reward)
    return [group for _, group in cluster.rollouts.submit(order).result()]


@pytest.mark.parametrize("updates", [1, 2])
def test_same_completions_give_the_reference_loops_rewards_advantages_and_loss(
    cluster: Cluster, folder: Path, updates: int
) -> None:
    config = make_config(folder, "oracle", updates_per_rollout=updates)
    cluster.learners.load(config, None)
    cluster.publish()
    groups = collect(cluster, config)
    advantages = group_advantages(group_rewards(groups), "group", "group")
    updated = cluster.learners.update(rollout_batch(groups, advantages), 0)

    reference = ReferenceLoop(config)
    scenes, prompts = reference.prepare(0)
    assert [group.scene for group in groups] == scenes
    assert all(
        np.array_equal(g.prompt.image, p.image) for g, p in zip(groups, prompts, strict=True)
    )
    expected = reference.learn(groups, 0)
    assert updated == pytest.approx(expected, rel=1e-3, abs=1e-5)
    assert updated["grad_norm"] > 0
    weights = ray.get(cluster.learners.weights())
    for name, weight in reference.model.state_dict().items():
        torch.testing.assert_close(weights[name], weight, atol=1e-5, rtol=0)


def test_servers_sample_from_the_learners_weights_after_an_update(
    cluster: Cluster, folder: Path
) -> None:
    config = make_config(folder, "synced")
    cluster.learners.load(config, None)
    cluster.publish()
    groups = collect(cluster, config)
    # Any advantages will do to change the weights.
    advantages = np.tile([1.0, -1.0], (PROMPTS, GROUP // 2))
    cluster.learners.update(rollout_batch(groups, advantages), 0)
    cluster.publish()
    version = cluster.policy_version
    for group in collect(cluster, config):
        examples = [
            TrainingExample(attempt.prompt, attempt.completion.token_ids)
            for attempt in group.attempts
        ]
        scored = cluster.learners.logprobs(examples)
        for attempt, logprobs in zip(group.attempts, scored, strict=True):
            assert attempt.completion.policy_version == version
            assert attempt.completion.logprobs == pytest.approx(logprobs, abs=1e-3)


def test_later_attempts_see_what_happened_and_are_learned_from(
    cluster: Cluster, folder: Path
) -> None:
    config = make_config(folder, "closed-loop").model_copy(update={"task": "place_closed_loop"})
    cluster.learners.load(config, None)
    cluster.publish()
    groups = collect(cluster, config)
    attempts = [attempt for group in groups for attempt in group.attempts]
    assert all(len(rollout.attempts) == 3 for group in groups for rollout in group.rollouts)
    assert {len(attempt.prompt.images) for attempt in attempts} == {1, 2, 3}
    scored = cluster.learners.logprobs(
        [TrainingExample(a.prompt, a.completion.token_ids) for a in attempts]
    )
    for attempt, logprobs in zip(attempts, scored, strict=True):
        assert attempt.completion.logprobs == pytest.approx(logprobs, abs=1e-3)
    advantages = np.tile([1.0, -1.0], (PROMPTS, GROUP // 2))
    metrics = cluster.learners.update(rollout_batch(groups, advantages), 0)
    assert metrics["grad_norm"] > 0


def test_a_run_leaves_checkpoints_metrics_and_rollouts_and_resumes(
    cluster: Cluster, folder: Path
) -> None:
    config = make_config(folder, "resumed", steps=3)
    stop = StopRequest()
    stopped = Interrupting(stop)
    first = Controller(config, cluster, stopped, stop).train()
    assert (first.step, stopped.steps) == (1, [1])

    reporter = Silent()
    last = Controller(config, cluster, reporter, StopRequest()).train()
    assert (last.step, reporter.steps) == (3, [2, 3])
    rows = read_metrics(config.folder)
    assert [row["step"] for row in rows] == [1, 2, 3]
    # What was spent counts on over a resumption.
    assert [row["budget/scenes"] for row in rows] == [PROMPTS, 2 * PROMPTS, 3 * PROMPTS]
    assert rows[2]["budget/samples"] == 3 * PROMPTS * GROUP
    assert rows[2]["budget/updates"] == 3
    assert rows[2]["budget/tokens"] > rows[1]["budget/tokens"] > 0
    assert sorted(path.name for path in (config.folder / "checkpoints").glob("step-*")) == [
        "step-00000002",
        "step-00000003",
    ]
    manifest = json.loads((last.path / "MANIFEST.json").read_text())
    assert any("model.safetensors" in name for name in json.dumps(manifest).split('"'))
    table = read_rollouts(config.folder / "rollouts" / "step-00000003.parquet")
    assert table.num_rows == PROMPTS * GROUP

    # It loads with plain transformers, and is what the learner holds.
    model = AutoModelForImageTextToText.from_pretrained(last.path / "model")
    weights = ray.get(cluster.learners.weights())
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, weights[name]), name


def test_a_resumed_run_is_the_run(cluster: Cluster, folder: Path) -> None:
    """Stopped after one step and resumed: the same scenes, completions and weights."""
    whole = make_config(folder, "whole")
    Controller(whole, cluster, Silent(), StopRequest()).train()
    uninterrupted = ray.get(cluster.learners.weights())

    parts = make_config(folder, "parts")
    stop = StopRequest()
    Controller(parts, cluster, Interrupting(stop), stop).train()
    Controller(parts, cluster, Silent(), StopRequest()).train()
    resumed = ray.get(cluster.learners.weights())
    for name, weight in uninterrupted.items():
        torch.testing.assert_close(resumed[name], weight, atol=1e-6, rtol=0)


def test_a_step_is_answered_while_the_one_before_is_written_down(
    cluster: Cluster, folder: Path
) -> None:
    answered: list[list[int]] = []

    class Waiting(Silent):
        def step(self, step: int, metrics: Metrics) -> None:
            deadline = time.monotonic() + 30
            while not controller._queue.waiting and time.monotonic() < deadline and step < 2:
                time.sleep(0.05)
            answered.append(list(controller._queue.waiting))

    config = make_config(folder, "overlapping")
    controller = Controller(config, cluster, Waiting(), StopRequest())
    controller.train()
    assert answered == [[1], []]  # counted from 0
    assert [row["policy/staleness"] for row in read_metrics(config.folder)] == [0, 0]


def test_dynamic_sampling_replaces_groups_that_agree(cluster: Cluster, folder: Path) -> None:
    table = {"type": "dapo", "steps": 1, "prompts_per_step": 8, "group_size": 2, "max_refills": 2}
    config = make_config(folder, "refilled", table)
    Controller(config, cluster, Silent(), StopRequest()).train()
    (row,) = read_metrics(config.folder)
    # Two guesses at a tower agree every other time.
    assert row["dynamic_sampling/groups_drawn"] > 8
    assert row["dynamic_sampling/groups_replaced"] > 0
    assert read_rollouts(config.folder / "rollouts" / "step-00000001.parquet").num_rows == 16


def test_sft_learns_the_targets(cluster: Cluster, folder: Path) -> None:
    config = make_config(folder, "sft", {"type": "sft", "steps": 6, "prompts_per_step": 16})
    config = config.model_copy(update={"task": "place"})
    Controller(config, cluster, Silent(), StopRequest()).train()
    losses = [row["loss"] for row in read_metrics(config.folder)]
    assert losses[-1] < 0.7 * losses[0]


def test_stale_completions_are_refused(cluster: Cluster, folder: Path) -> None:
    groups = collect(cluster, make_config(folder, "stale"))
    published = {cluster.policy_version: 5, cluster.policy_version + 1: 6}
    assert check_staleness(groups, published, 5, 0) == 0
    assert check_staleness(groups, published, 7, 2) == 2
    for step in (4, 8):
        with pytest.raises(GenerationError, match="steps old cannot train"):
            check_staleness(groups, published, step, 2)
    with pytest.raises(GenerationError, match="not published"):
        check_staleness(groups, {cluster.policy_version + 1: 6}, 6, 2)


def test_evaluation_counts_every_scene(cluster: Cluster, folder: Path) -> None:
    config = make_config(folder, "evaluated")
    result = evaluate_policy(cluster, config, "policy", (), StopRequest())
    assert [(each.task, each.decoding, each.count.total) for each in result.results] == [
        ("place", "greedy", 8),
        ("place", "sampled", 8),
        ("stability", "greedy", 8),
        ("stability", "sampled", 8),
    ]
    scenes = {answer.scene_id for each in result.results for answer in each.answers}
    assert len(scenes) == 16
    assert all("/test/" in scene for scene in scenes)
