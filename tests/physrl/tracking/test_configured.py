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
    """Names of the installed packages; the environment has no settings."""
    packages = {"wandb", "mlflow"}
    monkeypatch.setattr(module, "find_spec", lambda name: name if name in packages else None)
    for name in (*module.WANDB_KEYS, module.MLFLOW_URI):
        monkeypatch.delenv(name, raising=False)
    return packages


def test_nothing_is_tracked_by_default() -> None:
    config = validate({})
    check_tracking(config.tracking)
    assert trackers(config) == []


def test_configured_trackers() -> None:
    config = load_config(None, ["tracking.wandb.mode=offline", "tracking.mlflow={}"])
    assert [sink.name for sink in trackers(config)] == ["Weights & Biases", "MLflow"]


@pytest.mark.parametrize(("key", "package"), [("wandb", "wandb"), ("mlflow", "mlflow-skinny")])
def test_a_missing_package_is_named_with_its_command(
    key: str, package: str, installed: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "some key")
    check_tracking(BOTH)
    installed.remove(key)
    with pytest.raises(UserError, match=rf"tracking\.{key} .*pip install {package}"):
        check_tracking(BOTH)


def test_a_missing_api_key_is_named(installed: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"tracking\.wandb\.mode.*WANDB_API_KEY"):
        check_tracking(BOTH)
    check_tracking(TrackingConfig(wandb=WandbConfig(mode="offline")))


def test_mlflow_needs_an_address(installed: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    anywhere = TrackingConfig(mlflow=MLflowConfig())
    with pytest.raises(
        UserError, match=r"tracking\.mlflow\.tracking_uri is null.*MLFLOW_TRACKING_URI"
    ):
        check_tracking(anywhere)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", SERVER)
    check_tracking(anywhere)


@pytest.mark.parametrize("uri", ["mlruns", "file:///tmp/mlruns"])
def test_mlflow_supports_no_folders(uri: str, installed: set[str]) -> None:
    with pytest.raises(UserError, match=rf"tracking\.mlflow\.tracking_uri is {uri}: "):
        check_tracking(TrackingConfig(mlflow=MLflowConfig(tracking_uri=uri)))


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "postgresql+psycopg2://host/mlflow"])
def test_a_database_needs_the_full_mlflow(uri: str, installed: set[str]) -> None:
    tracking = TrackingConfig(mlflow=MLflowConfig(tracking_uri=uri))
    with pytest.raises(UserError, match="pip install mlflow,"):
        check_tracking(tracking)
    installed.add("alembic")
    check_tracking(tracking)


def test_a_password_is_refused() -> None:
    with pytest.raises(ConfigError, match="tracking_uri") as caught:
        load_config(None, ["tracking.mlflow.tracking_uri=https://me:open-sesame@example.org"])
    assert "open-sesame" not in str(caught.value)
