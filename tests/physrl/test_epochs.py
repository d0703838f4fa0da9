import pytest

from physrl.config import load_config
from physrl.errors import ConfigError
from physrl.rollout import step_indices

SFT = ("algorithm.type=sft", "algorithm.prompts_per_step=16")


def test_each_epoch_sees_the_same_scenes_in_another_order() -> None:
    config = load_config(None, [*SFT, "algorithm.steps=24", "algorithm.epochs=3"])
    passes = [[step_indices(config, 8 * epoch + step) for step in range(8)] for epoch in range(3)]
    assert passes[0] == [range(16 * step, 16 * step + 16) for step in range(8)]
    assert all(sorted(each, key=lambda r: r.start) == passes[0] for each in passes)
    assert passes[1] != passes[0]
    assert passes[2] != passes[1]


def test_a_single_epoch_and_rl_see_every_scene_once() -> None:
    for overrides in (SFT, ("algorithm.prompts_per_step=16",)):
        config = load_config(None, [*overrides, "algorithm.steps=6"])
        assert [step_indices(config, step).start for step in range(6)] == [*range(0, 96, 16)]


def test_steps_are_divided_into_equal_epochs() -> None:
    with pytest.raises(ConfigError, match="steps=12"):
        load_config(None, [*SFT, "algorithm.steps=10", "algorithm.epochs=3"])
