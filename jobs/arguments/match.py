"""A supervised run with the budget of a run of reinforcement, so that both can be compared."""

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
"""What both runs have in common, besides the budget: scenes and how they are asked about."""


class Match(StrEnum):
    """What an SFT run has as many of as the run that it is held against; updates always match."""

    SCENES = "scenes"
    """The same scenes, each trained on once an update."""
    SAMPLES = "samples"
    """As many sequences: a scene for each completion that the other run sampled."""


def matched(config: RunConfig, other: Path, by: Match) -> RunConfig:
    """The SFT run with the scenes, steps and updates of the run in the folder `other`.

    Raises:
        ConfigError: `config` is not SFT, or the folder holds no run of reinforcement.
    """
    if not (other / CONFIG).is_file():
        raise ConfigError(f"--match is {other}: no {CONFIG} there; name the folder of a run")
    other_config = load_config(other / CONFIG)
    rl, sft = other_config.algorithm, config.algorithm
    if sft.uses_rollouts:
        raise ConfigError(
            f"--match gives SFT another run's budget, but algorithm.type is {sft.type}: set "
            "algorithm.type=sft"
        )
    if not rl.uses_rollouts:
        raise ConfigError(f"--match is {other}: a run of SFT itself; name one of reinforcement")
    rows = read_metrics(other)
    if not rows:
        raise ConfigError(f"--match is {other}: it has not finished a step; let it train first")
    samples = 1 if by is Match.SCENES else rl.group_size
    budget = {
        "steps": int(rows[-1]["step"]),
        "prompts_per_step": rl.prompts_per_step * samples,
        "updates_per_rollout": rl.updates_per_rollout,
    }
    tree = config.model_dump(mode="json")
    theirs = other_config.model_dump(mode="json", include=SHARED)
    both = {"model": tree["model"] | theirs.pop("model"), "algorithm": tree["algorithm"] | budget}
    return validate(tree | theirs | both)
