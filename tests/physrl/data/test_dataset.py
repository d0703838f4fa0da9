import json
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from physrl.config import load_config
from physrl.config.dataset import DatasetPlan
from physrl.config.environment import EnvironmentConfig
from physrl.data.dataset import check_data, open_dataset
from physrl.data.manifest import MANIFEST
from physrl.data.photos import load_photos
from physrl.data.shards import ROWS_PER_GROUP
from physrl.demonstrations import demonstrate
from physrl.environments.renderer import TinyRenderer
from physrl.environments.simulator import Simulator
from physrl.environments.version import GENERATOR_VERSION
from physrl.errors import ConfigError, DataError
from physrl.scene_source import SceneSource, prepare, scene_source
from physrl.storage.folder_store import FolderStore
from physrl.tasks import TASKS
from tests.support.datasets import PLAN, flip_bit, shard_file, write_dataset, write_shards


@pytest.fixture
def folder(tmp_path: Path, renderer: TinyRenderer) -> Path:
    """A complete dataset."""
    write_dataset(PLAN, tmp_path, renderer)
    return tmp_path


@pytest.mark.parametrize("task", TASKS)
def test_scenes_images_and_targets_are_restored(
    task: Any, tmp_path: Path, renderer: TinyRenderer
) -> None:
    wild = EnvironmentConfig(randomization="wild", sizes="mixed", wording="held_out")
    plan = DatasetPlan(task=task, split="test", scenes=5, scenes_per_shard=3, environment=wild)
    write_dataset(plan, tmp_path, renderer)
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
    write_dataset(plan, tmp_path, renderer)
    dataset = open_dataset(str(tmp_path))
    assert len(dataset) == 64
    assert [dataset[index][0].index for index in range(64)] == list(range(64))
    for index in (-1, 64):
        with pytest.raises(IndexError, match=f"{index} .*64"):
            dataset[index]


def test_only_the_shard_of_a_scene_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    get = FolderStore.get

    def recorded(self: FolderStore, key: str) -> bytes:
        read.append(key)
        return get(self, key)

    monkeypatch.setattr(FolderStore, "get", recorded)
    dataset = open_dataset(str(folder))
    for index in (5, 6, 5, 7):
        dataset[index]
    assert read == [MANIFEST, shard_file(folder, 1).relative_to(folder).as_posix()]


def test_hugging_face_datasets_reads_images(folder: Path, tmp_path: Path) -> None:
    import datasets

    cache = str(tmp_path / "cache")
    by_folder = datasets.load_dataset(str(folder), cache_dir=cache, split="train")
    files = [str(shard_file(folder, number)) for number in range(3)]
    by_files = datasets.load_dataset("parquet", data_files=files, cache_dir=cache, split="train")
    dataset = open_dataset(str(folder))
    assert [len(by_folder), len(by_files)] == [10, 10]
    for table in (by_folder, by_files):
        assert isinstance(table.features["image"], datasets.Image)
        for index in (0, 9):
            scene, prompt, target = dataset[index]
            assert np.array_equal(np.asarray(table[index]["image"]), prompt.images[0])
            assert (table[index]["index"], table[index]["target"]) == (scene.index, target)


def test_a_stability_shard_can_be_loaded_as_photographs(
    tmp_path: Path, renderer: TinyRenderer
) -> None:
    plan = DatasetPlan(task="stability", scenes=4, scenes_per_shard=4)
    (shard,) = write_shards(plan, tmp_path, renderer)
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
    (demonstration,) = demonstrate(scene_source(config, "place", "train"), [7], renderer, simulator)
    assert demonstration.target == TASKS["place"].target(scenes[1])
    for task, split in (("place", "validation"), ("place", "warm"), ("stability", "train")):
        (scene,), _ = prepare(scene_source(config, task, split), [0], renderer)
        assert (scene.seed, scene.task, scene.split) == (99, task, split)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("task=stability", r"task=place.* task=stability"),
        ("model.reasoning=true", r"reasoning=False.* reasoning=True"),
        ("environment.image_size=56", r"environment\.image_size=84.*=56"),
        ("algorithm.steps=2", r" 10 scenes.* 20"),
    ],
)
def test_a_dataset_that_does_not_match_the_run_is_rejected(
    folder: Path, override: str, message: str
) -> None:
    overrides = ["algorithm.steps=1", "algorithm.prompts_per_step=10", override]
    config = load_config(None, [f"data={folder}", *overrides])
    with pytest.raises(ConfigError, match=message) as caught:
        check_data(config)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("epochs", "prompts", "remedy"),
    [
        # Ten scenes: three steps of three in an epoch, or two of four.
        (1, 3, "algorithm.steps=3,"),
        (2, 4, "algorithm.steps=4,"),
        (2, 12, "algorithm.prompts_per_step to 10"),
    ],
)
def test_sft_is_told_the_steps_for_which_a_dataset_suffices(
    folder: Path, epochs: int, prompts: int, remedy: str
) -> None:
    sft = ["algorithm.type=sft", f"algorithm.epochs={epochs}", "algorithm.steps=100"]
    overrides = [f"data={folder}", *sft, f"algorithm.prompts_per_step={prompts}"]
    with pytest.raises(ConfigError, match=remedy):
        check_data(load_config(None, overrides))


def test_a_run_is_evaluated_on_the_scenes_of_its_datasets(
    tmp_path: Path, renderer: TinyRenderer
) -> None:
    plan = PLAN.model_copy(update={"split": "test", "seed": 5})
    write_dataset(plan, tmp_path, renderer)
    overrides = [f"evaluation.data.place={tmp_path}", "evaluation.scenes=10"]
    config = load_config(None, overrides)
    check_data(config)
    (scene,), _ = prepare(scene_source(config, "place", "test"), [3], renderer)
    assert (scene.seed, scene.split, scene.index) == (5, "test", 3)
    for task, split in (("place", "train"), ("place", "validation"), ("stability", "test")):
        (scene,), _ = prepare(scene_source(config, task, split), [3], renderer)
        assert (scene.seed, scene.task, scene.split) == (0, task, split)
    config = load_config(None, [*overrides, "evaluation.scenes=11"])
    with pytest.raises(ConfigError, match=r"evaluation\.data\.place.* 10 .* 11"):
        check_data(config)


def test_datasets_of_another_split_are_rejected(tmp_path: Path, renderer: TinyRenderer) -> None:
    plan = PLAN.model_copy(update={"split": "test"})
    write_dataset(plan, tmp_path, renderer)
    overrides = ["algorithm.steps=1", "algorithm.prompts_per_step=10"]
    config = load_config(None, [f"data={tmp_path}", *overrides])
    with pytest.raises(ConfigError, match=r"split=test.* split=train"):
        check_data(config)


def truncate(folder: Path) -> None:
    path = shard_file(folder, 1)
    path.write_bytes(path.read_bytes()[:-100])


def change(key: str, value: Any) -> Callable[[Path], None]:
    """Set a key of the manifest, such as `counts.scenes`, to another value."""

    def damage(folder: Path) -> None:
        tree = json.loads((folder / MANIFEST).read_text())
        *path, last = (int(part) if part.isdigit() else part for part in key.split("."))
        reduce(lambda node, part: node[part], path, tree)[last] = value
        (folder / MANIFEST).write_text(json.dumps(tree))

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: shard_file(folder, 1).unlink(), r"data/train-00001"),
        (truncate, r"data/train-00001.* bytes"),
        (flip_bit, r"data/train-00001.* hash"),
        (lambda folder: (folder / MANIFEST).unlink(), r"manifest\.json"),
        (lambda folder: (folder / MANIFEST).write_text("{"), r"manifest\.json"),
        (change("generator_version", 0), rf" 0\b.* {GENERATOR_VERSION}\b"),
        (change("format", "other"), r"format other\b"),
        (change("plan", {"task": "stack"}), r"'plan"),
        (change("counts.scenes", 9), r"'counts'"),
        (change("counts.bytes", 1), r"'counts'"),
        (change("shards", []), r"'shards'"),
        (change("shards.1.scenes", 3), r"'shards\.1\.scenes'"),
        (change("shards.0.scenes", -4), r"'shards\.0\.scenes'"),
        (change("shards.0.file", "../../x"), r"'shards\.0\.file'"),
        (change("shards.0.file", "data"), r"'shards\.0\.file'"),
        (change("shards.2.sha256", "0" * 64), r"'shards\.2\.file'"),
        (change("plan.scenes", 9), r"'shards\.2\.scenes'"),
        (change("plan.environment.yaw", 0.1), r"'environment_sha256'"),
    ],
)
def test_damage_is_reported_in_one_line(
    folder: Path, damage: Callable[[Path], Any], message: str
) -> None:
    damage(folder)

    def read() -> None:
        dataset = open_dataset(str(folder))
        dataset.check()
        dataset[5]

    with pytest.raises(DataError, match=message) as caught:
        read()
    assert "\n" not in str(caught.value)


def test_a_shard_truncated_after_the_check_is_reported(folder: Path) -> None:
    dataset = open_dataset(str(folder))
    dataset.check()
    truncate(folder)
    assert dataset[0][0].index == 0
    with pytest.raises(DataError, match=r"data/train-00001.* hash"):
        dataset[5]
