"""Who is told of a run's metrics besides its folder; keys come from the environment alone."""

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from physrl.config.base import Section


class WandbConfig(Section):
    """Weights & Biases; `pip install wandb`, and its key in WANDB_API_KEY."""

    project: str = Field("physrl", min_length=1)
    """Which project the run appears in."""
    entity: str | None = None
    """Whose project: a user or team; null is the key's owner."""
    mode: Literal["online", "offline"] = "online"
    """`offline` writes to the run's folder, for `wandb sync`."""
    tags: tuple[str, ...] = ()
    """Labels of the run."""


class MLflowConfig(Section):
    """MLflow; `pip install mlflow-skinny`, and a server's password in MLFLOW_TRACKING_PASSWORD."""

    tracking_uri: str | None = Field(None, min_length=1)
    """A server's address, or sqlite:///FILE with all of `mlflow`; null is MLFLOW_TRACKING_URI."""
    experiment: str = Field("physrl", min_length=1)
    """Which experiment the run appears in."""

    @field_validator("tracking_uri")
    @classmethod
    def _holds_no_password(cls, uri: str | None) -> str | None:
        if uri is not None and urlsplit(uri).password is not None:
            raise ValueError(
                "holds a password, and configurations are written to files: leave it null and set "
                "MLFLOW_TRACKING_URI, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
            )
        return uri


class TrackingConfig(Section):
    """Who is told besides `metrics.jsonl` and TensorBoard; none of them can end a run."""

    wandb: WandbConfig | None = None
    """Weights & Biases."""
    mlflow: MLflowConfig | None = None
    """MLflow."""
