"""SFT under Ray Train, against the controller's learner."""

from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import ray

from cluster.learner_group import LearnerGroup
from cluster.placement import Placement
from cluster.sft import check_shared, train_sft
from cluster.stopping import StopRequest
from physrl.config.load import validate
from physrl.config.run import RunConfig, RuntimeConfig
from physrl.demonstrations import demonstrate
from physrl.environments.renderer import make_renderer
from physrl.environments.simulator import Simulator
from physrl.errors import ConfigError
from physrl.metrics import read_metrics
from physrl.rollout import step_indices
from physrl.scene_source import scene_source
from physrl.storage.checkpoints import Checkpoints
from physrl.storage.run_folder import open_run
from physrl.types import Metrics

TINY_BASE = Path(__file__).parents[2] / "assets" / "tiny-base"
STEPS = 10
WEIGHTS = "model.safetensors"


class Acting:
    """A person who does something once they see a step."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act, self.steps = act, list[int]()

    def phase(self, name: str) -> None:
        pass

    def step(self, step: int, metrics: Metrics) -> None:
        if not self.steps:
            self.act()
        self.steps.append(step)


def make_config(folder: Path, ranks: int, steps: int = STEPS) -> RunConfig:
    return validate(
        {
            "name": f"sft-{ranks}",
            "output": str(folder),
            "task": "place",
            "mixture": ["place", "stability"],
            "model": {"path": str(TINY_BASE), "max_prompt_tokens": 96, "max_completion_tokens": 24},
            "algorithm": {"type": "sft", "steps": steps, "prompts_per_step": 6, "lr": 1e-3},
            "checkpoint": {"every": 3},
            "runtime": {"learner_ranks": ranks},
        }
    )


def kill_a_rank() -> None:
    ours = psutil.Process().children(recursive=True)  # by way of the raylet
    ranks = [process for process in ours if "RayTrainWorker" in " ".join(process.cmdline())]
    max(ranks, key=lambda process: process.pid).kill()


def test_a_rank_that_dies_changes_nothing_and_the_weights_are_the_controllers(
    reserve: Callable[[RuntimeConfig], Placement], tmp_path: Path
) -> None:
    config = make_config(tmp_path, ranks=2)
    open_run(config, resume=False)
    person = Acting(kill_a_rank)
    last = train_sft(config, person, StopRequest())

    assert last.step == STEPS
    assert person.steps == list(range(1, STEPS + 1))
    rows = read_metrics(config.folder)
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    assert rows[-1]["budget/scenes"] == 6 * STEPS

    group = LearnerGroup(config.runtime, reserve(config.runtime))
    group.load(config)
    source = scene_source(config, "place", "train")
    renderer, simulator = make_renderer(config.environment), Simulator()
    for step in range(STEPS):
        shown = demonstrate(source, step_indices(config, step), renderer, simulator)
        metrics = group.imitate([ray.put(shown)], step)
    group.save_model(tmp_path / "expected")
    group.stop()
    renderer.close()
    simulator.close()
    assert metrics["loss"] == rows[-1]["loss"]
    expected = (tmp_path / "expected" / "model" / WEIGHTS).read_bytes()
    assert (last.path / "model" / WEIGHTS).read_bytes() == expected


def test_a_wish_to_stop_ends_it_with_a_checkpoint(ray_cluster: None, tmp_path: Path) -> None:
    config = make_config(tmp_path, ranks=1, steps=10_000)
    open_run(config, resume=False)
    stop = StopRequest()

    def wish() -> None:
        stop.requested = True

    last = train_sft(config, Acting(wish), stop)
    assert 1 <= last.step < config.algorithm.steps
    assert last == Checkpoints(config.folder, 1).latest()
    assert len(read_metrics(config.folder)) == last.step


def test_a_folder_that_a_rank_does_not_see_is_named(tmp_path: Path) -> None:
    config = make_config(tmp_path, ranks=2)
    check_shared(config, [True, True])
    with pytest.raises(ConfigError, match=r"which the machine of rank 1 does not see"):
        check_shared(config, [True, False])
