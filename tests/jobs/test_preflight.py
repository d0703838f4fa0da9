from pathlib import Path

import pytest

from jobs import preflight
from physrl.config import load_config
from physrl.errors import UserError


def test_a_hub_name_is_trusted_online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    preflight.check_model("model.path", "Some/Model")


@pytest.mark.parametrize("path", ["/some/model", "./model", "~/model", "model", "a/b/c", "tests/x"])
def test_what_looks_like_a_folder_must_be_one(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.chdir(Path(__file__).parents[2])
    with pytest.raises(UserError, match="no such folder"):
        preflight.check_model("model.path", path)


def test_a_good_configuration_passes_and_its_folder_exists(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    config = load_config(None, [f"model.path={tmp_path}", f"output={tmp_path / 'runs'}"])
    preflight.check(config)
    assert config.folder.is_dir()
    assert not any(config.folder.iterdir())
