"""The matching of an SFT run to the scenes and updates of an RL run that it is compared with."""

from enum import StrEnum
from pathlib import Path

from physrl.config import RunConfig, load_config
from physrl.config.load import validate
from physrl.errors import ConfigError
from physrl.metrics import read_metrics
from physrl.storage.run_files import CONFIG

SHARED: dict[str, bool | set[str]] = {
    "seed": True,
    "task": True,
    "environment": True,
    "data": True,
    "warm_start": True,
    "temperature": True,
    "model": {"reasoning", "max_prompt_tokens", "max_completion_tokens"},
}
"""Keys that the SFT run takes over besides the budget: scenes and prompts."""


class Match(StrEnum):
    """The quantity that an SFT run matches besides the number of updates."""

    SCENES = "scenes"
    """Identical scenes, one example each."""
    SAMPLES = "samples"
    """Equal numbers of sequences: a scene for each completion that the RL run sampled."""


def matched(config: RunConfig, other: Path, by: Match) -> RunConfig:
    """Give an SFT run the scenes, steps and updates of the RL run in the folder `other`.

    Raises:
        ConfigError: `config` is not SFT, or the folder holds no RL run with a finished step.
    """
    if not (other / CONFIG).is_file():
        raise ConfigError(f"--match is {other}: the folder has no {CONFIG}: name a run's folder")
    other_config = load_config(other / CONFIG)
    rl, sft = other_config.algorithm, config.algorithm
    if sft.uses_rollouts:
        raise ConfigError(
            f"--match is given but algorithm.type is {sft.type}: set algorithm.type=sft"
        )
    if not rl.uses_rollouts:
        raise ConfigError(f"--match is {other}: an SFT run: name an RL run")
    rows = read_metrics(other)
    if not rows:
        raise ConfigError(f"--match is {other}: the run has not finished a step: train it first")
    samples = 1 if by is Match.SCENES else rl.group_size
    budget = {
        "steps": int(rows[-1]["step"]),
        "prompts_per_step": rl.prompts_per_step * samples,
        "updates_per_rollout": rl.updates_per_rollout,
    }
    tree = config.model_dump(mode="json")
    shared = other_config.model_dump(mode="json", include=SHARED)
    merged = {
        "model": tree["model"] | shared.pop("model"),
        "algorithm": tree["algorithm"] | budget,
    }
    return validate(tree | shared | merged)
