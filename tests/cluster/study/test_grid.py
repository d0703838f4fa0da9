"""Trials on real Ray Tune and a real store, with a fake of training."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from pathlib import Path
from pickle import UnpicklingError
from types import SimpleNamespace
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from cluster.runtime.placement import required_cpus
from cluster.runtime.stopping import StopRequest
from cluster.study import grid
from cluster.study.grid import (
    plain_jobs,
    run_trials,
    slots_runtime,
    trial_bundles,
    trial_jobs,
    unfinished,
)
from cluster.study.trial import Train, TrialJob
from physrl.config.run import RunConfig
from physrl.config.runtime import RuntimeConfig
from physrl.config.study import StudyConfig
from physrl.evaluation.cells import CellStore, open_cell_store
from physrl.evaluation.plan import plan_study
from physrl.evaluation.selection import choose_rates
from physrl.evaluation.specs import StudyPlan
from physrl.metrics.writer import MetricsWriter
from physrl.storage.checkpoints import Checkpoint, Checkpoints
from tests.support.paths import TINY_BASE

WORKERS = 20
"""Number of rollout workers; the cluster has room for 32, so that trials run one at a time."""


class NoActors:
    """A stand-in for `RunActors` that records its creation."""

    def __init__(self, config: RunConfig) -> None:
        with (config.output / "slots").open("a") as stream:
            stream.write(f"{config.name}\n")

    def stop(self) -> None: ...


def training(failing: str = "") -> Train:
    """Return a function that records its call, then commits a checkpoint or, if so named, fails."""

    def train(
        config: RunConfig, actors: Any, stop: StopRequest, progress: Any
    ) -> tuple[Checkpoint, bool]:
        with (config.output / "calls").open("a") as stream:
            stream.write(f"{config.name}\n")
        if config.name == failing:
            raise RuntimeError("no luck")

        def write(folder: Path) -> None:
            (folder / "model").mkdir()
            (folder / "model" / "weights").write_text(config.name)

        return Checkpoints(config.folder, 1).commit(config.algorithm.steps, {}, write), True

    return train


def run(jobs: dict[str, TrialJob], store: CellStore, folder: Path, train: Train) -> bool:
    return run_trials(jobs, store, folder, nullcontext, make_actors=NoActors, train=train)  # type: ignore[arg-type]


def study(folder: Path, **changes: Any) -> StudyPlan:
    tree = {
        "name": "s",
        "base": {"output": str(folder), "model": {"path": str(TINY_BASE)},
                 "runtime": {"rollout_workers": WORKERS}},
        "grid": {"tasks": ["place"], "methods": {"grpo": {}, "sft": {}}, "seeds": [0]},
        "evaluation": {"tasks": ["place"]},
        "adaptation": None,
        "probes": None,
        "controls": {"shuffled_labels": False},
        "store": str(folder / "store"),
    }  # fmt: skip
    return plan_study(StudyConfig.model_validate(tree | changes))


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


@pytest.fixture
def planned(tmp_path: Path) -> tuple[StudyPlan, CellStore, dict[str, TrialJob]]:
    plan = study(tmp_path)
    return plan, open_cell_store(str(tmp_path / "store")), trial_jobs(plan, tmp_path / "s")


def test_trials_share_a_slot_and_are_trained_once(
    ray_cluster: None, planned: tuple[StudyPlan, CellStore, dict[str, TrialJob]], tmp_path: Path
) -> None:
    plan, store, jobs = planned
    names = sorted(trial.name for trial in plan.trials)
    assert len(names) == 2
    for _ in range(2):
        assert run(jobs, store, tmp_path / "s", training())
        assert sorted(lines(tmp_path / "s" / "trials" / "calls")) == names
    assert unfinished(jobs, store) == {}
    assert store.failures() == {} == store.running()
    for trial in plan.trials:
        trained = store.read_trained(trial.key)
        assert trained is not None
        weights = Path(trained.checkpoint) / "model" / "weights"
        assert weights.read_text() == trial.name
    # One slot fits, whose actors are reused.
    assert len(lines(tmp_path / "s" / "trials" / "slots")) == 1


def test_tensorboard_shows_each_trial_of_a_study_once(
    ray_cluster: None, planned: tuple[StudyPlan, CellStore, dict[str, TrialJob]], tmp_path: Path
) -> None:
    plan, store, jobs = planned
    commit = training()

    def train(*arguments: Any) -> tuple[Checkpoint, bool]:
        with closing(MetricsWriter(arguments[0].folder)) as metrics:
            metrics.write(1, {"reward": 0.5})
        return commit(*arguments)

    assert run(jobs, store, tmp_path / "s", train)
    shown = EventMultiplexer().AddRunsFromDirectory(str(tmp_path / "s")).Reload()
    expected = [f"trials/{trial.name}" for trial in plan.trials]
    assert sorted(shown.Runs()) == sorted(expected)
    for name, tags in shown.PluginRunToTagToContent("hparams").items():
        (content,) = tags.values()
        row = HParamsPluginData.FromString(content).session_start_info
        (trial,) = (trial for trial in plan.trials if trial.name == row.group_name)
        assert name == f"trials/{trial.name}"
        assert row.hparams["method"].string_value == trial.method
        assert row.hparams["lr"].number_value == trial.config.algorithm.lr


def test_rates_are_chosen_by_runs_of_their_own(ray_cluster: None, tmp_path: Path) -> None:
    grid = {
        "tasks": ["place"],
        "methods": {"grpo": {}, "sft": {}},
        "selection": {"rates": {"grpo": [0.5, 0.25], "sft": [0.125, 0.75]}, "scenes": 8},
    }
    plan, store = study(tmp_path, grid=grid), open_cell_store(str(tmp_path / "store"))
    commit = training()

    def train(*arguments: Any) -> tuple[Checkpoint, bool]:
        config: RunConfig = arguments[0]
        assert config.evaluation.every == config.algorithm.steps
        with closing(MetricsWriter(config.folder)) as metrics:
            metrics.write(1, {"validation/place/accuracy": 1 - config.algorithm.lr})
        return commit(*arguments)

    jobs = plain_jobs(plan, plan.selection, tmp_path / "s")
    assert run(jobs, store, tmp_path / "s", train)
    assert unfinished(jobs, store) == {}
    trained = {key: result for key in jobs if (result := store.read_trained(key)) is not None}
    assert choose_rates(plan.selection, trained) == {("grpo", "base"): 0.25, ("sft", "base"): 0.125}
    # They are not the study's trials, none of which has been trained.
    assert not set(jobs) & set(trial_jobs(plan, tmp_path / "s"))


def test_a_failing_trial_is_retried_and_recorded_while_others_run(
    ray_cluster: None, planned: tuple[StudyPlan, CellStore, dict[str, TrialJob]], tmp_path: Path
) -> None:
    plan, store, jobs = planned
    bad = plan.trials[1]
    train = training(failing=bad.name)
    assert run(jobs, store, tmp_path / "s", train)
    assert lines(tmp_path / "s" / "trials" / "calls").count(bad.name) == 3
    assert list(store.failures()) == [bad.key]
    failure = store.failures()[bad.key]
    assert (failure.name, failure.tries) == (bad.name, 3)
    assert failure.reason == "RuntimeError: no luck"
    assert set(unfinished(jobs, store)) == {bad.key}

    # The next call retries this trial alone.
    assert run(jobs, store, tmp_path / "s", training())
    assert unfinished(jobs, store) == {}
    assert store.failures() == {}
    assert len(lines(tmp_path / "s" / "trials" / "calls")) == 1 + 3 + 1


def test_a_signal_stops_trials_and_the_next_call_resumes(
    ray_cluster: None, planned: tuple[StudyPlan, CellStore, dict[str, TrialJob]], tmp_path: Path
) -> None:
    _, store, jobs = planned
    calls = tmp_path / "s" / "trials" / "calls"

    def linger(
        config: RunConfig, actors: Any, stop: StopRequest, progress: Any
    ) -> tuple[Checkpoint, bool]:
        trained = training()(config, actors, stop, progress)
        time.sleep(1)
        return trained

    def signal_once_it_trains() -> None:
        while not lines(calls):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    with ThreadPoolExecutor() as other:
        other.submit(signal_once_it_trains)
        assert not run(jobs, store, tmp_path / "s", linger)
    assert store.failures() == {}
    assert run(jobs, store, tmp_path / "s", training())
    assert unfinished(jobs, store) == {}


@pytest.mark.parametrize("where", ["restore", "fit"])
def test_hunted_state_that_tune_cannot_read_is_made_anew_with_one_warning(
    where: str, planned: tuple[StudyPlan, CellStore, dict[str, TrialJob]], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """Without Ray: a stand-in for Tune raises what a cut file makes it raise."""
    _, store, jobs = planned
    begun: list[str] = []

    def fail(*arguments: Any, **options: Any) -> Any:
        raise UnpicklingError("pickle data\nwas truncated")

    def restore(path: str, *arguments: Any, **options: Any) -> Any:
        return SimpleNamespace(fit=fail)

    def make(path: Path, *arguments: Any) -> Any:
        begun.append(path.name)
        return SimpleNamespace(fit=list)

    monkeypatch.setattr(grid, "announced_groups", dict)
    monkeypatch.setattr(grid.tune.Tuner, "can_restore", lambda path: True)
    monkeypatch.setattr(grid.tune.Tuner, "restore", fail if where == "restore" else restore)
    monkeypatch.setattr(grid, "_make_tuner", make)
    assert run(jobs, store, tmp_path / "s", training())
    assert len(begun) == 1
    (warned,) = [each.getMessage() for each in caplog.records]
    assert "pickle data was truncated" in warned
    assert "made anew" in warned
    assert "\n" not in warned


def test_a_deleted_result_is_computed_again(ray_cluster: None, tmp_path: Path) -> None:
    plan = study(tmp_path, grid={"tasks": ["place"], "methods": {"sft": {}}, "seeds": [0]})
    store, jobs = open_cell_store(str(tmp_path / "store")), trial_jobs(plan, tmp_path / "s")
    for count in (1, 2):
        assert run(jobs, store, tmp_path / "s", training())
        assert len(lines(tmp_path / "s" / "trials" / "calls")) == count
        (tmp_path / "store" / "trained" / f"{plan.trials[0].key}.json").unlink()


def test_a_trial_reserves_its_own_process_first_and_then_every_actor() -> None:
    runtime = RuntimeConfig(
        rollout_workers=2, inference_servers=1, learner_ranks=2, gpus_per_server=1, gpus_per_rank=1
    )
    own, *actors = trial_bundles(runtime)
    assert "GPU" not in own
    assert len(actors) == 5
    assert [bundle.get("GPU", 0) for bundle in actors] == [1, 1, 1, 0, 0]


@pytest.mark.parametrize("slots", [1, 2, 5])
def test_a_local_cluster_holds_as_many_trials_as_it_was_started_for(slots: int) -> None:
    runtime = RuntimeConfig(rollout_workers=1, learner_ranks=2)
    reserved = slots * sum(bundle["CPU"] for bundle in trial_bundles(runtime))
    assert reserved <= required_cpus(slots_runtime(runtime, slots)) < reserved + 1


def test_bases_are_adapted_but_not_trained(tmp_path: Path) -> None:
    adaptation = {"tasks": ["place", "place_x"], "steps": [0, 1]}
    plan = study(tmp_path, adaptation=adaptation)
    jobs = trial_jobs(plan, tmp_path / "s")
    base = next(job for job in jobs.values() if job.subject.kind == "base")
    assert [spec.task for spec in base.adaptations] == ["place", "place_x"]
    assert base.subject.key not in base.result_names
    trained = next(job for job in jobs.values() if job.subject.kind == "trained")
    assert [spec.task for spec in trained.adaptations] == ["place_x"]
    assert trained.subject.key in trained.result_names
    assert len({job.config.name for job in jobs.values()}) == len(jobs) == 3
