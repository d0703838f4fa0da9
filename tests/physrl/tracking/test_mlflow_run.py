from pathlib import Path

import pytest

from physrl.config.load import validate
from physrl.config.run import RunConfig
from physrl.metrics.writer import MetricsWriter
from physrl.tracking import trackers

mlflow = pytest.importorskip("mlflow", reason="mlflow is optional: pip install mlflow-skinny")


def tracked(folder: Path, store: str) -> RunConfig:
    tracking = {"mlflow": {"tracking_uri": store.format(folder), "experiment": "towers"}}
    return validate({"name": "mine", "seed": 7, "output": str(folder), "tracking": tracking})


def train(config: RunConfig, *steps: int) -> None:
    writer = MetricsWriter(config.folder, trackers(config))
    for step in steps:
        writer.write(step, {"reward": step / 2, "task/place/accuracy": 0.25})
    writer.close()


@pytest.mark.parametrize("store", ["file:{}/mlruns", "sqlite:///{}/mlflow.db"])
def test_a_resumed_run_is_the_same_run(
    store: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # all that mlflow-skinny has offline
    if store.startswith("sqlite"):
        pytest.importorskip("alembic", reason="databases are for the whole of mlflow")
    config = tracked(tmp_path, store)
    train(config, 1, 2)
    train(config, 3)
    assert [record for record in caplog.records if record.name.startswith("physrl")] == []
    client = mlflow.MlflowClient(tracking_uri=config.tracking.mlflow.tracking_uri)
    experiment = client.get_experiment_by_name("towers")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ("mine", "FINISHED")
    assert (run.data.params["seed"], run.data.params["model.path"]) == ("7", config.model.path)
    history = client.get_metric_history(run.info.run_id, "reward")
    assert [(point.step, point.value) for point in history] == [(1, 0.5), (2, 1.0), (3, 1.5)]
    assert run.data.metrics["task/place/accuracy"] == 0.25
