"""Named scene sets that differ in one respect from the scenes that a run trains on.

A generator maps the settings of a run to those of a scene set. Its name is part of a scene's id and
of the key of its random streams, so two sets share no scene, even with equal settings.
"""

from collections.abc import Callable
from typing import Any

from physrl.config.environment import (
    MOST_BLOCKS,
    SMALLEST_MARGIN,
    EnvironmentConfig,
    GeneratorName,
)
from physrl.errors import ConfigError

Generator = Callable[[EnvironmentConfig], EnvironmentConfig]


def tall(settings: EnvironmentConfig) -> EnvironmentConfig:
    """Add one or two blocks to the largest number of blocks.

    Raises:
        ConfigError: towers already have up to MOST_BLOCKS blocks.
    """
    low, high = settings.num_blocks
    if high >= MOST_BLOCKS:
        raise ConfigError(
            f"environment.num_blocks is [{low}, {high}]: generator 'tall' has more blocks than "
            f"that, but the maximum is {MOST_BLOCKS}; set environment.num_blocks=[{min(low, 5)}, 5]"
        )
    return _updated(settings, num_blocks=(high + 1, min(high + 2, MOST_BLOCKS)))


def small_margin(settings: EnvironmentConfig) -> EnvironmentConfig:
    """Use only margins below the smallest configured one.

    Raises:
        ConfigError: the configured margins already start at SMALLEST_MARGIN.
    """
    low, high = settings.margin
    if low <= SMALLEST_MARGIN:
        raise ConfigError(
            f"environment.margin is [{low:g}, {high:g}]: generator 'small_margin' needs margins "
            f"between {SMALLEST_MARGIN:g} and its lower bound; raise that, for example to 0.05"
        )
    return _updated(settings, margin=(SMALLEST_MARGIN, low))


def single_change(name: GeneratorName, key: str, value: str) -> Generator:
    """Make a generator that sets one key; it rejects settings that already have this value."""

    def generator(settings: EnvironmentConfig) -> EnvironmentConfig:
        if getattr(settings, key) == value:
            raise ConfigError(
                f"environment.{key} is {value}: generator '{name}' would change nothing; remove "
                f"'{name}', or set environment.{key} to another value"
            )
        return _updated(settings, **{key: value})

    return generator


GENERATORS: dict[GeneratorName, Generator] = {
    "iid": lambda settings: settings,
    "tall": tall,
    "colors": single_change("colors", "colors", "held_out"),
    "camera": single_change("camera", "camera", "held_out"),
    "sizes": single_change("sizes", "sizes", "held_out"),
    "wild": single_change("wild", "randomization", "wild"),
    "wording": single_change("wording", "wording", "held_out"),
    "small_margin": small_margin,
}


def _updated(settings: EnvironmentConfig, **changes: Any) -> EnvironmentConfig:
    """Copy the settings with changes, validated again."""
    return EnvironmentConfig(**(settings.model_dump() | changes))
