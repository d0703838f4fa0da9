import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image as PillowImage

from physrl.data.rollouts import SCHEMA, read_rollouts, write_rollouts
from physrl.errors import DataError
from physrl.types import (
    Action,
    Appearance,
    Attempt,
    Block,
    Camera,
    Completion,
    Offset,
    Outcome,
    Prompt,
    Reward,
    Rollout,
    RolloutGroup,
    SceneSpec,
    Unparseable,
    Verdict,
)

NOISE = np.random.default_rng(0).integers(0, 256, (84, 84, 3), np.uint8)


def group(actions: list[Action]) -> RolloutGroup:
    scene = SceneSpec(
        seed=0,
        task="place",
        split="train",
        index=17,
        blocks=(Block(0, 0.5, 0, 0, "blue"), Block(2, 0.5, 0, 0, "red")),
        movable=True,
        margin=0.5,
        camera=Camera(0, 3, 7, 1.5, 46),
        appearance=Appearance(light=(0, 4, 3)),
    )
    prompt = Prompt.ask(scene.scene_id, "Where?", NOISE)
    rollouts = tuple(
        Rollout(
            (
                Attempt(
                    prompt,
                    (1, 2),
                    Completion("<answer>1 2</answer>", (4, 5, 6), (-0.5, -0.25, 0.0), False, 3),
                    action,
                    Outcome("settled", True, 1.0, 0.02, 0.125),
                ),
            ),
            Reward(1.25, {"success": 1.0, "height": 0.25}),
        )
        for action in actions
    )
    return RolloutGroup(scene, prompt, rollouts)


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "rollouts" / "step-00000005.parquet"
    actions: list[Action] = [Offset(1.5, -2), Verdict(True), Unparseable("no answers")]
    write_rollouts(path, [group(actions)], [0.5, -1.0, 0.5], step=5)
    table = read_rollouts(path)
    assert table.schema.equals(SCHEMA)
    first, second, third = table.to_pylist()
    assert (first["step"], first["scene_id"], first["prompt"]) == (
        5,
        "place/train/iid/0/17",
        "Where?",
    )
    assert (first["token_ids"], first["prompt_token_ids"]) == ([4, 5, 6], [1, 2])
    assert first["logprobs"] == [-0.5, -0.25, 0.0]
    assert (first["action_x"], first["action_y"], first["action_falls"]) == (1.5, -2, None)
    assert (first["status"], first["success"], first["height_gain"]) == ("settled", True, 1.0)
    assert (first["displacement"], first["distance"]) == (0.02, 0.125)
    assert (first["reward"], first["advantage"], first["policy_version"]) == (1.25, 0.5, 3)
    assert dict(first["reward_parts"]) == {"success": 1.0, "height": 0.25}
    assert (second["action_falls"], second["action_x"], second["advantage"]) == (True, None, -1.0)
    assert third["unparseable"] == "no answers"


def test_picture_is_lossless_and_stored_once_a_group(tmp_path: Path) -> None:
    path = tmp_path / "rollouts.parquet"
    write_rollouts(path, [group([Offset(1, 1)] * 16)], [0.0] * 16, step=1)
    png = read_rollouts(path)["image"][15]["bytes"].as_py()
    assert np.array_equal(np.asarray(PillowImage.open(io.BytesIO(png))), NOISE)
    assert path.stat().st_size < 2 * len(png)


def test_file_is_zstd_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "rollouts.parquet"
    write_rollouts(path, [group([Offset(1, 1)])], [0.0], step=1)
    assert pq.read_metadata(path).row_group(0).column(0).compression == "ZSTD"
    assert list(tmp_path.iterdir()) == [path]


def test_wrong_number_of_advantages(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shorter"):
        write_rollouts(tmp_path / "a.parquet", [group([Offset(1, 1)] * 2)], [0.0], step=1)


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        write_rollouts(tmp_path / "file" / "a.parquet", [group([Offset(1, 1)])], [0.0], step=1)


def test_damaged_and_missing_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 no")
    for name in ("a.parquet", "b.parquet"):
        with pytest.raises(DataError, match=f"{name} cannot be read") as caught:
            read_rollouts(tmp_path / name)
        assert "\n" not in str(caught.value)
