"""Rules of a configuration that depend on the verb it is given to."""

from physrl.config.environment import EnvironmentConfig
from physrl.config.run import RunConfig
from physrl.errors import ConfigError


def check_training(environment: EnvironmentConfig) -> None:
    """Refuse to train on scenes that are held out for evaluation.

    Raises:
        ConfigError: names the key, its value and the remedy.
    """
    for key in ("colors", "camera", "wording"):
        if getattr(environment, key) == "held_out":
            raise ConfigError(
                f"environment.{key} is held_out, which is reserved for evaluation: set "
                f"environment.{key}=seen, and held_out only for `physrl evaluate`"
            )


def check_sft(config: RunConfig) -> None:
    """Refuse what `physrl sft`, which starts no inference servers, cannot do.

    Raises:
        ConfigError: names the key, its value and the remedy.
    """
    if config.algorithm.uses_rollouts:
        raise ConfigError(
            f"algorithm.type is {config.algorithm.type}, which needs completions: set "
            "algorithm.type=sft, or run physrl train"
        )
    if config.warm_start is not None:
        raise ConfigError("warm_start is set before SFT: set warm_start=null, or run physrl train")
    if config.evaluation.every:
        raise ConfigError(
            f"evaluation.every is {config.evaluation.every}, which needs inference servers: set "
            "evaluation.every=0, or run physrl train"
        )


def check_demo(config: RunConfig) -> None:
    """Refuse a configuration in which RL and SFT cannot be compared, or SFT has empty updates.

    Raises:
        ConfigError: names the keys, their values and the remedy.
    """
    algorithm = config.algorithm
    if config.warm_start is None or not algorithm.uses_rollouts:
        raise ConfigError(
            "the demo compares RL with SFT after one warm start: set warm_start, and "
            "algorithm.type to an RL algorithm"
        )
    if algorithm.updates_per_rollout > algorithm.prompts_per_step:
        raise ConfigError(
            f"algorithm.updates_per_rollout is {algorithm.updates_per_rollout} but the demo's SFT "
            f"has only algorithm.prompts_per_step = {algorithm.prompts_per_step} completions per "
            "step: lower updates_per_rollout or raise prompts_per_step"
        )
