"""Named sets of scenes that differ in one respect from those that a run trains on.

A generator turns the settings of a run into those of a set. Its name is part of a scene's id and of
the key of its random streams, so two sets share no scene, whatever their settings.
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
    """One or two blocks more than the most.

    Raises:
        ConfigError: the most are already as many as can be drawn.
    """
    low, most = settings.num_blocks
    if most >= MOST_BLOCKS:
        raise ConfigError(
            f"environment.num_blocks is [{low}, {most}]: generator 'tall' has more blocks than "
            f"that, and {MOST_BLOCKS} are the most; set environment.num_blocks=[{min(low, 5)}, 5]"
        )
    return _with(settings, num_blocks=(most + 1, min(most + 2, MOST_BLOCKS)))


def small_margin(settings: EnvironmentConfig) -> EnvironmentConfig:
    """Margins below the smallest.

    Raises:
        ConfigError: the smallest leaves none.
    """
    low, high = settings.margin
    if low <= SMALLEST_MARGIN:
        raise ConfigError(
            f"environment.margin is [{low:g}, {high:g}]: generator 'small_margin' has margins from "
            f"{SMALLEST_MARGIN:g} to the smallest of these; raise it, such as to 0.05"
        )
    return _with(settings, margin=(SMALLEST_MARGIN, low))


def setting(name: GeneratorName, key: str, value: str) -> Generator:
    """A generator that changes one setting, and refuses settings that it would not change."""

    def change(settings: EnvironmentConfig) -> EnvironmentConfig:
        if getattr(settings, key) == value:
            raise ConfigError(
                f"environment.{key} is {value}: generator '{name}' would differ from it in "
                f"nothing; leave '{name}' out, or set environment.{key} to another value"
            )
        return _with(settings, **{key: value})

    return change


GENERATORS: dict[GeneratorName, Generator] = {
    "iid": lambda settings: settings,
    "tall": tall,
    "colors": setting("colors", "colors", "held_out"),
    "camera": setting("camera", "camera", "held_out"),
    "sizes": setting("sizes", "sizes", "mixed"),
    "wild": setting("wild", "randomization", "wild"),
    "wording": setting("wording", "wording", "held_out"),
    "small_margin": small_margin,
}


def _with(settings: EnvironmentConfig, **changes: Any) -> EnvironmentConfig:
    """These settings with changes, validated again."""
    return EnvironmentConfig(**(settings.model_dump() | changes))
