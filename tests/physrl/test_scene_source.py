"""Sources of a run's scenes for training, warm start and tests."""

from physrl.config.algorithm import SFTConfig
from physrl.config.run import RunConfig
from physrl.scene_source import scene_source


def test_a_run_trains_on_its_mixture_and_is_tested_on_tasks_alone() -> None:
    config = RunConfig(
        task="place",
        mixture=("place", "stability"),
        algorithm=SFTConfig(targets="shuffled"),
    )
    train = scene_source(config, "place", "train")
    assert (train.tasks, train.targets) == (("place", "stability"), "shuffled")
    warm = scene_source(config, "place", "warm")
    assert (warm.tasks, warm.targets) == (("place", "stability"), "ideal")
    assert scene_source(config, "place", "test").tasks == ("place",)
    assert scene_source(config, "stability", "train").tasks == ("stability",)


def test_scenes_of_a_mixture_are_located_in_the_streams_of_their_tasks() -> None:
    config = RunConfig(task="place", mixture=("place", "stability"), seed=3)
    source = scene_source(config, "place", "train")
    assert [source.locate(index) for index in range(3)] == [
        ("place", 0), ("stability", 0), ("place", 1)
    ]  # fmt: skip
    assert source.scene_id(5) == "stability/train/iid/3/2"
