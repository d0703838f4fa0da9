"""The trackers that a configuration names."""

import os
from importlib.util import find_spec
from urllib.parse import urlsplit

from physrl.config.run import RunConfig
from physrl.config.tracking import MLflowConfig, TrackingConfig, WandbConfig
from physrl.errors import UserError
from physrl.metrics import MetricsSink
from physrl.tracking.mlflow_run import MLflowRun
from physrl.tracking.wandb_run import WandbRun

WANDB_KEYS = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")
MLFLOW_URI = "MLFLOW_TRACKING_URI"
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
"""URI schemes of databases, which MLflow's client opens itself; others are servers."""


def trackers(config: RunConfig) -> list[MetricsSink]:
    """Make a sink for each configured tracker."""
    wandb, mlflow = config.tracking.wandb, config.tracking.mlflow
    sinks: list[MetricsSink] = []
    if wandb is not None:
        sinks.append(WandbRun(config, wandb))
    if mlflow is not None:
        sinks.append(MLflowRun(config, mlflow))
    return sinks


def check_tracking(tracking: TrackingConfig) -> None:
    """Refuse a tracker whose package, key or address is missing.

    Raises:
        UserError: names the package or the environment variable.
    """
    if tracking.wandb is not None:
        _check_wandb(tracking.wandb)
    if tracking.mlflow is not None:
        _check_mlflow(tracking.mlflow)


def _check_wandb(wandb: WandbConfig) -> None:
    _check_package("wandb", "wandb", "wandb")
    if wandb.mode == "online" and not any(map(os.environ.get, WANDB_KEYS)):
        raise UserError(
            "tracking.wandb.mode is online but WANDB_API_KEY is not set: set it, or "
            "tracking.wandb.mode=offline"
        )


def _check_mlflow(mlflow: MLflowConfig) -> None:
    _check_package("mlflow", "mlflow", "mlflow-skinny")
    uri = mlflow.tracking_uri or os.environ.get(MLFLOW_URI)
    if uri is None:
        raise UserError(
            f"tracking.mlflow.tracking_uri is null and {MLFLOW_URI} is not set: set one to a "
            "server's address or to sqlite:///FILE"
        )
    scheme = urlsplit(uri).scheme.partition("+")[0]
    if scheme in ("", "file") and uri != "databricks":
        raise UserError(
            f"tracking.mlflow.tracking_uri is {uri}: MLflow no longer supports folders; set it to "
            "a server's address or to sqlite:///FILE"
        )
    if scheme in DATABASES:
        _check_package("mlflow", "alembic", "mlflow")


def _check_package(key: str, module: str, package: str) -> None:
    if find_spec(module) is None:
        raise UserError(
            f"tracking.{key} is set but {module} is not installed: pip install {package}, or set "
            f"tracking.{key}=null"
        )
