"""Which scenes a run meets."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from physrl.config.base import Section

GeneratorName = Literal[
    "iid", "tall", "colors", "camera", "sizes", "wild", "wording", "small_margin"
]
"""Named sets of scenes: as trained on, or different in one respect."""


FEWEST_BLOCKS, MOST_BLOCKS = 2, 6
SMALLEST_MARGIN = 0.02
"""Down to here PyBullet and the exact criterion agree (docs/environment.md)."""
NumBlocks = Annotated[int, Field(ge=FEWEST_BLOCKS, le=MOST_BLOCKS)]


class EnvironmentConfig(Section):
    """The distribution that scenes are drawn from. Lengths in block widths, angles in radians."""

    num_blocks: tuple[NumBlocks, NumBlocks] = (2, 4)
    """Fewest and most blocks in a picture, the red one included."""
    margin: tuple[
        Annotated[float, Field(ge=SMALLEST_MARGIN, lt=0.5)],
        Annotated[float, Field(gt=0, le=0.5)],
    ] = (0.05, 0.4)
    """Smallest and largest distance of a tower from the edge of stability: difficulty. Below 0.02
    the simulator may see otherwise; twins end before the largest (see `twins`)."""
    largest_step: float = Field(0.6, gt=0, le=1)
    """Largest sideways offset of one block from the block below it."""
    yaw: float = Field(0.3, ge=0, le=0.8)
    """Largest turn of a whole tower about the vertical."""
    yaw_jitter: float = Field(0.1, ge=0, le=0.8)
    """Largest turn of one block against its tower."""
    sizes: Literal["equal", "mixed"] = "equal"
    """Blocks one block width wide, or each between 0.8 and 1.2 wide, and as heavy as it is large;
    a red block that starts beside a tower is always one block width wide."""
    twins: bool = True
    """Draw `stability` in pairs of a standing and a falling tower that neither lean, largest
    offset, width nor height tells apart, and whose margins are equal: up to 0.085 for two and
    three blocks, 0.16 for four, 0.17 for five, 0.18 for six. Without, margins may be larger and
    labels are still balanced, but they leak: lean alone predicts most of them."""
    colors: Literal["seen", "held_out"] = "seen"
    """Which colours the tower's blocks have; held out are those that no training shows."""
    wording: Literal["seen", "held_out"] = "seen"
    """Which wordings of the question are drawn from."""
    camera: Literal["seen", "held_out"] = "seen"
    """Where the camera stands; held out is where no training puts it."""
    randomization: Literal["none", "photo", "wild"] = "none"
    """How much camera, light, colours and textures vary: little, as in the photographs, widely."""
    renderer: Literal["tiny", "photo"] = "tiny"
    """What draws the pictures: PyBullet's fast one, or one that resembles photographs."""
    image_size: int = Field(84, ge=28, le=1024)
    """Width and height of the picture, in pixels."""

    @field_validator("num_blocks", "margin", mode="before")
    @classmethod
    def _two(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise ValueError(f"is {value!r}: write the smallest and the largest, [low, high]")
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
