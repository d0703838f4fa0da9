"""Whole path: actors that die or hang during a run, and async runs that are stopped."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
import torch
from ray.exceptions import ObjectLostError

from cluster.rollout.queued_steps import QueuedStep, load_queued_steps
from cluster.rollout.stages import RemoteRecord
from cluster.rollout.worker import RolloutWorker
from cluster.runtime.batching import Layout, unpack
from cluster.runtime.stopping import StopRequest
from cluster.training.actors import RunActors
from cluster.training.controller import Controller
from cluster.training.rl_steps import RLSteps
from physrl.config.run import RunConfig
from physrl.data.rollouts import read_rollouts
from physrl.groups import Group
from physrl.metrics import read_metrics
from physrl.rollout import training_request
from physrl.scene_source import scene_source
from physrl.types import Metrics
from tests.support.runs import make_config

STEPS, PROMPTS = 4, 4


def faulty(orders: Path) -> type[RolloutWorker]:
    """Make a worker class that dies or hangs at scene i if `orders/die-<i>` or such exists."""

    class Faulty(RolloutWorker):
        def act(self, request: Any, layout: Layout, *objects: Any) -> Any:
            for _, (state, *_) in unpack(layout, objects):
                scene = state.record.scene
                once = orders / f"die-once-{scene.index}"
                if once.exists():
                    once.unlink()
                    os.kill(os.getpid(), signal.SIGKILL)
                if (orders / f"die-{scene.index}").exists():
                    os.kill(os.getpid(), signal.SIGKILL)
                if (orders / f"hang-{scene.index}").exists():
                    time.sleep(600)
            return super().act(request, layout, *objects)

    return Faulty


def faulty_config(folder: Path, name: str, *, seed: int = 0, **runtime: Any) -> RunConfig:
    return make_config(
        name=name,
        seed=seed,
        output=str(folder),
        algorithm={"steps": STEPS, "prompts_per_step": PROMPTS, "group_size": 4},
        checkpoint={"every": 2},
        runtime={"worker_timeout_s": 20} | runtime,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def actors(ray_cluster: None, folder: Path) -> Iterator[RunActors]:
    actors = RunActors(faulty_config(folder, "any"), worker=faulty(folder))
    actors.servers.wait()
    yield actors
    actors.stop()


@pytest.fixture(scope="module")
def undisturbed(actors: RunActors, folder: Path) -> dict[str, torch.Tensor]:
    """The weights of a run without faults."""
    return train(actors, faulty_config(folder, "undisturbed"))[1]


class Reporter:
    """A reporter that calls a function after a step."""

    def __init__(self, after: dict[int, Callable[[], None]]) -> None:
        self.after = after

    def phase(self, name: str) -> None: ...

    def step(self, step: int, metrics: Metrics) -> None:
        self.after.get(step, lambda: None)()


def train(
    actors: RunActors, config: RunConfig, after: dict[int, Callable[[], None]] | None = None
) -> tuple[list[Metrics], dict[str, torch.Tensor]]:
    Controller(config, actors, Reporter(after or {}), StopRequest()).train()
    return read_metrics(config.folder), ray.get(actors.learner.weights())


def kill(actor: ray.actor.ActorHandle) -> None:
    pid = ray.get(actor.__ray_call__.remote(lambda self: os.getpid()))
    os.kill(pid, signal.SIGKILL)


class Owner:
    """An actor that owns an object, which is lost with it."""

    def put(self) -> list[ray.ObjectRef]:
        return [ray.put(np.zeros(1 << 20))]


def lost_object() -> ray.ObjectRef:
    """Return a reference to an object that was lost."""
    owner = ray.remote(Owner).options(num_cpus=0).remote()
    (reference,) = ray.get(owner.put.remote())
    ray.kill(owner)
    while True:
        try:
            ray.get(reference)
        except ObjectLostError:
            return reference


def trained_scenes(config: RunConfig, steps: range) -> list[int]:
    """List the scenes of these steps' rollouts, once for each group."""
    found = []
    for step in steps:
        table = read_rollouts(config.folder / "rollouts" / f"step-{step + 1:08d}.parquet")
        ids = table.column("scene_id").to_pylist()
        found += [int(each.rpartition("/")[2]) for each in ids[::4]]
    return found


def test_killed_actors_of_every_kind_change_nothing(
    actors: RunActors, folder: Path, undisturbed: dict[str, torch.Tensor]
) -> None:
    config = faulty_config(folder, "killed")
    (folder / "die-once-5").touch()
    rows, weights = train(
        actors,
        config,
        {
            # Step 3 is replayed from its batch, without new completions.
            3: lambda: kill(actors.learner.start().handles[0]),
            1: lambda: kill(actors.servers.pool.handles[0]),
        },
    )
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert rows[1]["faults/rollout_workers_restarts"] == 1
    assert rows[1]["faults/inference_servers_restarts"] == 1
    assert rows[3]["faults/learner_restarts"] == 1
    assert rows[3]["faults/learner_recovery_s"] > 0
    assert trained_scenes(config, range(STEPS)) == list(range(STEPS * PROMPTS))
    for name, weight in undisturbed.items():
        assert torch.equal(weights[name], weight), name


def test_groups_that_are_lost_before_an_update_are_rolled_out_again(
    actors: RunActors,
    folder: Path,
    undisturbed: dict[str, torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config, update = faulty_config(folder, "lost"), RLSteps._update

    def lose(steps: RLSteps, groups: Sequence[Group], step: int, profile: Path | None) -> Any:
        first, second, *others = groups
        if step == 1:
            second = replace(second, read=RemoteRecord(lost_object()))
        return update(steps, [first, second, *others], step, profile)

    monkeypatch.setattr(RLSteps, "_update", lose)
    rows, weights = train(actors, config)
    assert [row["step/scenes"] for row in rows] == [PROMPTS] * STEPS
    assert trained_scenes(config, range(STEPS)) == list(range(STEPS * PROMPTS))
    for name, weight in undisturbed.items():
        # Fewer prompts share a call the second time, which changes the last bits.
        torch.testing.assert_close(weights[name], weight, atol=1e-5, rtol=0)


def test_a_scene_that_kills_every_worker_is_excluded(actors: RunActors, folder: Path) -> None:
    config = faulty_config(folder, "poisoned", seed=1)  # scenes of seed 0 must not be quarantined
    (folder / "die-2").touch()
    try:
        rows, _ = train(actors, config)
    finally:
        (folder / "die-2").unlink()
    excluded = "stability/train/iid/1/2"
    assert "act" in actors.rollouts.quarantine.scenes[excluded]
    assert [row["faults/quarantined_scenes"] for row in rows] == [1, 0, 0, 0]
    others = [scene for scene in range(STEPS * PROMPTS) if scene != 2]
    assert trained_scenes(config, range(STEPS)) == others


def test_a_worker_that_hangs_is_replaced(ray_cluster: None, folder: Path) -> None:
    config = faulty_config(folder, "hanging", worker_timeout_s=4, rollout_workers=1)
    orders = folder / "hanging-orders"
    orders.mkdir()
    (orders / "hang-1").touch()
    actors = RunActors(config, worker=faulty(orders))
    try:
        source = scene_source(config, "stability", "train")
        rolling = actors.rollouts.submit(training_request(config, 0, source, range(2)))
        while not actors.rollouts.pool.statistics.restarts:
            assert not rolling.done()
            time.sleep(0.1)
        (orders / "hang-1").unlink()
        assert [group.index for group in rolling.result()] == [0, 1]
        assert not actors.rollouts.quarantine.scenes
    finally:
        actors.stop()


def test_async_staleness_is_bounded_and_queued_steps_survive_a_stop(
    actors: RunActors, folder: Path
) -> None:
    config = faulty_config(folder, "ahead", mode="async", max_staleness=2)
    stop = StopRequest()

    def wait_and_stop() -> None:
        while len(completed_steps(controller)) < 2:
            time.sleep(0.1)
        stop.requested = True

    controller = Controller(config, actors, Reporter({1: wait_and_stop}), stop)
    checkpoint = controller.train()
    assert checkpoint.step == 1
    queued = load_queued_steps(checkpoint.path)
    # Step 3 may be completed while the checkpoint is being written.
    assert {1, 2} <= queued.keys() <= {1, 2, 3}
    version = checkpoint.state["policy_version"]

    (folder / "die-once-5").touch()
    rows, _ = train(actors, config)
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    # Queued steps keep their completions of the policy before the stop, even if a worker died.
    assert not (folder / "die-once-5").exists()
    for step in (1, 2):
        path = config.folder / "rollouts" / f"step-{step + 1:08d}.parquet"
        table = read_rollouts(path)
        assert max(table.column("policy_version").to_pylist()) <= version
        assert table.column("token_ids").to_pylist() == tokens(queued[step])
    assert rows[2]["policy/staleness"] >= 1
    assert trained_scenes(config, range(STEPS)) == list(range(STEPS * PROMPTS))


def completed_steps(controller: Controller) -> dict[int, Any]:
    steps = controller._steps
    assert isinstance(steps, RLSteps)
    return steps._queue.completed


def tokens(queued: QueuedStep) -> list[list[int]]:
    groups = queued.generations.values()
    return [list(c.token_ids) for group in groups for c in group.completions]
