"""Configuration of experiment trackers; credentials come from the environment alone."""

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from physrl.config.base import Section


class WandbConfig(Section):
    """Weights & Biases; `pip install wandb`, and its key in WANDB_API_KEY."""

    project: str = Field("physrl", min_length=1)
    """Project of the run."""
    entity: str | None = None
    """User or team that owns the project; null: the owner of the API key."""
    mode: Literal["online", "offline"] = "online"
    """Mode of upload; `offline` writes to the run's folder, for `wandb sync`."""
    tags: tuple[str, ...] = ()
    """Tags of the run."""


class MLflowConfig(Section):
    """MLflow; `pip install mlflow-skinny`, and a server's password in MLFLOW_TRACKING_PASSWORD."""

    tracking_uri: str | None = Field(None, min_length=1)
    """Address of the server, or sqlite:///FILE (needs `mlflow`); null: MLFLOW_TRACKING_URI."""
    experiment: str = Field("physrl", min_length=1)
    """Experiment of the run."""

    @field_validator("tracking_uri")
    @classmethod
    def _holds_no_password(cls, uri: str | None) -> str | None:
        if uri is not None and urlsplit(uri).password is not None:
            raise ValueError(
                "contains a password, and configurations are written to files: leave it null and "
                "set MLFLOW_TRACKING_URI, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
            )
        return uri


class TrackingConfig(Section):
    """Trackers besides `metrics.jsonl` and TensorBoard; their failure does not end a run."""

    wandb: WandbConfig | None = None
    """Weights & Biases; null: off."""
    mlflow: MLflowConfig | None = None
    """MLflow; null: off."""
