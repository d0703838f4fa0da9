"""Input of the ray caster: a scene as plain numbers and arrays."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from physrl.types import Vector

Floats = NDArray[np.float64]
Texture = NDArray[np.float32]
Rectangle = tuple[float, float, float, float]
"""Min x, max x, min z, max z of an area of the ground."""


class Boxes(NamedTuple):
    """N boxes in any pose."""

    centers: Floats
    axes: Floats
    """N x 3 x 3: each box's own axes, in rows."""
    halves: Floats
    """N x 3: half edge lengths along its own axes."""
    colors: Floats
    """N x 3, linear RGB."""
    seeds: NDArray[np.int64]
    """Seed of each box's wood texture."""
    windows: Floats
    """N x 4: bounding box in the image (min and max row, min and max column), in pixels."""


class Lens(NamedTuple):
    """A pinhole camera, in pixels."""

    eye: Vector
    right: Vector
    up: Vector
    forward: Vector
    slope: float
    """Slope between the rays of adjacent pixels."""
    column: float
    row: float
    size: int


class Light(NamedTuple):
    """A round lamp and ambient light."""

    rays: Floats
    """LIGHT_RAYS x 3: unit vectors towards points of the lamp."""
    toward: Vector
    """Unit vector towards the center of the lamp."""
    hemisphere: Floats
    """LIGHT_RAYS x 3: cosine-weighted directions around the third axis."""
    ambient: float
    """Share of ambient light."""
    shadow_area: Rectangle
    """Area of the ground that may lie in shadow."""
    occlusion_area: Rectangle
    """Area of the ground that nearby blocks may darken."""


class Cloth(NamedTuple):
    """The cloth under and behind the blocks."""

    tile: Texture
    texels: float
    """Texels of the tile per block width."""
    ground: Vector
    """Linear RGB of unobstructed ground."""
    wall: Vector
    wall_z: float
    wrinkle: float
    origin: Rectangle
    """Offset of the tile: on the ground (2 numbers), on the wall (2 numbers)."""


class Finish(NamedTuple):
    """Wood grain and varnish."""

    grain: float
    sheen: float


class Pixels(NamedTuple):
    """The visible surface of each pixel and its light; all arrays are size x size."""

    surfaces: NDArray[np.int64]
    distances: Floats
    unobstructed: NDArray[np.bool_]
    """True where no block can obstruct the light."""
    direct: Floats
    """Light from the lamp, by the pixel's own rays."""
    ambient: Floats
    """Ambient light, by the pixel's own rays."""
