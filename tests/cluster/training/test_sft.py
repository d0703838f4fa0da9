"""SFT under Ray Train, against the controller's learner."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psutil
import pytest
import ray

from cluster.learner.group import LearnerGroup
from cluster.runtime.placement import Placement
from cluster.runtime.stopping import StopRequest
from cluster.training.sft import train_sft
from cluster.training.sft_rank import check_shared_folder, share_indices
from physrl.config.run import RunConfig
from physrl.config.runtime import RuntimeConfig
from physrl.demonstrations import demonstrate
from physrl.environments.renderer import make_renderer
from physrl.environments.simulator import Simulator
from physrl.errors import ConfigError
from physrl.metrics import read_metrics
from physrl.rollout import step_indices
from physrl.scene_source import scene_source
from physrl.storage.run_folder import open_run
from physrl.types import Metrics
from tests.support.runs import make_config

STEPS = 300
WEIGHTS = "model.safetensors"
STOP_AT = 8


class KillingReporter:
    """A reporter that kills the rank at the first step, and stops the run at a later one."""

    def __init__(self, stop: StopRequest) -> None:
        self.stop, self.steps = stop, list[int]()

    def phase(self, name: str) -> None:
        pass

    def step(self, step: int, metrics: Metrics) -> None:
        if not self.steps:
            kill_a_rank()
        self.stop.requested |= step >= STOP_AT
        self.steps.append(step)


def kill_a_rank() -> None:
    ours = psutil.Process().children(recursive=True)  # children of the raylet
    (rank,) = [process for process in ours if "RayTrainWorker" in " ".join(process.cmdline())]
    rank.kill()


def sft_config(folder: Path, ranks: int = 1) -> RunConfig:
    return make_config(
        name="sft",
        output=str(folder),
        task="place",
        mixture=["place", "stability"],
        algorithm={"type": "sft", "steps": STEPS, "prompts_per_step": 6, "lr": 1e-3},
        checkpoint={"every": 3},
        runtime={"learner_ranks": ranks},
    )


@pytest.mark.slow
def test_deaths_and_stops_change_nothing_and_the_weights_are_the_controllers(
    reserve: Callable[[RuntimeConfig], Placement], tmp_path: Path
) -> None:
    config = sft_config(tmp_path)
    open_run(config, resume=False)
    stop = StopRequest()
    reporter = KillingReporter(stop)
    last = train_sft(config, reporter, stop)
    assert 0 < last.step < STEPS
    rows = read_metrics(config.folder)
    assert [row["step"] for row in rows] == list(range(1, last.step + 1))
    # Steps that the killed rank repeats after its last checkpoint are shown only once.
    assert reporter.steps == list(range(1, max(reporter.steps[-1], last.step) + 1))
    assert rows[-1]["budget/scenes"] == 6 * last.step

    group = LearnerGroup(config.runtime, reserve(config.runtime))
    group.load(config, None)
    with closing(make_renderer(config.environment)) as renderer, closing(Simulator()) as simulator:
        source = scene_source(config, "place", "train")
        for step in range(last.step):
            batch = demonstrate(source, step_indices(config, step), renderer, simulator)
            metrics = group.update(step, [ray.put(batch)])
    group.save(tmp_path / "expected")
    group.stop()
    assert metrics["loss"] == rows[-1]["loss"]
    expected = (tmp_path / "expected" / "model" / WEIGHTS).read_bytes()
    assert (last.path / "model" / WEIGHTS).read_bytes() == expected


def test_the_shares_of_all_ranks_make_up_the_step(tmp_path: Path) -> None:
    config = sft_config(tmp_path, ranks=3)
    shares = [share_indices(config, 4, rank) for rank in range(3)]
    assert shares == [range(24, 26), range(26, 28), range(28, 30)]
    uneven = sft_config(tmp_path, ranks=4)
    shares = [share_indices(uneven, 0, rank) for rank in range(4)]
    assert [list(share) for share in shares] == [[0], [1, 2], [3], [4, 5]]


def test_a_folder_that_a_rank_does_not_share_is_refused(tmp_path: Path) -> None:
    config = sft_config(tmp_path)
    check_shared_folder(config, [True, True])
    with pytest.raises(ConfigError, match=r"output is .* rank 1"):
        check_shared_folder(config, [True, False])
