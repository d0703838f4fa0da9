from pathlib import Path

import pytest

from physrl.config import load_config
from physrl.config.verbs import check_demo, check_sft, check_training
from physrl.errors import ConfigError
from tests.support.paths import CONFIGS, DEMO

SFT = CONFIGS / "sft.yaml"


@pytest.mark.parametrize("key", ["colors", "camera", "wording"])
def test_held_out_scenes_are_not_for_training(key: str) -> None:
    config = load_config(None, [f"environment.{key}=held_out"])
    with pytest.raises(ConfigError, match=rf"environment\.{key}.*held_out.*{key}=seen"):
        check_training(config.environment)


def test_seen_scenes_are_for_training() -> None:
    check_training(load_config(DEMO).environment)


@pytest.mark.parametrize(
    ("config", "overrides", "named"),
    [
        (DEMO, [], r"algorithm\.type.*grpo.*algorithm\.type=sft"),
        (SFT, ["warm_start.steps=2"], "warm_start=null"),
        (SFT, ["evaluation.every=5"], r"evaluation\.every.*5.*evaluation\.every=0"),
    ],
)
def test_sft_needs_no_servers(config: Path, overrides: list[str], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        check_sft(load_config(config, overrides))


def test_the_sft_configuration_passes() -> None:
    check_sft(load_config(SFT))


def test_the_demo_configuration_passes() -> None:
    check_demo(load_config(DEMO))


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("warm_start=null", "warm_start"),
        ("algorithm.type=sft", r"algorithm\.type"),
        ("algorithm.prompts_per_step=1", r"algorithm\.updates_per_rollout is 2 .* = 1 "),
    ],
)
def test_the_demo_compares_rl_with_sft(override: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        check_demo(load_config(DEMO, [override]))
