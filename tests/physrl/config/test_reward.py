import pytest

from physrl.config.algorithm import SFTConfig
from physrl.config.baseline import load_baseline_config
from physrl.config.load import validate
from physrl.errors import ConfigError

AUTHORS = {"type": "authors"}


@pytest.mark.parametrize(
    "task", [{"task": "place_x"}, {"task": "place", "mixture": ["place", "stability"]}]
)
def test_a_reward_that_is_always_zero_is_refused(task: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"reward\.type.*authors.*(place_x|stability)"):
        validate(task | {"reward": AUTHORS})


def test_the_authors_reward_trains_their_task_and_is_ignored_by_sft() -> None:
    assert validate({"task": "place", "reward": AUTHORS}).reward.type == "authors"
    sft = {"task": "place_x", "algorithm": SFTConfig().model_dump(), "reward": AUTHORS}
    assert validate(sft).task == "place_x"


def test_a_network_is_not_trained_by_it_either() -> None:
    with pytest.raises(ConfigError, match=r"reward\.type"):
        load_baseline_config(None, ["task=place_x", "reward.type=authors"])
