from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from physrl.data.images import decode_image
from physrl.data.rollouts import (
    SCHEMA,
    encode_rollouts,
    read_rollouts,
    write_parts,
    write_rollouts,
)
from physrl.errors import DataError
from physrl.types import Action, Offset, RolloutGroup, Unparseable, Verdict
from tests.support.rollouts import rollout_group

NOISE = np.random.default_rng(0).integers(0, 256, (84, 84, 3), np.uint8)


def group(*actions: Action) -> RolloutGroup:
    return rollout_group(actions, NOISE)


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "rollouts" / "step-00000005.parquet"
    groups = [group(Offset(1.5, -2), Verdict(True), Unparseable("no answers"))]
    write_rollouts(path, groups, [0.5, -1.0, 0.5], step=5)
    table = read_rollouts(path)
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


def test_images_are_lossless_and_stored_once_per_group(tmp_path: Path) -> None:
    path = tmp_path / "rollouts.parquet"
    write_rollouts(path, [group(*[Offset(1, 1)] * 16)], [0.0] * 16, step=1)
    value = read_rollouts(path)["image"][15].as_py()
    assert np.array_equal(decode_image(value), NOISE)
    assert path.stat().st_size < 2 * len(value["bytes"])


def test_parts_are_the_rows_of_one_file_in_order(tmp_path: Path) -> None:
    without = rollout_group([Offset(3, 3)])
    groups = [group(Offset(1, 1), Offset(2, 2)), without, group(Offset(4, 4))]
    write_rollouts(tmp_path / "whole.parquet", groups, [0.5, 1.5, 2.5, 3.5], step=1)
    parts = [encode_rollouts(groups[:1], [0.5, 1.5], 1), encode_rollouts(groups[1:], [2.5, 3.5], 1)]
    write_parts(tmp_path / "parts.parquet", parts)
    whole, joined = (read_rollouts(tmp_path / f"{name}.parquet") for name in ("whole", "parts"))
    assert joined.equals(whole)
    assert joined["image"][2].as_py() is None
    assert np.array_equal(decode_image(joined["image"][3].as_py()), NOISE)


def test_files_are_compressed_and_no_partial_file_remains(tmp_path: Path) -> None:
    path = tmp_path / "rollouts.parquet"
    write_rollouts(path, [group(Offset(1, 1))], [0.0], step=1)
    assert pq.read_metadata(path).row_group(0).column(0).compression == "ZSTD"
    assert list(tmp_path.iterdir()) == [path]


def test_numbers_of_advantages_and_rollouts_must_be_equal(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shorter"):
        write_rollouts(tmp_path / "a.parquet", [group(Offset(1, 1), Offset(1, 1))], [0.0], step=1)


def test_an_unwritable_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file/a\.parquet"):
        write_rollouts(tmp_path / "file" / "a.parquet", [group(Offset(1, 1))], [0.0], step=1)


@pytest.mark.parametrize("name", ["damaged.parquet", "missing.parquet"])
def test_damaged_and_missing_files_are_reported(tmp_path: Path, name: str) -> None:
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match=name) as caught:
        read_rollouts(tmp_path / name)
    assert "\n" not in str(caught.value)
