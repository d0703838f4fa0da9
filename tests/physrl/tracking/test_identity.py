from pathlib import Path

import pytest

from physrl.config.load import validate
from physrl.config.run import RunConfig
from physrl.errors import DataError
from physrl.tracking.identity import identity


def config(output: Path, name: str = "mine") -> RunConfig:
    return validate({"name": name, "output": str(output)})


def test_a_run_keeps_its_id(tmp_path: Path) -> None:
    first = identity(config(tmp_path))
    assert first == identity(config(tmp_path))
    assert first.title == "mine"
    assert first.id.startswith("mine-")


def test_a_new_run_of_a_deleted_runs_name_has_another_id(tmp_path: Path) -> None:
    first = identity(config(tmp_path))
    (tmp_path / "mine" / "tracking.json").unlink()
    assert identity(config(tmp_path)).id != first.id


def test_a_nested_run_is_named_after_the_enclosing_one(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "config.yaml").touch()
    assert identity(config(tmp_path / "demo", "warm")).title == "demo/warm"


@pytest.mark.parametrize("content", ["", "[]", "{}"])
def test_a_damaged_file_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "tracking.json").write_text(content)
    with pytest.raises(DataError, match=r"tracking\.json is damaged"):
        identity(config(tmp_path))


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(DataError, match=r"tracking\.json cannot be written.*output="):
        identity(config(tmp_path))
