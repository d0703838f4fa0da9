import logging
import threading
from pathlib import Path

import pytest

from physrl.config import RunConfig, load_config
from physrl.errors import ConfigError
from physrl.storage.checkpoints import Checkpoints
from physrl.storage.mirror import RunMirror
from physrl.storage.object_store import open_store
from physrl.storage.provenance import scene_generator_hash
from physrl.storage.run_folder import abandon, extend_run, holds_run, open_run
from tests.support.checkpoints import commit


def config(tmp_path: Path, *overrides: str) -> RunConfig:
    return load_config(None, [f"output={tmp_path}", "name=a", *overrides])


def test_new_run_writes_a_configuration_that_loads_again(tmp_path: Path) -> None:
    folder = open_run(config(tmp_path, "seed=3"), resume=False)
    assert folder == tmp_path / "a"
    assert load_config(folder / "config.yaml") == config(tmp_path, "seed=3")
    text = (folder / "config.yaml").read_text()
    assert f"# scene generator: {scene_generator_hash()}\n" in text
    assert "# pybullet: 3." in text


def test_existing_run_is_not_overwritten(tmp_path: Path) -> None:
    open_run(config(tmp_path), resume=False)
    with pytest.raises(ConfigError, match=f"{tmp_path}/a .*--resume") as caught:
        open_run(config(tmp_path), resume=False)
    assert "\n" not in str(caught.value)


def test_resume_without_a_run_starts_one(tmp_path: Path) -> None:
    assert (open_run(config(tmp_path), resume=True) / "config.yaml").exists()


def test_a_start_without_a_step_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    first = config(tmp_path)
    assert not holds_run(first)
    folder = open_run(first, resume=False)
    assert holds_run(first)
    (folder / "warm").mkdir()
    (folder / "warm" / "config.yaml").write_text("seed: 5")
    measured = folder / "evaluation" / "base.json"
    measured.parent.mkdir()
    measured.write_text("{}")
    assert abandon(first)
    assert not holds_run(first)
    assert measured.exists()
    open_run(config(tmp_path, "seed=4"), resume=False)


@pytest.mark.parametrize(
    "trained", ["metrics.jsonl", "warm/metrics.jsonl", "checkpoints/step-00000004"]
)
def test_a_run_with_a_step_keeps_its_name(trained: str, tmp_path: Path) -> None:
    folder = open_run(config(tmp_path), resume=False)
    (folder / trained).parent.mkdir(parents=True, exist_ok=True)
    (folder / trained).write_text("")
    assert not abandon(config(tmp_path))
    assert holds_run(config(tmp_path))


def test_an_abandoned_name_is_free_in_storage_too(tmp_path: Path) -> None:
    stored = config(tmp_path / "a", f"storage={tmp_path / 'kept'}")
    open_run(stored, resume=False)
    assert abandon(stored)
    assert open_store(f"{tmp_path / 'kept'}/a").keys() == []
    open_run(stored, resume=False)
    open_store(f"{tmp_path / 'kept'}/a").put("checkpoints/step-00000020/MANIFEST.json", b"{}")
    assert not abandon(stored)
    assert holds_run(config(tmp_path / "b", f"storage={tmp_path / 'kept'}"))


def test_a_run_is_extended(tmp_path: Path) -> None:
    folder = open_run(config(tmp_path, "algorithm.steps=8"), resume=False)
    with pytest.raises(ConfigError, match=f"physrl extend {folder} steps=12"):
        open_run(config(tmp_path, "algorithm.steps=12"), resume=True)
    before = (folder / "config.yaml").read_text()
    extended = extend_run(folder, 12)
    assert extended == config(tmp_path, "algorithm.steps=12")
    open_run(extended, resume=True)
    after = (folder / "config.yaml").read_text()
    assert [line for line in before.splitlines() if line not in after.splitlines()] == [
        "  steps: 8"
    ]
    for steps in (12, 3):
        with pytest.raises(ConfigError, match=f"steps is {steps}"):
            extend_run(folder, steps)
    with pytest.raises(ConfigError, match="nothing to extend"):
        extend_run(tmp_path / "none", 12)


def test_epochs_are_extended_by_whole_ones(tmp_path: Path) -> None:
    sft = ("algorithm.type=sft", "algorithm.steps=8", "algorithm.epochs=2")
    folder = open_run(config(tmp_path, *sft), resume=False)
    with pytest.raises(ConfigError, match="multiple"):
        extend_run(folder, 10)
    extended = extend_run(folder, 12).algorithm
    assert (extended.steps, extended.epochs) == (12, 3)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("seed=1", "seed=0, not 1"),
        ("algorithm.lr=1e-5", r"algorithm.lr=5e-06, not 1e-05"),
        ("algorithm.type=gspo", "algorithm.type=grpo, not gspo"),
        ("warm_start.steps=5", "warm_start=None, not"),
        ("runtime.max_staleness=2", "runtime.max_staleness="),
    ],
)
def test_resume_names_the_first_key_that_differs(tmp_path: Path, override: str, named: str) -> None:
    open_run(config(tmp_path), resume=False)
    with pytest.raises(ConfigError, match=named) as caught:
        open_run(config(tmp_path, override), resume=True)
    assert "\n" not in str(caught.value)


def test_runtime_and_checkpoints_may_differ(tmp_path: Path) -> None:
    open_run(config(tmp_path), resume=False)
    other = config(
        tmp_path,
        "runtime={rollout_workers: 7, learner_ranks: 2, zero_stage: 3}",
        "checkpoint.every=1",
    )
    assert open_run(other, resume=True) == tmp_path / "a"


def test_moved_run_may_be_resumed(tmp_path: Path) -> None:
    open_run(config(tmp_path / "old"), resume=False)
    (tmp_path / "old").rename(tmp_path / "new")
    assert open_run(config(tmp_path / "new"), resume=True) == tmp_path / "new" / "a"


def test_working_directory_may_be_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Ray unpacks each submission into a new folder, where a relative path is another one.
    def submitted(package: str, *overrides: str) -> RunConfig:
        (tmp_path / package / "base").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / package)
        return config(tmp_path, *overrides)

    first = submitted("_ray_pkg_1", "model.path=base")
    assert first.model.path == str(tmp_path / "_ray_pkg_1" / "base")
    open_run(first, resume=False)
    assert open_run(submitted("_ray_pkg_2", "model.path=base"), resume=True) == tmp_path / "a"
    (tmp_path / "_ray_pkg_3" / "other").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"model\.path=.*_1/base.*_3/other"):
        open_run(submitted("_ray_pkg_3", "model.path=other"), resume=True)


def test_another_scene_generator_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = open_run(config(tmp_path), resume=False)
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace(scene_generator_hash(), "0" * 64))
    with caplog.at_level(logging.WARNING):
        open_run(config(tmp_path), resume=True)
    assert "another scene generator" in caplog.text


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"file/a .*output="):
        open_run(config(tmp_path / "file"), resume=False)


def stored_config(tmp_path: Path, storage: str, *overrides: str) -> RunConfig:
    return load_config(None, [f"output={tmp_path}", "name=run", f"storage={storage}", *overrides])


@pytest.fixture
def storage(place: str) -> str:
    return place.removesuffix("/run")


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_a_new_run_claims_its_name_in_storage(storage: str, tmp_path: Path) -> None:
    first = stored_config(tmp_path / "a", storage, "seed=3")
    open_run(first, resume=False)
    text = open_store(f"{storage}/run").get("config.yaml").decode()
    assert text == (tmp_path / "a" / "run" / "config.yaml").read_text()
    assert "seed: 3\n" in text


def test_a_taken_name_is_refused(storage: str, tmp_path: Path) -> None:
    open_run(stored_config(tmp_path / "a", storage), resume=False)
    with pytest.raises(ConfigError, match=f"{storage}/run .*--resume"):
        open_run(stored_config(tmp_path / "b", storage), resume=False)
    with pytest.raises(ConfigError, match=f"{storage}/run .*seed=0") as caught:
        open_run(stored_config(tmp_path / "b", storage, "seed=1"), resume=True)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "b" / "run" / "config.yaml").exists()


def test_of_several_runs_that_start_at_once_one_claims_the_name(
    storage: str, tmp_path: Path
) -> None:
    start, refused = threading.Barrier(4), []

    def begin(number: int) -> None:
        start.wait()
        try:
            open_run(stored_config(tmp_path / str(number), storage), resume=False)
        except ConfigError:
            refused.append(number)

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 3


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_a_stored_run_is_resumed_elsewhere(storage: str, tmp_path: Path) -> None:
    first = stored_config(tmp_path / "a", storage)
    open_run(first, resume=False)
    with RunMirror(first.folder, open_store(f"{storage}/run"), 2) as mirror:
        mirror.checkpoint(commit(first.folder, 20))
        mirror.wait(60)
    second = stored_config(tmp_path / "b", storage)
    open_run(second, resume=True)
    latest = Checkpoints(second.folder, 2).latest()
    assert latest is not None
    assert latest.step == 20


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_a_run_may_get_storage_when_it_is_resumed(storage: str, tmp_path: Path) -> None:
    bare = load_config(None, [f"output={tmp_path}", "name=run"])
    open_run(bare, resume=False)
    open_run(stored_config(tmp_path, storage), resume=True)
    assert open_store(f"{storage}/run").keys() == ["config.yaml"]


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_paths_inside_the_runs_folder_move_with_it(storage: str, tmp_path: Path) -> None:
    def inner(place: str) -> RunConfig:
        weights = f"model.path={tmp_path / place}/run/warm/checkpoints/step-00000020/model"
        return stored_config(tmp_path / place, storage, weights)

    open_run(inner("a"), resume=False)
    open_run(inner("b"), resume=True)
    with pytest.raises(ConfigError, match=r"model\.path="):
        open_run(stored_config(tmp_path / "c", storage, "model.path=/elsewhere"), resume=True)


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_another_scene_generator_of_a_stored_run_is_a_warning(
    storage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    open_run(stored_config(tmp_path / "a", storage), resume=False)
    store = open_store(f"{storage}/run")
    store.put("config.yaml", store.get("config.yaml").replace(b"scene generator: ", b"other: "))
    with caplog.at_level(logging.WARNING):
        open_run(stored_config(tmp_path / "b", storage), resume=True)
    assert "another scene generator" in caplog.text


@pytest.mark.parametrize("storage", ["{0}", "{0}/run", "{0}/run/kept"])
def test_storage_inside_the_run_is_refused(storage: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"storage is {tmp_path}"):
        load_config(None, [f"output={tmp_path}", f"storage={storage.format(tmp_path)}"])
