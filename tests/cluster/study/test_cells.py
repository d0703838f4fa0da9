"""Cells and probes of a study: grouping by servers, available models, no repeated computation."""

from pathlib import Path
from typing import Any

import pytest

from cluster.study.cells import cells_runtime, compute_cells, limit_workers
from cluster.study.events import Finished
from cluster.study.policies import by_base, shared_model, study_policies
from cluster.study.probes import probed_model
from cluster.weights.sync import Policy
from physrl.config.model import LoRAConfig, ModelConfig
from physrl.config.runtime import RuntimeConfig
from physrl.config.study import StudyConfig
from physrl.errors import GenerationError
from physrl.evaluation.cells import Trained, open_cell_store
from physrl.evaluation.plan import plan_study
from physrl.evaluation.specs import CONTROLS, StudyPlan
from tests.support.paths import TINY_BASE


def planned(folder: Path, **changes: Any) -> StudyPlan:
    tree = {
        "base": {"model": {"path": str(TINY_BASE)}},
        "grid": {"tasks": ["place"], "methods": {"sft": {}}},
        "evaluation": {"tasks": ["place", "place_closed_loop"], "scenes": 4},
        "adaptation": None,
        "probes": None,
        "controls": {"shuffled_labels": False},
    }
    return plan_study(StudyConfig.model_validate(tree | changes))


def test_models_of_one_base_share_a_server_with_room_for_all(tmp_path: Path) -> None:
    grid = {
        "tasks": ["place"],
        "methods": {"sft": {}},
        "models": {"full": {}, "lora": {"model": {"lora": {"rank": 8}}}},
        "variants": {
            "default": {},
            "rank_64": {
                "overrides": {"model": {"lora": {"rank": 64}, "max_completion_tokens": 99}},
                "models": ["lora"],
            },
        },
    }
    plan = planned(tmp_path, grid=grid)
    models = [subject for subject in plan.subjects if subject.kind in ("trained", "base")]
    groups = by_base(plan, models)
    names = [sorted(subject.name for subject in group) for group in groups]
    assert sorted(names) == [
        ["full", "full-place-sft-seed0"],
        ["lora", "lora-place-sft-rank_64-seed0", "lora-place-sft-seed0"],
    ]
    for group in groups:
        served = shared_model([plan.config_of(subject) for subject in group])
        if served.lora is None:
            assert served.max_completion_tokens == 24
        else:
            assert (served.lora.rank, served.max_completion_tokens) == (64, 99)


def test_only_available_models_have_policies(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    store = open_cell_store(str(tmp_path / "store"))
    trial = plan.trials[0]
    assert {subject.kind for subject in study_policies(plan, store)} == {"base"}
    (tmp_path / "step" / "model").mkdir(parents=True)
    store.write_trained(Trained(trial.key, trial.name, str(tmp_path / "step"), 1.0))
    files = {s.key: policy for s, policy in study_policies(plan, store).items()}
    assert files[trial.key] == Policy(trial.key, 0, "weights", str(tmp_path / "step" / "model"))
    (tmp_path / "step" / "model").rmdir()
    with pytest.raises(GenerationError, match="step"):
        study_policies(plan, store)


def test_cells_of_controls_are_computed_once(ray_cluster: None, tmp_path: Path) -> None:
    plan = planned(tmp_path, controls={"shuffled_labels": False, "base": False})
    store = open_cell_store(str(tmp_path / "store"))
    events = list(compute_cells(plan, store, None, at_once=1))
    finished = [event for event in events if isinstance(event, Finished)]
    controls = [cell for cell in plan.cells if cell.subject.kind in CONTROLS]
    assert [event.failure for event in finished] == [None] * len(controls)
    physics = [cell for cell in plan.cells if cell.subject.kind == "physics"]
    for cell in physics:
        result = store.read_cell(cell.key)
        assert result is not None
        assert result.count.rate == 1
    assert list(compute_cells(plan, store, None, at_once=1)) == []


def test_workers_leave_room_for_the_servers_that_they_wait_for() -> None:
    assert limit_workers(4, cores=2, servers=1) == 3  # half a core each, a quarter for the server
    assert limit_workers(4, cores=3, servers=1) == 4
    assert limit_workers(4, cores=2, servers=0) == 4
    assert limit_workers(8, cores=0.5, servers=1) == 1


def test_cells_use_all_gpus_of_the_cluster_or_the_configured_servers() -> None:
    cluster = {"CPU": 64.0, "GPU": 7.0}
    on_gpus = cells_runtime(RuntimeConfig(gpus_per_server=2), 8, cluster)
    assert (on_gpus.inference_servers, on_gpus.rollout_workers) == (3, 24)
    more = cells_runtime(RuntimeConfig(gpus_per_server=1, inference_servers=9), 8, cluster)
    assert more.inference_servers == 9  # the cluster may grow
    on_cpus = cells_runtime(RuntimeConfig(), 2, {"CPU": 2.0})
    assert (on_cpus.inference_servers, on_cpus.rollout_workers) == (1, 2)


def test_a_probe_reads_the_subjects_own_weights(tmp_path: Path) -> None:
    base = ModelConfig(path=str(TINY_BASE), lora=LoRAConfig(rank=4))
    assert probed_model(base, None) == ModelConfig(path=str(TINY_BASE))
    (tmp_path / "a" / "adapter").mkdir(parents=True)
    adapted = probed_model(base, tmp_path / "a")
    assert (adapted.path, adapted.adapter) == (str(TINY_BASE), str(tmp_path / "a" / "adapter"))
    assert adapted.lora == base.lora
    (tmp_path / "b" / "model").mkdir(parents=True)
    full = probed_model(ModelConfig(path=str(TINY_BASE)), tmp_path / "b")
    assert full == ModelConfig(path=str(tmp_path / "b" / "model"))
