"""Configuration of the distribution of scenes."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from physrl.config.base import Section

GeneratorName = Literal[
    "iid", "tall", "colors", "camera", "sizes", "wild", "wording", "small_margin"
]
"""Named sets of scenes: `iid` as in training, others different in one respect."""
TestSet = Literal[GeneratorName, "real"]
"""Named sets of held-out scenes, and photographs of real towers."""

SizesName = Literal["equal", "mixed", "held_out"]

FEWEST_BLOCKS, MOST_BLOCKS = 2, 6
SMALLEST_MARGIN = 0.02
"""Smallest margin at which PyBullet and the exact criterion agree (docs/environment.md)."""
NumBlocks = Annotated[int, Field(ge=FEWEST_BLOCKS, le=MOST_BLOCKS)]


class EnvironmentConfig(Section):
    """Distribution and rendering of scenes. Lengths are in block widths, angles in radians."""

    num_blocks: tuple[NumBlocks, NumBlocks] = (3, 5)
    """Fewest and most blocks in a scene, including the red one; `stability` has three or more.
    Stacks with a red block have four or more where the second number admits it."""
    margin: tuple[
        Annotated[float, Field(ge=SMALLEST_MARGIN, lt=0.5)],
        Annotated[float, Field(gt=0, le=0.5)],
    ] = (0.05, 0.4)
    """Smallest and largest margin of a tower, its distance from the edge of stability: the smaller,
    the harder. With a red block it is the margin at that block's best place. Below 0.02 the
    simulator may disagree; `twins` lower the largest."""
    largest_step: Annotated[float, Field(gt=0, le=1)] | None = None
    """Largest sideways offset between a block and the block below it. Null: 0.6, or 0.9 in stacks
    with a red block."""
    yaw: float = Field(0.3, ge=0, le=0.8)
    """Largest rotation of a whole tower about the vertical."""
    yaw_jitter: float = Field(0.1, ge=0, le=0.8)
    """Largest rotation of a block relative to its tower."""
    sizes: SizesName | None = None
    """Edge lengths of blocks: all 1, each between 0.7 and 1.3 (0.6 and 1.4 in stacks with a red
    block), or each just outside that; mass is proportional to volume. Null: equal in `stability`,
    mixed in tasks with a red block."""
    twins: bool = True
    """Draw `stability` in twins: pairs of a standing and a falling tower of the same blocks in the
    same places, turned otherwise, with equal margins of at most 0.085. If false, margins may be
    larger and labels are still balanced, but lean alone predicts most of them."""
    colors: Literal["seen", "held_out"] = "seen"
    """Palette of the tower's blocks; the held-out one never occurs in training."""
    wording: Literal["seen", "held_out"] = "seen"
    """Wordings of the question; the held-out ones never occur in training."""
    camera: Literal["seen", "held_out"] = "seen"
    """Positions of the camera; the held-out ones never occur in training."""
    randomization: Literal["none", "photo", "wild"] = "none"
    """Domain randomization of camera, light, colors and textures: little, as in the photographs,
    or wide."""
    renderer: Literal["tiny", "photo"] = "tiny"
    """Renderer: PyBullet's fast one (TinyRenderer), or a slower one that resembles photographs."""
    image_size: int = Field(84, ge=28, le=1024)
    """Width and height of the image, in pixels."""

    @field_validator("num_blocks", "margin", mode="before")
    @classmethod
    def _two(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise ValueError(f"is {value!r}: write the bounds as [low, high]")
        return value

    @model_validator(mode="after")
    def _ordered(self) -> "EnvironmentConfig":
        for name in ("num_blocks", "margin"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(
                    f"has {name} [{low}, {high}]: the first must not exceed the second; swap them"
                )
        return self
