from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from physrl.data.images import decode_image
from physrl.data.rollouts import (
    MANIFEST,
    SCHEMA,
    encode_rollouts,
    part_name,
    read_rollouts,
    step_folder,
    write_file,
    write_manifest,
)
from physrl.errors import DataError
from physrl.types import Action, Offset, RolloutGroup, Unparseable, Verdict
from tests.support.rollouts import rollout_group

NOISE = np.random.default_rng(0).integers(0, 256, (84, 84, 3), np.uint8)


def group(*actions: Action) -> RolloutGroup:
    return rollout_group(actions, NOISE)


def write_step(folder: Path, *parts: list[RolloutGroup]) -> None:
    """Write a step whose advantages are the numbers of its parts."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [part_name(number) for number in range(len(parts))]
    for number, (name, groups) in enumerate(zip(names, parts, strict=True)):
        rollouts = sum(len(each.rollouts) for each in groups)
        write_file(folder / name, encode_rollouts(groups, [float(number)] * rollouts, step=1))
    write_manifest(folder, names)


def test_round_trip(tmp_path: Path) -> None:
    folder = step_folder(tmp_path, 5)
    folder.mkdir(parents=True)
    groups = [group(Offset(1.5, -2), Verdict(True), Unparseable("no answers"))]
    write_file(folder / "a.parquet", encode_rollouts(groups, [0.5, -1.0, 0.5], step=5))
    write_manifest(folder, ["a.parquet"])
    table = read_rollouts(folder)
    assert table.schema.equals(SCHEMA)
    first, second, third = table.to_pylist()
    assert (first["step"], first["scene_id"]) == (5, "place/train/iid/0/17")
    assert first["prompt"] == "Where?"
    assert (first["token_ids"], first["prompt_token_ids"]) == ([4, 5, 6], [1, 2])
    assert first["logprobs"] == [-0.5, -0.25, 0.0]
    assert (first["action_x"], first["action_y"], first["action_falls"]) == (1.5, -2, None)
    assert (first["status"], first["success"], first["height_gain"]) == ("settled", True, 1.0)
    assert (first["displacement"], first["distance"]) == (0.02, 0.125)
    assert (first["reward"], first["advantage"], first["policy_version"]) == (1.25, 0.5, 3)
    assert dict(first["reward_parts"]) == {"success": 1.0, "height": 0.25}
    assert (second["action_falls"], second["action_x"], second["advantage"]) == (True, None, -1.0)
    assert third["unparseable"] == "no answers"


def test_parts_are_one_table_in_their_order(tmp_path: Path) -> None:
    write_step(tmp_path, [group(Offset(1, 1))] * 2, [group(Offset(2, 2), Offset(3, 3))])
    table = read_rollouts(tmp_path)
    assert table["action_x"].to_pylist() == [1, 1, 2, 3]
    assert table["advantage"].to_pylist() == [0, 0, 1, 1]
    assert pq.read_table(tmp_path)["action_x"].to_pylist() == [1, 1, 2, 3]


def test_a_step_that_is_written_again_leaves_no_part_of_the_first_time(tmp_path: Path) -> None:
    write_step(tmp_path, [group(Offset(1, 1))], [group(Offset(2, 2))])
    write_step(tmp_path, [group(Offset(3, 3))])
    assert read_rollouts(tmp_path)["action_x"].to_pylist() == [3]
    assert sorted(path.name for path in tmp_path.iterdir()) == [MANIFEST, part_name(0)]


def test_images_are_lossless_and_stored_once_per_group(tmp_path: Path) -> None:
    write_step(tmp_path, [group(*[Offset(1, 1)] * 16)])
    value = read_rollouts(tmp_path)["image"][15].as_py()
    assert np.array_equal(decode_image(value), NOISE)
    assert (tmp_path / part_name(0)).stat().st_size < 2 * len(value["bytes"])


def test_files_are_compressed_and_no_partial_file_remains(tmp_path: Path) -> None:
    write_step(tmp_path, [group(Offset(1, 1))])
    metadata = pq.read_metadata(tmp_path / part_name(0))
    assert metadata.row_group(0).column(0).compression == "ZSTD"
    assert {path.name for path in tmp_path.iterdir()} == {MANIFEST, part_name(0)}


def test_numbers_of_advantages_and_rollouts_must_be_equal() -> None:
    with pytest.raises(ValueError, match="shorter"):
        encode_rollouts([group(Offset(1, 1), Offset(1, 1))], [0.0], step=1)


def test_an_unwritable_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file/a\.parquet"):
        write_file(tmp_path / "file" / "a.parquet", b"")


@pytest.mark.parametrize(
    "manifest", [None, b"{", b"[]", b'{"parts": 1}', b'{"parts": ["part-00000.parquet", "no"]}']
)
def test_incomplete_and_damaged_steps_are_reported(tmp_path: Path, manifest: bytes | None) -> None:
    write_step(tmp_path, [group(Offset(1, 1))])
    (tmp_path / MANIFEST).unlink()
    if manifest is not None:
        (tmp_path / MANIFEST).write_bytes(manifest)
    with pytest.raises(DataError, match=tmp_path.name) as caught:
        read_rollouts(tmp_path)
    assert "\n" not in str(caught.value)


def test_damaged_parts_are_reported(tmp_path: Path) -> None:
    write_step(tmp_path, [group(Offset(1, 1))])
    (tmp_path / part_name(0)).write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match=tmp_path.name):
        read_rollouts(tmp_path)
