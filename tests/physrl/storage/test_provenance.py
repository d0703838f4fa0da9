from pathlib import Path

import pytest

import physrl
from physrl.storage.provenance import (
    has_same_scenes,
    provenance_comments,
    scene_generator_hash,
    versions,
    working_directory,
)


def test_versions_are_short_lines() -> None:
    found = versions()
    assert len(found["scene generator"]) == 64
    assert {"numpy", "pybullet"} <= found.keys()
    assert all("\n" not in value for value in found.values())


def test_comments_are_read_back() -> None:
    text = f"{provenance_comments({})}seed: 1\n"
    assert working_directory(text) == Path.cwd()
    assert has_same_scenes(text)
    assert not has_same_scenes(text.replace(scene_generator_hash(), "0" * 64))
    assert working_directory("seed: 1\n") is None


@pytest.mark.parametrize(("text", "noted"), [("a1" * 20, True), ("unknown", False), ("", False)])
def test_without_git_the_commit_is_the_images(
    text: str, noted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("environments", "tasks"):
        (tmp_path / "physrl" / name).mkdir(parents=True)
    (tmp_path / "REVISION").write_text(f"{text}\n")
    monkeypatch.setattr(physrl, "__file__", str(tmp_path / "physrl" / "__init__.py"))
    assert versions().get("git commit") == (text if noted else None)
