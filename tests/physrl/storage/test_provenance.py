from pathlib import Path

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
    text = f"{provenance_comments()}seed: 1\n"
    assert working_directory(text) == Path.cwd()
    assert has_same_scenes(text)
    assert not has_same_scenes(text.replace(scene_generator_hash(), "0" * 64))
    assert working_directory("seed: 1\n") is None
