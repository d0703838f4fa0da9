"""Actors that die, hang, or are killed by a scene during a run; and runs that look ahead."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import ray
import torch

from cluster.rollout.answers import Answered, load_answered
from cluster.rollout.pipeline import Order
from cluster.rollout.worker import RolloutWorker
from cluster.runtime.stopping import StopRequest
from cluster.training.actors import Cluster
from cluster.training.controller import Controller
from physrl.config.load import validate
from physrl.config.run import RunConfig
from physrl.data.rollouts import read_rollouts
from physrl.metrics import read_metrics
from physrl.rollout import training_sampling
from physrl.scene_source import scene_source
from physrl.types import Metrics, SceneSpec
from tests.support.paths import TINY_BASE

STEPS, PROMPTS = 4, 4

# A server's successor takes half a minute on a busy machine.
pytestmark = pytest.mark.timeout(900)


def faulty(orders: Path) -> type[RolloutWorker]:
    """A worker that carries out `orders/<what>-<scene>` when it comes to that scene."""

    class Faulty(RolloutWorker):
        def roll_out(self, source: Any, scenes: Sequence[SceneSpec], *others: Any) -> Any:
            for scene in scenes:
                once = orders / f"die-once-{scene.index}"
                if once.exists():
                    once.unlink()
                    os.kill(os.getpid(), signal.SIGKILL)
                if (orders / f"die-{scene.index}").exists():
                    os.kill(os.getpid(), signal.SIGKILL)
                if (orders / f"hang-{scene.index}").exists():
                    time.sleep(600)
            return super().roll_out(source, scenes, *others)

    return Faulty


def make_config(folder: Path, name: str, *, seed: int = 0, **runtime: Any) -> RunConfig:
    return validate(
        {
            "name": name,
            "seed": seed,
            "output": str(folder),
            "task": "stability",
            "model": {"path": str(TINY_BASE), "max_prompt_tokens": 96},
            "algorithm": {
                "steps": STEPS,
                "prompts_per_step": PROMPTS,
                "group_size": 4,
                "lr": 1e-3,
                "max_grad_norm": 1.0,
            },
            "checkpoint": {"every": 2},
            "runtime": {
                "kv_cache_mb": 64,
                "max_num_seqs": 64,
                "prompts_per_call": 2,
                "worker_timeout_s": 20,
            }
            | runtime,
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def cluster(ray_cluster: None, folder: Path) -> Iterator[Cluster]:
    cluster = Cluster(make_config(folder, "any"), worker=faulty(folder))
    cluster.wait_for_servers()
    yield cluster
    cluster.stop()


class Reporter:
    """Does something when a step is done."""

    def __init__(self, after: dict[int, Callable[[], None]]) -> None:
        self.after = after

    def phase(self, name: str) -> None: ...

    def step(self, step: int, metrics: Metrics) -> None:
        self.after.get(step, lambda: None)()


def train(
    cluster: Cluster, config: RunConfig, after: dict[int, Callable[[], None]] | None = None
) -> tuple[list[Metrics], dict[str, torch.Tensor]]:
    Controller(config, cluster, Reporter(after or {}), StopRequest()).train()
    return read_metrics(config.folder), ray.get(cluster.learners.weights())


def kill(actor: ray.actor.ActorHandle) -> None:
    pid = ray.get(actor.__ray_call__.remote(lambda self: os.getpid()))
    os.kill(pid, signal.SIGKILL)


def trained_scenes(config: RunConfig, steps: range) -> list[int]:
    """The scenes of these steps' rollouts, each as often as it was trained on."""
    found = []
    for step in steps:
        table = read_rollouts(config.folder / "rollouts" / f"step-{step + 1:08d}.parquet")
        ids = table.column("scene_id").to_pylist()
        found += [int(each.rpartition("/")[2]) for each in ids[::4]]
    return found


def test_killed_actors_of_every_kind_change_nothing(cluster: Cluster, folder: Path) -> None:
    _, undisturbed = train(cluster, make_config(folder, "undisturbed"))
    config = make_config(folder, "killed")
    (folder / "die-once-5").touch()
    rows, weights = train(
        cluster,
        config,
        {
            # Step 3 is learned again from its batch, and not from new completions.
            3: lambda: kill(cluster.learners.group.ranks[0]),
            1: lambda: kill(cluster.servers.pool.handles[0]),
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


def test_a_scene_that_kills_every_worker_is_left_out(cluster: Cluster, folder: Path) -> None:
    config = make_config(folder, "poisoned", seed=1)  # what is left out stays so in a cluster
    (folder / "die-2").touch()
    try:
        rows, _ = train(cluster, config)
    finally:
        (folder / "die-2").unlink()
    left_out = "stability/train/iid/1/2"
    assert "roll_out was given up after 3" in cluster.rollouts.quarantine.scenes[left_out]
    assert [row["faults/quarantined_scenes"] for row in rows] == [1, 0, 0, 0]
    others = [scene for scene in range(STEPS * PROMPTS) if scene != 2]
    assert trained_scenes(config, range(STEPS)) == others


def test_a_worker_that_hangs_is_replaced(ray_cluster: None, folder: Path) -> None:
    config = make_config(folder, "hanging", worker_timeout_s=4, rollout_workers=1)
    orders = folder / "hanging-orders"
    orders.mkdir()
    (orders / "hang-1").touch()
    cluster = Cluster(config, worker=faulty(orders))
    try:
        order = Order(
            scene_source(config, "stability", "train"),
            range(2),
            training_sampling(config, 0),
            config.reward,
        )
        rolling = cluster.rollouts.submit(order)
        while not cluster.rollouts.pool.statistics.restarts:
            assert not rolling.done()
            time.sleep(0.1)
        (orders / "hang-1").unlink()
        assert [index for index, _ in rolling.result()] == [0, 1]
        assert not cluster.rollouts.quarantine.scenes
    finally:
        cluster.stop()


def test_looking_ahead_stays_within_its_bound_and_survives_a_stop(
    cluster: Cluster, folder: Path
) -> None:
    config = make_config(folder, "ahead", mode="async", max_staleness=2)
    stop = StopRequest()

    def wait_and_stop() -> None:
        while len(controller._queue.waiting) < 2:
            time.sleep(0.1)
        stop.requested = True

    controller = Controller(config, cluster, Reporter({1: wait_and_stop}), stop)
    checkpoint = controller.train()
    assert checkpoint.step == 1
    waiting = load_answered(checkpoint.path)
    assert waiting.keys() == {1, 2}
    version = checkpoint.state["policy_version"]

    (folder / "die-once-5").touch()
    rows, _ = train(cluster, config)
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    # What waited was learned from as it was, also where a worker died of it: completions of the
    # policy before the stop.
    assert not (folder / "die-once-5").exists()
    for step in (1, 2):
        path = config.folder / "rollouts" / f"step-{step + 1:08d}.parquet"
        table = read_rollouts(path)
        assert max(table.column("policy_version").to_pylist()) <= version
        assert table.column("token_ids").to_pylist() == tokens(waiting[step])
    assert rows[2]["policy/staleness"] >= 1
    assert trained_scenes(config, range(STEPS)) == list(range(STEPS * PROMPTS))


def tokens(answered: Answered) -> list[list[int]]:
    groups = [attempts[0][0] for attempts in answered.values()]
    return [list(c.token_ids) for group in groups for c in group.completions]
