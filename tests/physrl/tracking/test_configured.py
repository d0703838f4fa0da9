import pytest

from physrl.config.load import load_config, validate
from physrl.config.tracking import MLflowConfig, TrackingConfig, WandbConfig
from physrl.errors import ConfigError, UserError
from physrl.tracking import check_tracking, trackers
from physrl.tracking import configured as module

SERVER = "https://example.org"
BOTH = TrackingConfig(wandb=WandbConfig(), mlflow=MLflowConfig(tracking_uri=SERVER))


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of the packages that are there; no settings are."""
    packages = {"wandb", "mlflow"}
    monkeypatch.setattr(module, "find_spec", lambda name: name if name in packages else None)
    for name in (*module.WANDB_KEYS, module.MLFLOW_URI):
        monkeypatch.delenv(name, raising=False)
    return packages


def test_nothing_is_tracked_by_default() -> None:
    config = validate({})
    check_tracking(config.tracking)
    assert trackers(config) == []


def test_what_is_configured_is_tracked() -> None:
    config = load_config(None, ["tracking.wandb.mode=offline", "tracking.mlflow={}"])
    assert [sink.name for sink in trackers(config)] == ["Weights & Biases", "MLflow"]


@pytest.mark.parametrize(("key", "package"), [("wandb", "wandb"), ("mlflow", "mlflow-skinny")])
def test_a_missing_package_is_named_with_its_command(
    key: str, package: str, installed: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "some key")
    check_tracking(BOTH)
    installed.remove(key)
    with pytest.raises(UserError, match=f"{key} is not installed: pip install {package}, or set"):
        check_tracking(BOTH)


def test_a_missing_key_is_named(installed: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="WANDB_API_KEY is not set"):
        check_tracking(BOTH)
    check_tracking(TrackingConfig(wandb=WandbConfig(mode="offline")))


def test_mlflow_is_told_where(installed: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    anywhere = TrackingConfig(mlflow=MLflowConfig())
    with pytest.raises(UserError, match="is null and MLFLOW_TRACKING_URI is not set"):
        check_tracking(anywhere)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", SERVER)
    check_tracking(anywhere)


@pytest.mark.parametrize("uri", ["mlruns", "file:///tmp/mlruns"])
def test_mlflow_takes_no_folders(uri: str, installed: set[str]) -> None:
    with pytest.raises(UserError, match=f"is {uri}: MLflow no longer takes folders"):
        check_tracking(TrackingConfig(mlflow=MLflowConfig(tracking_uri=uri)))


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "postgresql+psycopg2://host/mlflow"])
def test_a_database_needs_all_of_mlflow(uri: str, installed: set[str]) -> None:
    tracking = TrackingConfig(mlflow=MLflowConfig(tracking_uri=uri))
    with pytest.raises(UserError, match="alembic is not installed: pip install mlflow, or set"):
        check_tracking(tracking)
    installed.add("alembic")
    check_tracking(tracking)


def test_a_password_is_not_for_the_configuration() -> None:
    with pytest.raises(
        ConfigError, match=r"^tracking\.mlflow\.tracking_uri .*MLFLOW_TRACKING_PASSWORD"
    ) as caught:
        load_config(None, ["tracking.mlflow.tracking_uri=https://me:open-sesame@example.org"])
    assert "open-sesame" not in str(caught.value)
