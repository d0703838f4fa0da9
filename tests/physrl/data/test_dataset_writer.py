from pathlib import Path
from typing import Any

import pytest

from physrl.data import images as images_module
from physrl.data import manifest as manifest_module
from physrl.data.dataset import open_dataset
from physrl.data.dataset_writer import DatasetWriter
from physrl.data.manifest import MANIFEST
from physrl.environments.renderer import TinyRenderer
from physrl.environments.version import GENERATOR_VERSION
from physrl.errors import DataError, StorageError
from tests.support.datasets import PLAN, flip_bit, write_dataset, write_shards


@pytest.fixture
def folder(tmp_path: Path, renderer: TinyRenderer) -> Path:
    """A complete dataset."""
    write_dataset(PLAN, tmp_path, renderer)
    return tmp_path


def test_a_dataset_exists_only_with_its_manifest(tmp_path: Path, renderer: TinyRenderer) -> None:
    shards = write_shards(PLAN, tmp_path, renderer)
    with pytest.raises(DataError, match=MANIFEST):
        open_dataset(str(tmp_path))
    writer = DatasetWriter(PLAN, str(tmp_path))
    assert writer.finished() is None
    manifest = writer.commit(shards)
    assert writer.finished() == manifest
    assert manifest.counts.scenes == sum(shard.scenes for shard in shards) == 10
    assert manifest.counts.bytes == sum((tmp_path / shard.file).stat().st_size for shard in shards)


def test_intact_shards_are_found_again_and_damaged_ones_rejected(
    tmp_path: Path, renderer: TinyRenderer
) -> None:
    shards = write_shards(PLAN, tmp_path, renderer)
    writer = DatasetWriter(PLAN, str(tmp_path))
    flip_bit(tmp_path)
    existing = writer.existing()
    assert existing == {number: shard.file for number, shard in enumerate(shards)}
    kept = [writer.keep(number, key) for number, key in existing.items()]
    assert kept == [shards[0], None, shards[2]]


def test_an_intact_file_is_chosen_among_several_of_one_shard(
    tmp_path: Path, renderer: TinyRenderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = write_shards(PLAN, tmp_path, renderer)
    monkeypatch.setattr(images_module, "PNG_LEVEL", 1)
    others = write_shards(PLAN, tmp_path, renderer)
    pairs = [{shard.file, other.file} for shard, other in zip(shards, others, strict=True)]
    assert all(len(pair) == 2 for pair in pairs)
    for key in (min(pairs[0]), max(pairs[1])):
        (tmp_path / key).write_bytes(b"damaged")
    writer = DatasetWriter(PLAN, str(tmp_path))
    existing = writer.existing()
    assert (existing[0], existing[1]) == (max(pairs[0]), min(pairs[1]))
    kept = [shard for number, key in existing.items() if (shard := writer.keep(number, key))]
    assert len(kept) == 3
    writer.commit(kept)
    assert sorted(existing.values()) == sorted(
        path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("data/*")
    )


def test_hidden_files_are_ignored_and_others_rejected(
    tmp_path: Path, renderer: TinyRenderer
) -> None:
    shards = write_shards(PLAN, tmp_path, renderer)
    (tmp_path / "data" / ".DS_Store").touch()
    writer = DatasetWriter(PLAN, str(tmp_path))
    assert list(writer.existing().values()) == [shard.file for shard in shards]
    writer.commit(shards)
    (tmp_path / MANIFEST).unlink()
    (tmp_path / "data" / "notes.txt").touch()
    with pytest.raises(DataError):
        writer.existing()


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"scenes": 9}, {"task": "stability"}, {"split": "test"}]
)
@pytest.mark.parametrize("complete", [True, False])
def test_another_plan_is_rejected_at_the_same_location(
    change: dict[str, Any], complete: bool, folder: Path
) -> None:
    if not complete:
        (folder / MANIFEST).unlink()
    writer = DatasetWriter(PLAN.model_copy(update=change), str(folder))
    with pytest.raises(DataError, match=r"out=") as caught:
        writer.finished() or writer.existing()
    assert "\n" not in str(caught.value)


def test_another_generator_version_does_not_continue_a_dataset(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / MANIFEST).unlink()
    monkeypatch.setattr(manifest_module, "GENERATOR_VERSION", GENERATOR_VERSION + 1)
    with pytest.raises(DataError, match=r"out="):
        DatasetWriter(PLAN, str(folder)).existing()


def test_the_first_of_two_manifests_wins(folder: Path) -> None:
    writer = DatasetWriter(PLAN, str(folder))
    shards = list(open_dataset(str(folder)).manifest.shards)
    before = (folder / MANIFEST).read_bytes()
    writer.commit(shards)  # an equal manifest is no conflict
    with pytest.raises(DataError, match=r"out="):
        writer.commit(shards[:2])
    assert (folder / MANIFEST).read_bytes() == before


def test_an_unwritable_location_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file"):
        DatasetWriter(PLAN, str(tmp_path / "file")).finished()
