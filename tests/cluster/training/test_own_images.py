"""The example of a user's own images, trained by SFT and by GRPO, and evaluated."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from cluster.evaluation.evaluate import evaluate_policy
from cluster.runtime.stopping import StopRequest
from cluster.training.actors import RunActors
from cluster.training.phases import train, trained_model
from cluster.training.sft import train_sft
from jobs.checks.run import check
from physrl.config.load import merge, validate
from physrl.data.rollouts import read_rollouts
from physrl.evaluation.measurements import Measurements
from physrl.evaluation.run_cells import policy_subject
from physrl.metrics import read_metrics
from physrl.storage.run_folder import open_run
from tests.support.own_images import example_config, write_squares
from tests.support.reporters import SilentReporter

SMALL = {"kv_cache_mb": 64, "max_num_seqs": 64}


@pytest.mark.slow
def test_the_example_trains_by_sft_then_grpo_and_is_evaluated(
    ray_cluster: None, tmp_path: Path
) -> None:
    given = example_config(write_squares(tmp_path / "rows"), f"output={tmp_path}/runs")
    changes = {
        "warm_start": {"steps": 12},
        "algorithm": {"steps": 2},
        "evaluation": {"every": 2},
        "runtime": SMALL,
    }
    config = validate(merge(given.model_dump(), changes))
    check(config)
    open_run(config, resume=False)
    actors = RunActors(config)
    try:
        actors.servers.wait()
        stop, store = StopRequest(), Measurements(config.folder)
        subject = policy_subject("base", config.model)
        evaluate_policy(actors.rollouts, actors.servers, config, subject, (), stop, store)
        checkpoint, finished = train(config, actors, stop, lambda *_: nullcontext(SilentReporter()))
        assert finished
        subject = policy_subject("grpo", trained_model(config.model, checkpoint.path))
        evaluate_policy(actors.rollouts, actors.servers, config, subject, (), stop, store)
    finally:
        actors.stop()
    losses = [row["loss"] for row in read_metrics(config.folder / "warm")]
    assert losses[-1] < 0.5 * losses[0]
    rows = read_metrics(config.folder)
    assert "validation/questions/accuracy" in rows[-1]
    # The warm start has taught the form of an answer.
    assert rows[0]["parse/failure_rate"] < 0.2
    logged = read_rollouts(config.folder / "rollouts" / "step-00000002.parquet").to_pydict()
    assert len(logged["action_text"]) == 16 * 8
    assert {"answered"} <= set(logged["status"]) <= {"answered", "unparseable"}
    measured = store.all()
    assert {(each.policy, each.cell.condition.decoding) for each in measured} == {
        (policy, decoding) for policy in ("base", "grpo") for decoding in ("greedy", "sampled")
    }
    assert {len(each.result.answers) for each in measured} == {10}
    asked = {tuple(answer.scene_id for answer in each.result.answers) for each in measured}
    assert len(asked) == 1


@pytest.mark.slow
def test_ray_train_trains_the_example_by_sft(ray_cluster: None, tmp_path: Path) -> None:
    given = example_config(write_squares(tmp_path / "rows"), f"output={tmp_path}/runs")
    sft = {"type": "sft", "steps": 6, "prompts_per_step": 16, "lr": 1e-3, "max_grad_norm": 1.0}
    tree = given.model_dump() | {"warm_start": None, "algorithm": sft}
    config = validate(merge(tree, {"evaluation": {"every": 0}, "runtime": SMALL}))
    open_run(config, resume=False)
    assert train_sft(config, SilentReporter(), StopRequest()).step == 6
    losses = [row["loss"] for row in read_metrics(config.folder)]
    assert losses[-1] < losses[0]
