"""The sink for MLflow."""

from collections.abc import Iterator, Mapping
from typing import Any

from physrl.config.run import RunConfig
from physrl.config.tracking import MLflowConfig
from physrl.metrics import Row
from physrl.tracking.identity import Identity, identity

TAG = "physrl.id"
"""Tag with the run's id, by which a resumed run is found."""
LONGEST_PARAMETER = 500
"""Characters of a parameter's value that older servers accept."""


class MLflowRun:
    """A sink that opens its MLflow run with the first row."""

    name = "MLflow"

    def __init__(self, config: RunConfig, mlflow: MLflowConfig) -> None:
        self._config, self._mlflow = config, mlflow
        self._client: Any = None
        self._run_id: str | None = None

    def write(self, row: Row) -> None:
        from mlflow.entities import Metric

        if self._run_id is None:
            self._run_id = self._open()
        milliseconds = int(row.time * 1000)
        metrics = [
            Metric(name, value, milliseconds, row.step) for name, value in row.metrics.items()
        ]
        self._client.log_batch(self._run_id, metrics=metrics)

    def close(self) -> None:
        if self._run_id is not None:
            self._client.set_terminated(self._run_id)

    def _open(self) -> str:
        """Resume the MLflow run with this run's id, or create one."""
        from mlflow import MlflowClient

        self._client = MlflowClient(tracking_uri=self._mlflow.tracking_uri)
        own = identity(self._config)
        experiment = self._experiment()
        found = self._client.search_runs([experiment], f"tags.`{TAG}` = '{own.id}'")
        if found:
            run_id = str(found[0].info.run_id)
            self._client.update_run(run_id, status="RUNNING")
            return run_id
        return self._create(experiment, own)

    def _experiment(self) -> str:
        name = self._mlflow.experiment
        found = self._client.get_experiment_by_name(name)
        return str(found.experiment_id if found else self._client.create_experiment(name))

    def _create(self, experiment: str, own: Identity) -> str:
        from mlflow.entities import Param

        run = self._client.create_run(experiment, run_name=own.title, tags={TAG: own.id})
        settings = _flatten(self._config.model_dump(mode="json"))
        params = [Param(key, str(value)[:LONGEST_PARAMETER]) for key, value in settings]
        for start in range(0, len(params), 100):  # the most that a server accepts at once
            self._client.log_batch(run.info.run_id, params=params[start : start + 100])
        return str(run.info.run_id)


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield a configuration's values by dotted key, as on the command line."""
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
