"""What is written comes back, and what is wrong with it is said in one line."""

import io
import json
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from physrl.config import load_config
from physrl.config.dataset import DatasetPlan
from physrl.config.environment import EnvironmentConfig
from physrl.data import manifest as manifest_module
from physrl.data import shards as shards_module
from physrl.data.dataset import check_data, open_dataset
from physrl.data.dataset_writer import DatasetWriter
from physrl.data.manifest import MANIFEST, Shard
from physrl.data.photos import load_photos
from physrl.data.shards import ROWS_PER_GROUP, encode_shard
from physrl.demonstrations import demonstrate
from physrl.environments.geometry import margin
from physrl.environments.renderer import TinyRenderer
from physrl.environments.simulator import Simulator
from physrl.environments.version import GENERATOR_VERSION
from physrl.errors import ConfigError, DataError, StorageError
from physrl.scene_source import SceneSource, prepare, scene_source
from physrl.storage.folder_store import FolderStore
from physrl.tasks import TASKS

PLAN = DatasetPlan(scenes=10, scenes_per_shard=4)


def write(plan: DatasetPlan, folder: Path, renderer: TinyRenderer) -> list[Shard]:
    """All shards, and no manifest."""
    writer = DatasetWriter(plan, str(folder))
    source = SceneSource(plan.task, plan.environment, plan.seed, plan.split, plan.reasoning)
    return [
        writer.write(number, *prepare(source, plan.indices(number), renderer))
        for number in range(plan.shards)
    ]


@pytest.fixture
def folder(tmp_path: Path, renderer: TinyRenderer) -> Path:
    """A whole dataset."""
    shards = write(PLAN, tmp_path, renderer)
    DatasetWriter(PLAN, str(tmp_path)).commit(shards)
    return tmp_path


def shard_file(folder: Path, number: int) -> Path:
    (path,) = folder.glob(f"data/train-{number:05d}-of-00003-*.parquet")
    return path


@pytest.mark.parametrize("task", TASKS)
def test_scenes_pictures_and_targets_come_back(
    task: Any, tmp_path: Path, renderer: TinyRenderer
) -> None:
    wild = EnvironmentConfig(randomization="wild", sizes="mixed", wording="held_out")
    plan = DatasetPlan(task=task, split="test", scenes=5, scenes_per_shard=3, environment=wild)
    DatasetWriter(plan, str(tmp_path)).commit(write(plan, tmp_path, renderer))
    dataset = open_dataset(str(tmp_path))
    dataset.check()
    source = SceneSource(task, wild, 0, "test", reasoning=False)
    scenes, prompts = prepare(source, range(5), renderer)
    for index, (scene, prompt) in enumerate(zip(scenes, prompts, strict=True)):
        stored, stored_prompt, target = dataset[index]
        assert stored == scene
        assert target == TASKS[task].target(scene)
        assert (stored_prompt.prompt_id, stored_prompt.text) == (prompt.prompt_id, prompt.text)
        assert np.array_equal(stored_prompt.images[0], prompt.images[0])


def test_every_scene_is_found_across_row_groups_and_shards(
    tmp_path: Path, renderer: TinyRenderer
) -> None:
    plan = DatasetPlan(scenes=2 * ROWS_PER_GROUP, scenes_per_shard=ROWS_PER_GROUP + 8)
    DatasetWriter(plan, str(tmp_path)).commit(write(plan, tmp_path, renderer))
    dataset = open_dataset(str(tmp_path))
    assert len(dataset) == 64
    assert [dataset[index][0].index for index in range(64)] == list(range(64))
    for index in (-1, 64):
        with pytest.raises(IndexError, match=f"scene {index} of 64"):
            dataset[index]


def test_columns_by_hand(renderer: TinyRenderer) -> None:
    source = SceneSource("stability", EnvironmentConfig(num_blocks=(3, 3)), 0, "train", False)
    (scene,), prompts = prepare(source, [0], renderer)
    (row,) = pq.read_table(io.BytesIO(encode_shard([scene], prompts, "p"))).to_pylist()
    assert row["falls"] is (scene.margin < 0)
    assert (row["ideal_x"], row["ideal_y"]) == (None, None)
    assert row["target"] == f"<answer>{'Yes' if scene.margin < 0 else 'No'}</answer>"
    assert row["blocks"][0]["color"] == scene.blocks[0].color
    _, middle, top = scene.blocks
    first, second = row["centres_of_mass"]
    assert first == pytest.approx(
        {"x": (middle.x + top.x) / 2, "y": 2.0, "z": (middle.z + top.z) / 2}
    )
    assert second == pytest.approx({"x": top.x, "y": 2.5, "z": top.z})
    assert margin(scene.tower) == row["margin"]
    source = SceneSource("place", EnvironmentConfig(), 0, "train", False)
    (scene,), prompts = prepare(source, [0], renderer)
    (row,) = pq.read_table(io.BytesIO(encode_shard([scene], prompts, "p"))).to_pylist()
    x, y = round(row["ideal_x"] * 100), round(row["ideal_y"] * 100)
    assert row["target"] == f"<answer>{x} {y}</answer>"
    assert row["falls"] is None


def test_only_the_shard_that_is_asked_for_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    get = FolderStore.get

    def noted(self: FolderStore, key: str) -> bytes:
        read.append(key)
        return get(self, key)

    monkeypatch.setattr(FolderStore, "get", noted)
    dataset = open_dataset(str(folder))
    for index in (5, 6, 5, 7):
        dataset[index]
    assert read == [MANIFEST, shard_file(folder, 1).relative_to(folder).as_posix()]


def test_hugging_face_reads_pictures(folder: Path, tmp_path: Path) -> None:
    import datasets

    cache = str(tmp_path / "cache")
    whole = datasets.load_dataset(str(folder), cache_dir=cache, split="train")
    files = [str(shard_file(folder, number)) for number in range(3)]
    named = datasets.load_dataset("parquet", data_files=files, cache_dir=cache, split="train")
    dataset = open_dataset(str(folder))
    assert [len(whole), len(named)] == [10, 10]
    for table in (whole, named):
        assert isinstance(table.features["image"], datasets.Image)
        for index in (0, 9):
            scene, prompt, target = dataset[index]
            assert np.array_equal(np.asarray(table[index]["image"]), prompt.images[0])
            assert (table[index]["index"], table[index]["target"]) == (scene.index, target)


def test_a_shard_of_stability_is_a_set_of_photographs(
    tmp_path: Path, renderer: TinyRenderer
) -> None:
    plan = DatasetPlan(task="stability", scenes=4, scenes_per_shard=4)
    (shard,) = write(plan, tmp_path, renderer)
    photos = load_photos(tmp_path / shard.file)
    source = SceneSource("stability", plan.environment, 0, "train", reasoning=False)
    scenes, _ = prepare(source, range(4), renderer)
    assert [photo.falls for photo in photos] == [scene.margin < 0 for scene in scenes]
    assert [photo.file for photo in photos] == [scene.scene_id for scene in scenes]


def test_a_run_trains_on_the_scenes_of_its_dataset(
    folder: Path, renderer: TinyRenderer, simulator: Simulator
) -> None:
    overrides = ["algorithm.steps=1", "algorithm.prompts_per_step=10", "seed=99"]
    config = load_config(None, [f"data={folder}", *overrides])
    check_data(config)
    scenes, _ = prepare(scene_source(config, "place", "train"), [2, 7], renderer)
    assert [(scene.seed, scene.index) for scene in scenes] == [(0, 2), (0, 7)]
    shown = demonstrate(scene_source(config, "place", "train"), [7], renderer, simulator)
    assert [one.target for one in shown] == [TASKS["place"].target(scenes[1])]
    for task, split in (("place", "validation"), ("place", "warm"), ("stability", "train")):
        (scene,), _ = prepare(scene_source(config, task, split), [0], renderer)
        assert (scene.seed, scene.task, scene.split) == (99, task, split)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("task=stability", r"collected with task=place, but the run needs task=stability"),
        ("model.reasoning=true", r"with reasoning=False, but the run needs reasoning=True"),
        ("environment.image_size=56", r"with environment.image_size=84, but the run needs .*=56"),
        ("algorithm.steps=2", r"of 10 scenes, but .* 2 x 10 = 20: collect more, or lower"),
    ],
)
def test_a_dataset_that_does_not_fit_the_run(folder: Path, override: str, message: str) -> None:
    overrides = ["algorithm.steps=1", "algorithm.prompts_per_step=10", override]
    config = load_config(None, [f"data={folder}", *overrides])
    with pytest.raises(ConfigError, match=message) as caught:
        check_data(config)
    assert "\n" not in str(caught.value)


def test_a_run_is_evaluated_on_the_scenes_of_its_datasets(
    tmp_path: Path, renderer: TinyRenderer
) -> None:
    plan = PLAN.model_copy(update={"split": "test", "seed": 5})
    DatasetWriter(plan, str(tmp_path)).commit(write(plan, tmp_path, renderer))
    overrides = [f"evaluation.data.place={tmp_path}", "evaluation.scenes=10"]
    config = load_config(None, overrides)
    check_data(config)
    (scene,), _ = prepare(scene_source(config, "place", "test"), [3], renderer)
    assert (scene.seed, scene.split, scene.index) == (5, "test", 3)
    for task, split in (("place", "train"), ("place", "validation"), ("stability", "test")):
        (scene,), _ = prepare(scene_source(config, task, split), [3], renderer)
        assert (scene.seed, scene.task, scene.split) == (0, task, split)
    config = load_config(None, [*overrides, "evaluation.scenes=11"])
    with pytest.raises(ConfigError, match=r"evaluation\.data\.place is .* of 10 scenes, but eval"):
        check_data(config)


def test_scenes_of_another_split_are_not_trained_on(tmp_path: Path, renderer: TinyRenderer) -> None:
    plan = PLAN.model_copy(update={"split": "test"})
    DatasetWriter(plan, str(tmp_path)).commit(write(plan, tmp_path, renderer))
    overrides = ["algorithm.steps=1", "algorithm.prompts_per_step=10"]
    config = load_config(None, [f"data={tmp_path}", *overrides])
    with pytest.raises(ConfigError, match="split=test, but the run needs split=train"):
        check_data(config)


def cut(folder: Path) -> None:
    path = shard_file(folder, 1)
    path.write_bytes(path.read_bytes()[:-100])


def flip(folder: Path) -> None:
    path = shard_file(folder, 1)
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(bytes(data))


def change(key: str, value: Any) -> Callable[[Path], None]:
    """Give a key of the manifest, such as `counts.scenes`, another value."""

    def changed(folder: Path) -> None:
        tree = json.loads((folder / MANIFEST).read_text())
        *path, last = (int(part) if part.isdigit() else part for part in key.split("."))
        reduce(lambda place, part: place[part], path, tree)[last] = value
        (folder / MANIFEST).write_text(json.dumps(tree))

    return changed


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: shard_file(folder, 1).unlink(), r"damaged at data/train-00001.*is missing"),
        (cut, r"damaged at data/train-00001.* bytes instead of"),
        (flip, r"damaged at data/train-00001.*its hash differs"),
        (lambda folder: (folder / MANIFEST).unlink(), r"holds no dataset: manifest.json is missin"),
        (lambda folder: (folder / MANIFEST).write_text("{"), r"manifest.json is no manifest"),
        (
            change("generator_version", 0),
            rf"generator version 0, this program of .* and {GENERATOR_VERSION}",
        ),
        (change("format", "other"), r"is of format other"),
        (change("plan", {"task": "stack"}), r"manifest.json has no valid 'plan"),
        (change("counts.scenes", 9), r"manifest.json has no valid 'counts': delete it and coll"),
        (change("counts.bytes", 1), r"has no valid 'counts'"),
        (change("shards", []), r"has no valid 'shards'"),
        (change("shards.1.scenes", 3), r"has no valid 'shards\.1\.scenes'"),
        (change("shards.0.scenes", -4), r"has no valid 'shards\.0\.scenes'"),
        (change("shards.0.file", "../../x"), r"has no valid 'shards\.0\.file'"),
        (change("shards.0.file", "data"), r"has no valid 'shards\.0\.file'"),
        (change("shards.2.sha256", "0" * 64), r"has no valid 'shards\.2\.file'"),
        (change("plan.scenes", 9), r"has no valid 'shards\.2\.scenes'"),
        (change("plan.environment.yaw", 0.1), r"has no valid 'environment_sha256'"),
    ],
)
def test_damage_is_one_line(folder: Path, damage: Callable[[Path], Any], message: str) -> None:
    damage(folder)

    def use() -> None:
        dataset = open_dataset(str(folder))
        dataset.check()
        dataset[5]

    with pytest.raises(DataError, match=message) as caught:
        use()
    assert "\n" not in str(caught.value)


def test_a_shard_cut_after_the_check_is_found_too(folder: Path) -> None:
    dataset = open_dataset(str(folder))
    dataset.check()
    cut(folder)
    assert dataset[0][0].index == 0
    with pytest.raises(DataError, match="its hash differs"):
        dataset[5]


def test_no_dataset_without_its_manifest(tmp_path: Path, renderer: TinyRenderer) -> None:
    shards = write(PLAN, tmp_path, renderer)
    with pytest.raises(DataError, match="holds no dataset"):
        open_dataset(str(tmp_path))
    writer = DatasetWriter(PLAN, str(tmp_path))
    assert writer.finished() is None
    manifest = writer.commit(shards)
    assert writer.finished() == manifest
    assert manifest.counts.scenes == sum(shard.scenes for shard in shards) == 10
    assert manifest.counts.bytes == sum((tmp_path / shard.file).stat().st_size for shard in shards)


def test_shards_are_found_again_and_damaged_ones_are_not_kept(
    tmp_path: Path, renderer: TinyRenderer
) -> None:
    shards = write(PLAN, tmp_path, renderer)
    writer = DatasetWriter(PLAN, str(tmp_path))
    flip(tmp_path)
    found = writer.existing()
    assert found == {number: shard.file for number, shard in enumerate(shards)}
    assert [writer.keep(number, key) for number, key in found.items()] == [
        shards[0],
        None,
        shards[2],
    ]


def test_of_two_files_of_one_shard_a_whole_one_is_kept(
    tmp_path: Path, renderer: TinyRenderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = write(PLAN, tmp_path, renderer)
    monkeypatch.setattr(shards_module, "PNG_LEVEL", 1)
    others = write(PLAN, tmp_path, renderer)
    pairs = [{one.file, other.file} for one, other in zip(shards, others, strict=True)]
    assert all(len(pair) == 2 for pair in pairs)
    damaged = [min(pairs[0]), max(pairs[1])]
    for key in damaged:
        (tmp_path / key).write_bytes(b"damaged")
    writer = DatasetWriter(PLAN, str(tmp_path))
    found = writer.existing()
    assert (found[0], found[1]) == (max(pairs[0]), min(pairs[1]))
    kept = [shard for number, key in found.items() if (shard := writer.keep(number, key))]
    assert len(kept) == 3
    writer.commit(kept)
    assert sorted(found.values()) == sorted(
        path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("data/*")
    )


def test_what_a_file_manager_leaves_is_no_shard(tmp_path: Path, renderer: TinyRenderer) -> None:
    shards = write(PLAN, tmp_path, renderer)
    (tmp_path / "data" / ".DS_Store").touch()
    writer = DatasetWriter(PLAN, str(tmp_path))
    assert list(writer.existing().values()) == [shard.file for shard in shards]
    writer.commit(shards)
    (tmp_path / MANIFEST).unlink()
    (tmp_path / "data" / "notes.txt").touch()
    with pytest.raises(DataError, match="already holds data"):
        writer.existing()


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"scenes": 9}, {"task": "stability"}, {"split": "test"}]
)
@pytest.mark.parametrize("whole", [True, False])
def test_another_plan_is_refused_at_the_same_place(
    change: dict[str, Any], whole: bool, folder: Path
) -> None:
    if not whole:
        (folder / MANIFEST).unlink()
    writer = DatasetWriter(PLAN.model_copy(update=change), str(folder))
    with pytest.raises(DataError, match="already holds data of another configuration") as caught:
        writer.finished() or writer.existing()
    assert "\n" not in str(caught.value)


def test_another_generator_version_does_not_continue_a_dataset(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / MANIFEST).unlink()
    monkeypatch.setattr(manifest_module, "GENERATOR_VERSION", GENERATOR_VERSION + 1)
    with pytest.raises(DataError, match="of another configuration or generator"):
        DatasetWriter(PLAN, str(folder)).existing()


def test_of_two_writers_one_manifest_wins(folder: Path) -> None:
    writer = DatasetWriter(PLAN, str(folder))
    shards = list(open_dataset(str(folder)).manifest.shards)
    before = (folder / MANIFEST).read_bytes()
    writer.commit(shards)  # the same: nothing to quarrel about
    with pytest.raises(DataError, match="already holds data"):
        writer.commit(shards[:2])
    assert (folder / MANIFEST).read_bytes() == before


def test_a_place_that_cannot_be_written_is_found_first(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be written"):
        DatasetWriter(PLAN, str(tmp_path / "file")).finished()


def test_a_shard_depends_on_its_scenes_alone(renderer: TinyRenderer) -> None:
    source = SceneSource("place", EnvironmentConfig(), 0, "train", reasoning=False)
    scenes, prompts = prepare(source, range(5), renderer)
    backwards, pictures = prepare(source, reversed(range(5)), TinyRenderer())
    again = encode_shard(backwards[::-1], pictures[::-1], "plan")
    assert encode_shard(scenes, prompts, "plan") == again
