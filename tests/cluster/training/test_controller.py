"""The whole loop on real Ray, vLLM, DeepSpeed and PyBullet, against the reference loop."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import ray
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText

from cluster.evaluation.evaluate import evaluate_policy
from cluster.rollout.stages import read_records
from cluster.runtime.stopping import Stopped, StopRequest
from cluster.training.actors import RunActors
from cluster.training.controller import Controller
from cluster.training.phases import train
from cluster.training.rl_steps import RLSteps, check_staleness
from physrl.algorithms.advantage import advantages as group_advantages
from physrl.algorithms.batch import group_rewards, rollout_batch
from physrl.algorithms.credit import credit
from physrl.config.run import RunConfig
from physrl.data.rollouts import read_rollouts
from physrl.errors import GenerationError
from physrl.evaluation.measurements import Measurement, Measurements
from physrl.evaluation.run_cells import policy_subject
from physrl.groups import Group
from physrl.loop import ReferenceLoop
from physrl.metrics import read_metrics
from physrl.rollout import step_indices, training_request
from physrl.scene_source import scene_source
from physrl.storage.run_folder import has_trained, open_run
from physrl.training_records import TrainingExample
from physrl.types import Metrics
from tests.support.paths import TINY_BASE
from tests.support.reporters import SilentReporter
from tests.support.runs import make_config

PROMPTS, GROUP = 4, 4


class Interrupting(SilentReporter):
    """A reporter that stops the run after its first step."""

    def __init__(self, stop: StopRequest) -> None:
        super().__init__()
        self.stop = stop

    def step(self, step: int, metrics: Metrics) -> None:
        super().step(step, metrics)
        self.stop.requested = True


GRPO = {"type": "grpo", "steps": 2, "prompts_per_step": PROMPTS, "group_size": GROUP}


def short_run(
    folder: Path, name: str, table: Mapping[str, object] = GRPO, **algorithm: object
) -> RunConfig:
    return make_config(
        name=name,
        output=str(folder),
        model={"max_prompt_tokens": 320},
        algorithm={**table, "lr": 1e-3, "max_grad_norm": 1.0, **algorithm},
        reward={"distance": 0.5},
        evaluation={"scenes": 8},
        checkpoint={"every": 1},
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def actors(ray_cluster: None, folder: Path) -> Iterator[RunActors]:
    actors = RunActors(short_run(folder, "any"))
    actors.servers.wait()
    yield actors
    actors.stop()


def collect(actors: RunActors, config: RunConfig) -> list[Group]:
    source = scene_source(config, config.task, "train")
    request = training_request(config, 0, source, step_indices(config, 0))
    return actors.rollouts.submit(request).result()


def update(actors: RunActors, groups: list[Group], advantages: np.ndarray) -> Metrics:
    batch = rollout_batch(read_records(groups), advantages)
    return actors.learner.update(0, [ray.put(batch)])


@pytest.mark.slow
@pytest.mark.parametrize("updates", [1, 2])
def test_same_completions_give_the_reference_loops_rewards_advantages_and_loss(
    actors: RunActors, folder: Path, updates: int
) -> None:
    config = short_run(folder, "oracle", updates_per_rollout=updates)
    actors.learner.load(config, None)
    actors.weights.publish()
    groups = collect(actors, config)
    advantages = group_advantages(group_rewards(groups), "group", "group")
    updated = update(actors, groups, advantages)

    reference = ReferenceLoop(config)
    drawn = [group.read() for group in reference.collect(0)]
    records = read_records(groups)
    assert [record.scene for record in records] == [each.scene for each in drawn]
    for record, each in zip(records, drawn, strict=True):
        assert np.array_equal(record.prompt.image, each.prompt.image)
    expected = reference.learn(groups, 0)
    assert updated == pytest.approx(expected, rel=1e-3, abs=1e-5)
    assert updated["grad_norm"] > 0
    weights = ray.get(actors.learner.weights())
    for name, weight in reference.model.state_dict().items():
        torch.testing.assert_close(weights[name], weight, atol=1e-5, rtol=0)


def test_servers_sample_from_the_learners_weights_after_an_update(
    actors: RunActors, folder: Path
) -> None:
    config = short_run(folder, "synced")
    actors.learner.load(config, None)
    actors.weights.publish()
    groups = collect(actors, config)
    # Any advantages change the weights.
    advantages = np.tile([1.0, -1.0], (PROMPTS, GROUP // 2))
    update(actors, groups, advantages)
    actors.weights.publish()
    version = actors.weights.version
    for group in read_records(collect(actors, config)):
        examples = [
            TrainingExample(attempt.prompt, attempt.completion.token_ids)
            for attempt in group.attempts
        ]
        scored = actors.learner.logprobs(examples)
        for attempt, logprobs in zip(group.attempts, scored, strict=True):
            assert attempt.completion.policy_version == version
            assert attempt.completion.logprobs == pytest.approx(logprobs, abs=1e-3)


def test_later_attempts_see_what_happened_and_are_learned_from(
    actors: RunActors, folder: Path
) -> None:
    config = short_run(folder, "closed-loop").model_copy(update={"task": "place_closed_loop"})
    actors.learner.load(config, None)
    actors.weights.publish()
    groups = collect(actors, config)
    attempts = [attempt for record in read_records(groups) for attempt in record.attempts]
    assert all(len(rollout.attempts) == 3 for group in groups for rollout in group.rollouts)
    assert {len(attempt.prompt.images) for attempt in attempts} == {1, 2, 3}
    scored = actors.learner.logprobs(
        [TrainingExample(a.prompt, a.completion.token_ids) for a in attempts]
    )
    for attempt, logprobs in zip(attempts, scored, strict=True):
        assert attempt.completion.logprobs == pytest.approx(logprobs, abs=1e-3)
    advantages = np.tile([1.0, -1.0], (PROMPTS, GROUP // 2))
    metrics = update(actors, groups, advantages)
    assert metrics["grad_norm"] > 0


def test_a_run_leaves_checkpoints_metrics_and_rollouts_and_resumes(
    actors: RunActors, folder: Path
) -> None:
    config = short_run(folder, "resumed", steps=3)
    stop = StopRequest()
    stopped = Interrupting(stop)
    first = Controller(config, actors, stopped, stop).train()
    assert (first.step, stopped.steps) == (1, [1])

    reporter = SilentReporter()
    last = Controller(config, actors, reporter, StopRequest()).train()
    assert (last.step, reporter.steps) == (3, [2, 3])
    rows = read_metrics(config.folder)
    assert [row["step"] for row in rows] == [1, 2, 3]
    # The budget includes the steps before the resume.
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
    weights = ray.get(actors.learner.weights())
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, weights[name]), name


def test_a_stop_before_the_first_step_leaves_nothing(actors: RunActors, folder: Path) -> None:
    config, stop = short_run(folder, "unbegun"), StopRequest()
    stop.requested = True
    with pytest.raises(Stopped):
        Controller(config, actors, SilentReporter(), stop).train()
    assert not has_trained(config.folder)


def test_a_resumed_run_is_the_run(actors: RunActors, folder: Path) -> None:
    """A run that is stopped and resumed has the same weights."""
    whole = short_run(folder, "whole")
    Controller(whole, actors, SilentReporter(), StopRequest()).train()
    uninterrupted = ray.get(actors.learner.weights())

    parts = short_run(folder, "parts")
    stop = StopRequest()
    Controller(parts, actors, Interrupting(stop), stop).train()
    Controller(parts, actors, SilentReporter(), StopRequest()).train()
    resumed = ray.get(actors.learner.weights())
    for name, weight in uninterrupted.items():
        torch.testing.assert_close(resumed[name], weight, atol=1e-6, rtol=0)


def completed_steps(controller: Controller) -> dict[int, list[Group]]:
    steps = controller._steps
    assert isinstance(steps, RLSteps)
    return steps._queue.completed


def test_a_step_is_answered_while_the_one_before_is_written_down(
    actors: RunActors, folder: Path
) -> None:
    completed: list[list[int]] = []

    class Waiting(SilentReporter):
        def step(self, step: int, metrics: Metrics) -> None:
            deadline = time.monotonic() + 300
            while not completed_steps(controller) and time.monotonic() < deadline and step < 2:
                time.sleep(0.05)
            completed.append(list(completed_steps(controller)))

    config = short_run(folder, "overlapping")
    controller = Controller(config, actors, Waiting(), StopRequest())
    controller.train()
    assert completed == [[1], []]  # counted from 0
    assert [row["policy/staleness"] for row in read_metrics(config.folder)] == [0, 0]


def test_dynamic_sampling_replaces_groups_that_agree(actors: RunActors, folder: Path) -> None:
    table = {"type": "dapo", "steps": 1, "prompts_per_step": 8, "group_size": 2, "max_refills": 8}
    config = short_run(folder, "refilled", table)
    Controller(config, actors, SilentReporter(), StopRequest()).train()
    (row,) = read_metrics(config.folder)
    # Two random answers about a tower are equal every other time.
    assert row["dynamic_sampling/groups_drawn"] > 8
    assert row["dynamic_sampling/groups_replaced"] > 0
    assert read_rollouts(config.folder / "rollouts" / "step-00000001.parquet").num_rows == 16


def test_sft_learns_the_targets(actors: RunActors, folder: Path) -> None:
    config = short_run(folder, "sft", {"type": "sft", "steps": 6, "prompts_per_step": 16})
    config = config.model_copy(update={"task": "place"})
    Controller(config, actors, SilentReporter(), StopRequest()).train()
    losses = [row["loss"] for row in read_metrics(config.folder)]
    assert losses[-1] < 0.7 * losses[0]


def logged(config: RunConfig, column: str) -> np.ndarray:
    """Return a column of the first step's rollouts: groups x group_size."""
    table = read_rollouts(config.folder / "rollouts" / "step-00000001.parquet")
    return np.array(table[column].to_pylist()).reshape(PROMPTS, GROUP)


@pytest.mark.slow
def test_a_yoked_run_learns_from_the_rewards_of_other_scenes(
    actors: RunActors, folder: Path
) -> None:
    weights, learned = {}, {}
    for source in ("own", "yoked", "random"):
        config = short_run(folder, f"rewards-{source}", steps=1, reward_source=source)
        Controller(config, actors, SilentReporter(), StopRequest()).train()
        weights[source] = ray.get(actors.learner.weights())
        learned[source] = logged(config, "advantage")
        # The first completions are those of the base: the same for all, and so are their rewards.
        assert np.array_equal(
            logged(config, "reward"), logged(short_run(folder, "rewards-own"), "reward")
        )
        (row,) = read_metrics(config.folder)
        assert row["grad_norm"] > 0
    own, yoked = learned["own"].round(5), learned["yoked"].round(5)
    assert sorted(map(tuple, own)) == sorted(map(tuple, yoked))
    assert (own.std(axis=1) > 0).sum() > 1
    assert not np.array_equal(own, yoked)
    assert not np.array_equal(own, learned["random"].round(5))
    for control in ("yoked", "random"):
        assert any(not torch.equal(w, weights[control][n]) for n, w in weights["own"].items())


@pytest.mark.slow
def test_rejection_sampling_trains_on_the_successes_alone(actors: RunActors, folder: Path) -> None:
    config = short_run(folder, "rejection", {**GRPO, "type": "rejection"}, steps=1)
    Controller(config, actors, SilentReporter(), StopRequest()).train()
    (row,) = read_metrics(config.folder)
    successes = logged(config, "success")
    assert 0 < successes.sum() < PROMPTS * GROUP
    assert row["step/samples"] == successes.sum()
    assert np.array_equal(logged(config, "advantage"), successes)
    # It is SFT on the completions that succeeded, in the reference loop as well.
    actors.learner.load(config, None)
    actors.weights.publish()
    groups = collect(actors, config)
    updated = update(actors, groups, credit(groups, config, 0))
    reference = ReferenceLoop(config)
    reference.collect(0)
    assert updated == pytest.approx(reference.learn(groups, 0), rel=1e-3, abs=1e-5)
    assert updated["loss"] == pytest.approx(row["loss"], rel=1e-3)
    weights = ray.get(actors.learner.weights())
    for name, weight in reference.model.state_dict().items():
        torch.testing.assert_close(weights[name], weight, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_a_run_of_no_steps_is_its_warm_start(actors: RunActors, folder: Path) -> None:
    config = make_config(
        name="warm-alone",
        output=str(folder),
        model={"max_prompt_tokens": 320},
        warm_start={"steps": 2, "prompts_per_step": 8, "lr": 1e-3},
        algorithm={"type": "sft", "steps": 0},
    )
    open_run(config, resume=False)
    checkpoint, finished = train(
        config, actors, StopRequest(), lambda *_: nullcontext(SilentReporter())
    )
    assert finished
    assert checkpoint.step == 0
    warmed = folder / "warm-alone" / "warm" / "checkpoints" / "step-00000002"
    started = load_file(warmed / "model" / "model.safetensors")
    final = load_file(checkpoint.path / "model" / "model.safetensors")
    base = load_file(TINY_BASE / "model.safetensors")
    assert all(torch.equal(started[name], final[name]) for name in started)
    assert any(not torch.equal(base[name], final[name]) for name in final)


def test_stale_completions_are_refused(actors: RunActors, folder: Path) -> None:
    groups = collect(actors, short_run(folder, "stale"))
    published = {actors.weights.version: 5, actors.weights.version + 1: 6}
    assert check_staleness(groups, published, 5, 0) == 0
    assert check_staleness(groups, published, 7, 2) == 2
    for step in (4, 8):
        with pytest.raises(GenerationError, match=r"runtime\.max_staleness"):
            check_staleness(groups, published, step, 2)
    with pytest.raises(GenerationError, match=rf"\[{actors.weights.version}\]"):
        check_staleness(groups, {actors.weights.version + 1: 6}, 6, 2)


def test_evaluation_counts_every_scene(actors: RunActors, folder: Path) -> None:
    config = short_run(folder, "evaluated")
    store, subject = Measurements(folder / "evaluated"), policy_subject("policy", config.model)

    def evaluate() -> tuple[Measurement, ...]:
        return evaluate_policy(
            actors.rollouts, actors.servers, config, subject, (), StopRequest(), store
        )

    measured = evaluate()
    assert {each.cell for each in store.all()} == {each.cell for each in measured}
    assert evaluate() == measured  # found again, not computed again
    results = [each.result for each in measured]
    assert [(each.task, each.decoding, each.count.total) for each in results] == [
        ("place", "greedy", 8),
        ("place", "sampled", 8),
        ("stability", "greedy", 8),
        ("stability", "sampled", 8),
    ]
    scenes = {answer.scene_id for each in results for answer in each.answers}
    assert len(scenes) == 16
    assert all("/test/" in scene for scene in scenes)
